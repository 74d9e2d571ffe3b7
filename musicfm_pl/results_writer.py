"""The `results.json` of a run: after the last validation of a pretraining, or after a test, with where it goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from rich.console import Console
from torch.distributed.fsdp import FSDPModule

from data_modules.pretrain import PretrainData
from data_modules.shards import corpus_in
from data_modules.task import TaskData
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.pretrained import Pretrained
from musicfm_pl.guard import TrainingGuard
from musicfm_pl.protocol_table import show_protocols
from musicfm_pl.protocols.presets import OWN
from musicfm_pl.provenance import config_digest, machine, versions
from musicfm_pl.results import Evaluation, Role, RunResult, TrackResult, run_name, write_aside, write_result
from musicfm_pl.seen_tracks import heard_notes, refuse_seen
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.systems.task import TaskModel

_ENCODER_DIGEST = "encoder_digest"
"""Key of a checkpoint."""


def class_name(encoder: Encoder) -> str:
    """Of the encoder as it was written: sharding puts a class of its own before it, called `FSDPConformer`."""
    return next(kind.__name__ for kind in type(encoder).__mro__ if not issubclass(kind, FSDPModule))


class ResultsWriter(L.Callback):
    """Writes `results.json`: after the last validation of a pretraining run, or after a test.

    Args:
        run_dir: Of the run.
        name: Row of the leaderboard; None for the encoder's own name.
        role: `encoder`, or `baseline`.
        result_dir: Where the result of a test goes; None for the run directory, or `on-<folder>` below it where the
            test is on other data than those of the training.

    Raises:
        ValueError: The place of the result is that of a run.
    """

    def __init__(self, run_dir: Path, name: str | None, role: Role, result_dir: Path | None = None) -> None:
        if result_dir is not None and (result_dir / "checkpoints").exists():
            raise ValueError(
                f"--result_dir: {result_dir} is the directory of a run, whose own result it would replace; name another"
            )
        self.run_dir = run_dir
        self.result_dir = result_dir
        self.name = name
        self.role = role
        self._began = time.monotonic()
        self._encoder_digest = ""
        self._heard: list[str] = []

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """From which pretraining the encoder of a task comes, as that lies there now; and what a test may not judge.

        Raises:
            ValueError: A head would be tested on tracks that it was trained on, see `refuse_seen`.
        """
        made_from = pl_module.encoder.made_from if isinstance(pl_module, TaskModel) else {}
        self._encoder_digest = config_digest(made_from) if made_from else ""
        if stage == "test":
            data = trainer.datamodule  # type: ignore[attr-defined]
            assert isinstance(data, TaskData) and isinstance(pl_module, TaskModel)
            kind = pl_module.head.kind
            refuse_seen(self._config["data"]["init_args"]["root"], data, kind)
            if isinstance(pl_module.encoder, Pretrained):
                self._heard = heard_notes(made_from["data"]["init_args"]["root"], data, kind)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """The checkpoint holds the weights of the encoder, and so says whose they are."""
        checkpoint[_ENCODER_DIGEST] = self._encoder_digest

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """The encoder is that of the training, whatever has become of the pretraining since."""
        self._encoder_digest = checkpoint.get(_ENCODER_DIGEST, "")  # which older checkpoints do not say

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The figures of a task under every protocol; they are printed, too."""
        if not isinstance(pl_module, TaskModel) or not trainer.is_global_zero or pl_module.judge is None:
            return
        data, judge, head = pl_module.data, pl_module.judge, pl_module.head
        groups = {entry.track_id: entry.group for entry in data.entries(data.test_split)}
        left_out = data.left_out(data.test_split)
        of_split = "all splits" if data.test_split == "all" else f"the {data.test_split} split"
        without = [f"{left_out} tracks of {of_split} carry no {head.kind} labels and are left out"] * bool(left_out)
        evaluations = {
            name: Evaluation(
                summary=scores.summary,
                notes=[*scores.notes, *without, *self._heard],
                tracks=[
                    TrackResult(track.track_id, groups[track.track_id], *of_track)
                    for track, of_track in zip(judge.tracks, scores.by_track(), strict=True)
                ],
            )
            for name, scores in pl_module.scores.items()
        }
        own = evaluations.pop(judge.own)
        result = self._write(
            trainer,
            pl_module.encoder,
            stage="probe" if pl_module.freeze_encoder else "finetune",
            task=head.task,
            protocol=judge.own,
            split=data.test_split,
            num_tracks=len(judge.tracks),
            layer=pl_module.layer if isinstance(pl_module.layer, int) else None,
            summary=own.summary,
            notes=own.notes,
            tracks=own.tracks,
            others=evaluations,
        )
        show_protocols(result, Console())

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The figures of a pretraining run, from the validation that follows its last step."""
        if not isinstance(pl_module, MaskedTokenModel) or not trainer.is_global_zero or trainer.state.fn != "validate":
            return
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, PretrainData)
        # Where nothing was masked there is no loss; any other that is not finite is refused when it is written.
        of_tokens = ("val/loss", "val/masked_accuracy") if pl_module.num_masked == 0 else ()
        figures = {
            ("val_loss" if name == "val/loss" else name.removeprefix("val/")): (
                None if name in of_tokens else value.item()
            )
            for name, value in trainer.callback_metrics.items()
            if name.startswith("val/")
        }
        guards = [callback for callback in trainer.callbacks if isinstance(callback, TrainingGuard)]  # type: ignore[attr-defined]
        stability = {name: float(count) for guard in guards for name, count in guard.counts.items()}
        steps = pl_module.trained_steps
        clips = steps * data.batch_size * trainer.world_size * trainer.accumulate_grad_batches
        self._write(
            trainer,
            pl_module.encoder,
            stage="pretrain",
            task="pretrain",
            protocol=OWN,
            split="val",
            num_tracks=len(data.prepared.tracks("val")),
            layer=None,
            summary={**figures, **stability, "steps": float(steps), "audio_hours": clips * data.clip_s / 3600},
            notes=[],
            tracks=[],
        )

    @property
    def _config(self) -> dict[str, Any]:
        """Of the run, as it was trained."""
        found: dict[str, Any] = yaml.safe_load((self.run_dir / "config.yaml").read_text())
        return found

    def _write(self, trainer: L.Trainer, encoder: Encoder, **figures: Any) -> RunResult:
        data = trainer.datamodule  # type: ignore[attr-defined]
        card = data.prepared.card
        config = self._config
        device = trainer.strategy.root_device
        accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        # A test on another corpus than that of the training, or another split, must not replace the result on its own.
        home = config["data"]["init_args"]["root"]
        own = Path(home).resolve() == Path(data.root).resolve()
        split = getattr(data, "test_split", "test")
        elsewhere = [Path(data.root).name] * (not own) + [split] * (split != "test")
        folder = self.result_dir or (self.run_dir / "-".join(["on", *elsewhere]) if elsewhere else self.run_dir)
        trained_on = card["corpus"] if own else corpus_in(home, data.remote)
        result = RunResult(
            run=run_name(folder),
            name=self.name or str(getattr(encoder, "name", class_name(encoder))),
            role=self.role,
            corpus=card["corpus"],
            corpus_note=card["note"],
            licence=card["licence"],
            seed=int(config["seed_everything"] or 0),
            num_parameters=sum(parameter.numel() for parameter in encoder.parameters()),
            config_digest=config_digest(config),
            versions=versions(),
            machine=machine(accelerator),
            seconds=round(time.monotonic() - self._began, 1),
            trained_on="" if trained_on == card["corpus"] else trained_on,
            encoder_digest=self._encoder_digest,
            **figures,
        )
        if self.result_dir is not None:  # a result is read with the configuration beside it
            folder.mkdir(parents=True, exist_ok=True)
            write_aside(folder / "config.yaml", (self.run_dir / "config.yaml").read_text())
        write_result(folder, result)
        trainer.print(f"results: {folder / 'results.json'}")
        return result
