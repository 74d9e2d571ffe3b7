"""A corpus of eight short made-up tracks with labels of all five kinds, and an encoder of a few thousand parameters.

The tests put this folder on the path of Python, so that the processes which `musicfm` starts find it too.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, final

import lightning as L
import numpy as np

from data_modules import SAMPLE_RATE
from data_modules.batches import PretrainBatch
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.labels import check
from data_modules.spans import Spans
from musicfm_pl.cli import main

REPOSITORY = Path(__file__).parents[2]
EXPERIMENTS = REPOSITORY / "experiments"
DURATION_S = 20.3
BEAT_S = 0.5
_SPLITS: tuple[Split, ...] = ("train", "train", "train", "train", "val", "val", "test", "test")
_DEGREES = (0, 5, 7, 0)
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@final
class Miniature(Corpus):
    """Chords of sines over clicks.

    Args:
        delay_s: Time that loading a track takes at least.
        bad: Names of tracks that cannot be used.
    """

    name: ClassVar[str] = "miniature"
    licence: ClassVar[str] = "CC0"

    def __init__(self, delay_s: float = 0.0, bad: Sequence[str] = ()) -> None:
        self.delay_s = delay_s
        self.bad = bad

    def items(self) -> Sequence[Item]:
        return [Item(f"song{number}", f"song{number}", split) for number, split in enumerate(_SPLITS)]

    def load(self, item: Item) -> Track:
        time.sleep(self.delay_s)
        if item.track_id in self.bad:
            raise BadTrack(f"{item.track_id}: made\tup to be bad")
        number = int(item.track_id.removeprefix("song"))
        rng = np.random.default_rng(number)
        time_N = np.arange(round(DURATION_S * SAMPLE_RATE)) / SAMPLE_RATE
        waveform_N = 0.01 * rng.standard_normal(len(time_N))
        beats_s = np.arange(0.25, DURATION_S, BEAT_S)
        for beat_s in beats_s:
            waveform_N += 0.2 * np.exp(-((time_N - beat_s) ** 2) / 1e-4) * np.sin(9000 * time_N)
        chords = []
        for bar, start_s in enumerate(beats_s[::4]):
            root, end_s = (number + _DEGREES[bar % 4]) % 12, min(start_s + 4 * BEAT_S, DURATION_S)
            inside = (time_N >= start_s) & (time_N < end_s)
            for step in (0, 4 if number % 2 else 3, 7):
                waveform_N[inside] += 0.1 * np.sin(2 * np.pi * 220 * 2 ** ((root + step) / 12) * time_N[inside])
            chords.append((start_s, end_s, f"{_NAMES[root]}:{'maj' if number % 2 else 'min'}"))
        mode = "major" if number % 2 else "minor"
        labels: dict[Kind, Spans] = {
            "beat": Spans.events(beats_s, [str(beat % 4 + 1) for beat in range(len(beats_s))]),
            "chord": Spans.of(chords),
            "section": Spans.of([(0.25, 8.25, "verse"), (8.25, 16.25, "chorus"), (16.25, DURATION_S, "outro")]),
            "key": Spans.of([(0.25, DURATION_S, f"{_NAMES[number % 12]} {mode}")]),
            "tag": Spans.of([(0.0, DURATION_S, mode), (0.0, DURATION_S, "low" if number % 4 < 2 else "high")]),
        }
        check(labels, DURATION_S, item.track_id)
        return Track(item, waveform_N.astype(np.float32), labels)


_QUIET = (
    *("--data.num_workers", "0", "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)


def pretraining(data: Path, run: Path, steps: int, *more: str | Path) -> list[str]:
    """What follows `musicfm fit` for the smallest Conformer, with four batches an epoch."""
    return [
        *("--config", str(EXPERIMENTS / "pretrain" / "small.yaml"), "--data.root", str(data), "--run_dir", str(run)),
        *("--model.encoder.dim", "32", "--model.encoder.num_layers", "2", "--model.encoder.num_heads", "2"),
        *("--model.encoder.ffn_dim", "48", "--model.encoder.conv_channels", "4", "--model.tokenizer.num_codes", "32"),
        *("--data.batch_size", "4", "--trainer.max_steps", str(steps), *_QUIET, *map(str, more)),
    ]


def probing(task: str, data: Path, run: Path, *more: str | Path) -> list[str]:
    """What follows `musicfm fit` for a short training of one task; the encoder is to be added."""
    return [
        *("--config", str(EXPERIMENTS / "tasks" / f"{task}.yaml"), "--data.root", str(data), "--run_dir", str(run)),
        *("--data.batch_size", "4", "--data.clip_s", "5", "--data.cache_window_s", "10"),
        *("--trainer.max_steps", "3", "--trainer.val_check_interval", "3", *_QUIET, *map(str, more)),
    ]


def encoder(name: str, run: Path | None = None) -> list[str]:
    """What names the encoder of a task: `Pretrained` or `Untrained` of a run, or `MelFrames`."""
    if name == "MelFrames":
        return ["--model.encoder", "musicfm_pl.encoders.mel_frames.MelFrames"]
    return ["--model.encoder", f"musicfm_pl.encoders.pretrained.{name}", "--model.encoder.run", str(run)]


def environment() -> dict[str, str]:
    """Of a process that knows `miniature` and uses one core."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def command(*arguments: str | Path) -> list[str]:
    """`musicfm` with these arguments, as `subprocess` wants it."""
    return [sys.executable, "-c", "from musicfm_pl.cli import main; main()", *map(str, arguments)]


def musicfm(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs `musicfm` as a process of its own, to its end."""
    return subprocess.run(
        command(*arguments), env=environment(), cwd=cwd, capture_output=True, text=True, timeout=300, check=False
    )


def succeed(*arguments: str | Path) -> None:
    """Runs `musicfm` in this process, which saves the import of torch; any failure raises."""
    before = sys.argv
    try:
        main([str(argument) for argument in arguments])
    finally:
        sys.argv = before


def fail(*arguments: str | Path) -> tuple[int, str]:
    """Runs `musicfm` in this process.

    Returns:
        The exit code (0 if it did not fail), and all that it wrote to stderr.
    """
    stderr = io.StringIO()
    code = 0
    try:
        with contextlib.redirect_stderr(stderr):
            succeed(*arguments)
    except SystemExit as exit_:
        assert isinstance(exit_.code, int)
        code = exit_.code
    return code, stderr.getvalue()


class InterruptAt(L.Callback):
    """What Ctrl-C does, after a training step.

    Args:
        step: Number of the step.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            raise KeyboardInterrupt


class Pause(L.Callback):
    """Makes a run slow enough to be killed.

    Args:
        pause_s: After every training step.
    """

    def __init__(self, pause_s: float) -> None:
        self.pause_s = pause_s

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        time.sleep(self.pause_s)


class Seen(L.Callback):
    """Adds a line for every batch to the file that the environment names in SEEN: a digest of its clean mel."""

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: PretrainBatch, batch_idx: int
    ) -> None:
        with Path(os.environ["SEEN"]).open("a") as file:
            file.write(f"{zlib.crc32(batch.mel_BMF.numpy().tobytes()):08x}\n")
