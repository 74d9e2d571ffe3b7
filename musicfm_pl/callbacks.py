"""What goes along with a run: its encoder in a file, a seed for each step, lines of progress, predictions in files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml

from data_modules.order import mixed_seed
from musicfm_pl.encoders.encoder_file import FILE, EncoderFile, write_encoder
from musicfm_pl.heads.base import Estimate
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.systems.task import TaskModel


class EncoderWriter(L.Callback):
    """Writes `checkpoints/encoder.safetensors` of a pretraining run anew with every checkpoint.

    Args:
        run_dir: Of the run; it holds the `config.yaml` that goes into the file.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """From the weights as they were brought together for the checkpoint, on the first rank."""
        if not isinstance(pl_module, MaskedTokenModel) or not trainer.is_global_zero or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        weights = {
            name.removeprefix("encoder."): value
            for name, value in checkpoint["state_dict"].items()
            if name.startswith("encoder.")
        }
        config = yaml.safe_load((self.run_dir / "config.yaml").read_text())
        mel = trainer.datamodule.mel_settings()  # type: ignore[attr-defined]
        write_encoder(self.run_dir / "checkpoints" / FILE, EncoderFile(config, weights, mel, trainer.global_step))


class StepSeed(L.Callback):
    """Seeds what is random in a training step (dropout) by run, rank and step.

    So a run that goes on from a checkpoint draws what it would have drawn, and ranks draw different things.

    Args:
        seed: Of the run.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Before each batch, whether or not the optimizer steps after it."""
        batches = trainer.fit_loop.epoch_loop.batch_progress.total.ready
        torch.manual_seed(mixed_seed(self.seed, trainer.global_rank, batches))


class ProgressLines(L.Callback):
    """Progress as plain lines, a few a minute: what a log file bears when the progress bar is off.

    Args:
        every_s: Seconds between lines.
    """

    def __init__(self, every_s: float = 10.0) -> None:
        self.every_s = every_s
        self._said = self._began = time.monotonic()
        self._first_step = 0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Speed is counted from here."""
        self._began, self._first_step = time.monotonic(), trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """A line, if the last is old enough."""
        now = time.monotonic()
        if now - self._said < self.every_s:
            return
        self._said = now
        speed = (trainer.global_step - self._first_step) / (now - self._began)
        loss = trainer.callback_metrics.get("train/loss")
        figure = "" if loss is None else f", loss {loss.item():.3f}"
        trainer.print(f"step {trainer.global_step} of {trainer.max_steps}{figure}, {speed:.2g} steps a second")


class PredictionWriter(L.Callback):
    """Writes predictions as files that Audacity and Sonic Visualiser open.

    For every audio file: `<name>.<task>.lab` with start, end and label of each span in seconds, tab-separated
    (beats: time and position in the bar), and `<name>.<task>.json` with what concerns the whole song.

    Args:
        run_dir: Of the run; files go to `predictions/` below it.
    """

    def __init__(self, run_dir: Path) -> None:
        self.folder = run_dir / "predictions"

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Refuses files whose predictions would overwrite each other."""
        stems = [file.stem for file in trainer.datamodule.files]  # type: ignore[attr-defined]
        if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
            raise ValueError(f"data.files: more than one file is called {', '.join(twice)}; predict them one by one")

    def on_predict_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """One audio file."""
        assert isinstance(pl_module, TaskModel)
        name, estimate = outputs
        stem = self.folder / f"{Path(name).stem}.{pl_module.head.task}"
        stem.parent.mkdir(parents=True, exist_ok=True)
        written = self._write(stem, estimate)
        trainer.print(f"{name}: {', '.join(map(str, written))}")

    def _write(self, stem: Path, estimate: Estimate) -> list[Path]:
        written = []
        if len(estimate.spans):
            rows = [
                f"{start_s:.3f}\t{label}" if start_s == end_s else f"{start_s:.3f}\t{end_s:.3f}\t{label}"
                for start_s, end_s, label in estimate.spans
            ]
            written.append(stem.with_name(f"{stem.name}.lab"))
            written[-1].write_text("\n".join(rows) + "\n")
        whole: Mapping[str, Any] = {
            key: value
            for key, value in (("whole", estimate.whole), ("probabilities", dict(estimate.probabilities)))
            if value
        }
        if whole:
            written.append(stem.with_name(f"{stem.name}.json"))
            written[-1].write_text(json.dumps(whole, indent=2) + "\n")
        return written
