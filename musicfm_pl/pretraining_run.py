"""A pretraining run, rebuilt to be examined: its model, its way of masking, the mel that it was trained on."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser

from data_modules.pretrain import PretrainData
from musicfm_pl.encoders.encoder_file import FILE, read_encoder
from musicfm_pl.encoders.pretrained import refuse_foreign
from musicfm_pl.systems.pretrain import MaskedTokenModel


@dataclass(frozen=True)
class PretrainingRun:
    """What a run directory, or an `encoder.safetensors` alone, gives.

    Attributes:
        config: Its configuration.
        model: With its weights, in evaluation mode.
        with_prediction: Whether the prediction layer has its weights, too: `encoder.safetensors` holds none.
        mel: Settings and statistics of the mel.
    """

    config: Mapping[str, Any]
    model: MaskedTokenModel
    with_prediction: bool
    mel: Mapping[str, float]

    @property
    def home(self) -> str:
        """The folder of the music that it was trained on."""
        return str(self.config["data"]["init_args"]["root"])

    def data(self, root: str, seed: int) -> PretrainData:
        """The run's clips and masks on the music of any folder, heard with the statistics of the run."""
        settings = self.config["data"]
        own = settings["init_args"] | {"root": root, "corpus": None, "seed": seed, "num_workers": 0}
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(PretrainData, "data")
        parsed = parser.parse_object({"data": settings | {"init_args": own}})
        data = parser.instantiate(parsed).data
        assert isinstance(data, PretrainData)
        data.features.normalise(self.mel["mean"], self.mel["std"])
        return data


def read_pretraining(run: Path) -> PretrainingRun:
    """Rebuilds a run from its last checkpoint, or else from its encoder alone.

    Raises:
        FileNotFoundError: There is no such run.
        ValueError: It is no pretraining run, or its checkpoint cannot be used.
    """
    last, alone = run / "checkpoints" / "last.ckpt", run if run.is_file() else run / "checkpoints" / FILE
    if (run / "config.yaml").exists() and last.is_file():
        try:
            state = torch.load(last, map_location="cpu", weights_only=True)
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise ValueError(f"--run: {last} cannot be read ({error}); delete it to examine {alone} alone") from error
        config = yaml.safe_load((run / "config.yaml").read_text())
        if "PretrainData" not in state:
            raise ValueError(f"--run: {run} is not a pretraining run; name the one that its encoder comes from")
        model = _model(config, run)
        _load(model, state["state_dict"], run)
        return PretrainingRun(config, model, True, state["PretrainData"]["mel"])
    if not alone.is_file():
        raise FileNotFoundError(
            f"--run: {run} is no pretraining run (neither config.yaml and {last.name} nor {FILE}); pretrain first: "
            f"musicfm fit --config experiments/pretrain/... --run_dir {run}"
        )
    found = read_encoder(alone)
    model = _model(found.config, run)
    own = {f"encoder.{name}": value for name, value in found.weights.items()}
    rest = {name: value for name, value in model.state_dict().items() if not name.startswith("encoder.")}
    _load(model, {**own, **rest}, run)
    return PretrainingRun(found.config, model, False, found.mel)


def _model(config: Mapping[str, Any], run: Path) -> MaskedTokenModel:
    settings = config["model"]
    refuse_foreign(settings, run)
    refuse_foreign(config["data"], run)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(MaskedTokenModel, "model")
    with torch.random.fork_rng(devices=[]):
        model = parser.instantiate(parser.parse_object({"model": settings})).model
    assert isinstance(model, MaskedTokenModel)
    return model.eval()


def _load(model: MaskedTokenModel, weights: Mapping[str, Any], run: Path) -> None:
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"--run: the weights of {run} do not fit its configuration: {error}") from error
