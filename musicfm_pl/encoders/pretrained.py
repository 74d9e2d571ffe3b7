"""An encoder from a pretraining run: rebuilt from its configuration, filled with its weights."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, final

import torch
import yaml
from jsonargparse import ArgumentParser
from torch import Tensor

from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.encoder_file import FILE, EncoderFile, read_encoder

OWN_PACKAGES = ("musicfm_pl", "data_modules")
"""Whose classes the configuration of a run may name without their having been imported."""


@final
class Pretrained(Encoder):
    """The encoder of a pretraining run.

    It carries the mel settings and statistics of its pretraining as `mel`; the data of a task takes them over.

    Args:
        run: A run directory of `MaskedTokenModel`, or its `encoder.safetensors` alone, wherever that lies.
        checkpoint: Which file of its `checkpoints/`; by default `encoder.safetensors`, or `last.ckpt` where there is
            none.

    Raises:
        FileNotFoundError: The directory holds no such run or checkpoint.
        ValueError: The run is not a pretraining run, its checkpoint does not fit its configuration, or that names a
            class of somebody else's, which is not imported on its word.
    """

    def __init__(self, run: Path, checkpoint: str | None = None) -> None:
        super().__init__()
        found = _read(Path(run), checkpoint)
        self.inner = _build(found.config, run)
        try:
            self.inner.load_state_dict(found.weights)
        except RuntimeError as error:
            raise ValueError(f"model.encoder.run: the weights of {run} do not fit its config.yaml: {error}") from error
        _take_shape(self, self.inner)
        self.mel, self.made_from = found.mel, found.config
        self.name = f"{_name(found.config, self.inner)}, pretrained"

    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """See `Encoder.forward`."""
        return self.inner(features, last_layer)

    def local_windows(self, features: Tensor, bounds: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
        """See `Encoder.local_windows`."""
        return self.inner.local_windows(features, bounds)

    def from_local(self, local: Tensor, only: int | None = None) -> Tensor:
        """See `Encoder.from_local`."""
        return self.inner.from_local(local, only)


@final
class Untrained(Encoder):
    """The baseline to `Pretrained`: the encoder of the same run, with the same mel, and random weights.

    Args:
        run: As for `Pretrained`.
        seed: Of the weights: another draw of the encoder's initialisation, made aside from the global generator.
        checkpoint: Where the mel settings are read.
    """

    def __init__(self, run: Path, seed: int = 0, checkpoint: str | None = None) -> None:
        super().__init__()
        found = _read(Path(run), checkpoint)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.inner = _build(found.config, run)
        _take_shape(self, self.inner)
        self.mel, self.made_from = found.mel, found.config
        self.name = f"{_name(found.config, self.inner)}, random"

    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """See `Encoder.forward`."""
        return self.inner(features, last_layer)

    def local_windows(self, features: Tensor, bounds: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
        """See `Encoder.local_windows`."""
        return self.inner.local_windows(features, bounds)

    def from_local(self, local: Tensor, only: int | None = None) -> Tensor:
        """See `Encoder.from_local`."""
        return self.inner.from_local(local, only)


def _read(run: Path, checkpoint: str | None) -> EncoderFile:
    if run.is_file():
        return read_encoder(run)
    folder = run / "checkpoints"
    name = checkpoint or (FILE if (folder / FILE).exists() else "last.ckpt")
    if (folder / name).suffix == ".safetensors" and (folder / name).exists():
        return read_encoder(folder / name)
    config_file, weights_file = run / "config.yaml", folder / name
    for file in (config_file, weights_file):
        if not file.exists():
            raise FileNotFoundError(
                f"model.encoder.run: {run} is no pretraining run, {file} is missing; "
                f"pretrain first: musicfm fit --config experiments/pretrain/... --run_dir {run}"
            )
    try:
        state = torch.load(weights_file, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"model.encoder.run: {weights_file} cannot be read ({error}); name another with checkpoint:"
        ) from error
    if "PretrainData" not in state:
        raise ValueError(f"model.encoder.run: {run} is not a pretraining run (its data is not PretrainData)")
    weights = {
        key.removeprefix("encoder."): value for key, value in state["state_dict"].items() if key.startswith("encoder.")
    }
    return EncoderFile(
        yaml.safe_load(config_file.read_text()), weights, state["PretrainData"]["mel"], int(state.get("global_step", 0))
    )


def _build(config: dict[str, Any], run: Path) -> Encoder:
    settings = config["model"]["init_args"]["encoder"]
    refuse_foreign(settings, run)
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Encoder, "encoder")
    parsed = parser.parse_object({"encoder": settings})
    return parser.instantiate(parsed).encoder


def refuse_foreign(settings: Any, run: Path) -> None:
    """Looks at a part of a configuration that may come from anywhere: to parse a class path is to import its module.

    Raises:
        ValueError: It names a class of somebody else's, which is not imported on its word.
    """
    for path in _class_paths({"class_path": settings} if isinstance(settings, str) else settings):
        module = str(path).rpartition(".")[0]
        if module and module.partition(".")[0] not in OWN_PACKAGES and module not in sys.modules:
            raise ValueError(
                f"model.encoder.run: the configuration of {run} names {path}, which importing may run any code; "
                f"import {module} first if you trust it"
            )


def _class_paths(settings: Any) -> Iterator[Any]:
    if isinstance(settings, dict):
        for key, value in settings.items():
            if key == "class_path":
                yield value
            else:
                yield from _class_paths(value)
    elif isinstance(settings, list):
        for value in settings:
            yield from _class_paths(value)


def _take_shape(outer: Encoder, inner: Encoder) -> None:
    outer.reads = inner.reads  # type: ignore[misc]
    outer.dim, outer.stride = inner.dim, inner.stride
    outer.num_mels, outer.num_layers = inner.num_mels, inner.num_layers


def _name(config: dict[str, Any], inner: Encoder) -> str:
    return config.get("name") or type(inner).__name__
