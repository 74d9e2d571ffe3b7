"""What a run leaves behind: `results.json`, and predictions as label files."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import torch
import yaml
from rich.console import Console
from torch.distributed.fsdp import FSDPModule

from data_modules.order import mixed_seed
from data_modules.pretrain import PretrainData
from data_modules.shards import corpus_in
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.encoder_file import FILE, EncoderFile, write_encoder
from musicfm_pl.guard import TrainingGuard
from musicfm_pl.heads.base import Estimate
from musicfm_pl.protocol_table import show_protocols
from musicfm_pl.protocols.presets import OWN
from musicfm_pl.provenance import config_digest, machine, versions
from musicfm_pl.results import Evaluation, Role, RunResult, TrackResult, run_name, write_aside, write_result
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.systems.task import TaskModel


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

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The figures of a task under every protocol; they are printed, too."""
        if not isinstance(pl_module, TaskModel) or not trainer.is_global_zero or pl_module.judge is None:
            return
        data, judge, head = pl_module.data, pl_module.judge, pl_module.head
        groups = {entry.track_id: entry.group for entry in data.entries(data.test_split)}
        left_out = data.left_out(data.test_split)
        without = [
            f"{left_out} tracks of the {data.test_split} split carry no {head.kind} labels and are left out"
        ] * bool(left_out)
        evaluations = {
            name: Evaluation(
                summary=scores.summary,
                notes=[*scores.notes, *without],
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

    def _write(self, trainer: L.Trainer, encoder: Encoder, **figures: Any) -> RunResult:
        data = trainer.datamodule  # type: ignore[attr-defined]
        card = data.prepared.card
        config = yaml.safe_load((self.run_dir / "config.yaml").read_text())
        device = trainer.strategy.root_device
        accelerator = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
        # A test on another corpus than that of the training, or another split, must not replace the result on its own.
        home = config["data"]["init_args"]["root"]
        own = Path(home).resolve() == Path(data.root).resolve()
        split = getattr(data, "test_split", "test")
        elsewhere = [Path(data.root).name] * (not own) + [split] * (split != "test")
        folder = self.result_dir or (self.run_dir / "-".join(["on", *elsewhere]) if elsewhere else self.run_dir)
        trained_on = card["corpus"] if own else corpus_in(home)
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
            **figures,
        )
        if self.result_dir is not None:  # a result is read with the configuration beside it
            folder.mkdir(parents=True, exist_ok=True)
            write_aside(folder / "config.yaml", (self.run_dir / "config.yaml").read_text())
        write_result(folder, result)
        trainer.print(f"results: {folder / 'results.json'}")
        return result


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
