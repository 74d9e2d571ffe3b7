"""Callbacks that stop a run, slow it down and watch it; named in the options of `musicfm fit`."""

from __future__ import annotations

import os
import shutil
import signal
import time
import zlib
from pathlib import Path

import lightning as L

from data_modules.batches import PretrainBatch


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


class KillAt(L.Callback):
    """What a machine does that loses its power, in the midst of a training step.

    Args:
        step: The last that was finished.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: object) -> None:
        if trainer.global_step == self.step:
            os.kill(os.getpid(), signal.SIGKILL)


class CopyRun(L.Callback):
    """Keeps what a run would have left behind, had it ended after a step and before its checkpoint.

    Args:
        step: Number of the step.
        to: A folder that is not there yet.
    """

    def __init__(self, step: int, to: Path) -> None:
        self.step = step
        self.to = to

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step and trainer.is_global_zero:
            shutil.copytree(trainer.default_root_dir, self.to)
