"""Callbacks that stop a run, slow it down and watch it; named in the options of `musicfm fit`."""

from __future__ import annotations

import multiprocessing
import os
import resource
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


class SignalAt(L.Callback):
    """Sends a signal to this process in the middle of a step: the gradients are there, the weights are not changed yet.

    Args:
        step: Number of the step, from 1.
        number: Of the signal.
        group: Whether all processes of this one's group are signalled, as Slurm does it.
        rank: Of the only process that does so.
    """

    def __init__(self, step: int, number: int, group: bool = False, rank: int = 0) -> None:
        self.step = step
        self.number = number
        self.group = group
        self.rank = rank

    def on_before_optimizer_step(self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: object) -> None:
        if trainer.global_step == self.step - 1 and trainer.global_rank == self.rank:
            (os.killpg if self.group else os.kill)(os.getpid(), self.number)


class InterruptValidation(L.Callback):
    """Ends a run in the validation that follows a step.

    Args:
        step: Number of the step.
        number: Of the signal that is sent; None for what Ctrl-C does.
    """

    def __init__(self, step: int, number: int | None = None) -> None:
        self.step = step
        self.number = number

    def on_validation_batch_start(self, trainer: L.Trainer, *_: object, **__: object) -> None:
        if trainer.global_step == self.step:
            if self.number is None:
                raise KeyboardInterrupt
            os.kill(os.getpid(), self.number)


class KillReader(L.Callback):
    """Kills one of the processes that read clips, as the system does for want of memory.

    Args:
        step: Number of the step after which.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)


class CutShort(L.Callback):
    """Takes the end of a file away, as a copy over it does that breaks off.

    Args:
        step: Number of the step after which.
        file: Which loses its last quarter.
    """

    def __init__(self, step: int, file: Path) -> None:
        self.step = step
        self.file = Path(file)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            os.truncate(self.file, self.file.stat().st_size * 3 // 4)


class FullDisk(L.Callback):
    """No file of this process may grow beyond a size, from some step on.

    Args:
        step: Number of the step.
        num_bytes: The size.
    """

    def __init__(self, step: int, num_bytes: int) -> None:
        self.step = step
        self.num_bytes = num_bytes

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step - 1:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.num_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


class ClockJump(L.Callback):
    """The clock of the machine goes back by a year, and later on to where it would be.

    Args:
        step: Number of the step in which it jumps back; it jumps on in the next.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._time = time.time

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        real = self._time
        time.time = (lambda: real() - 365 * 86400.0) if trainer.global_step == self.step - 1 else real

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        time.time = self._time
