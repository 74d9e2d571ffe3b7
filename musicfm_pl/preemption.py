"""A run that is told to stop: it finishes its step, saves and ends with a code that says whether it should go on."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator, Mapping
from types import FrameType, MappingProxyType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from musicfm_pl.exit_codes import TERMINATED, TRY_AGAIN
from musicfm_pl.last_checkpoint import LastCheckpoint

_CODES: Mapping[signal.Signals, int] = MappingProxyType(
    {
        # The first is what Slurm is asked for by `--signal`, the second is submitit's.
        signal.SIGUSR1: TRY_AGAIN,
        signal.SIGUSR2: TRY_AGAIN,
        signal.SIGTERM: TERMINATED,
    }
)


class Preemption(L.Callback):
    """Ends training after the step in which SIGUSR1, SIGUSR2 or SIGTERM came, with that step saved and logged.

    Lightning's own handlers save from within the handler. That may be in the middle of a step, between the weights and
    the count of batches, and on several ranks in the middle of an exchange of gradients; what goes on from there is not
    the same run. Here the handler only takes note. The ranks agree, after each step, on whether one of them was told.

    Args:
        last: Saves the run.
    """

    def __init__(self, last: LastCheckpoint) -> None:
        self.last = last
        self._told = 0  # the exit code
        self._leaving = 0
        self._seen_step = -1
        self._group: Any = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """From here on signals are noted; Lightning puts back what was there when training is over."""
        self._told = TERMINATED if trainer.received_sigterm else 0
        self._leaving, self._seen_step = 0, trainer.global_step
        for number in _CODES:
            signal.signal(number, self._note)
        if trainer.world_size > 1 and self._group is None:
            # On the CPU, whatever the gradients use: to look at a number on the GPU would wait for all work there.
            self._group = torch.distributed.new_group(backend="gloo")

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._told = max(self._told, _CODES[signal.Signals(number)])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Saves if told; gradients that wait for more batches are not saved, and a run at its end is left to end."""
        if trainer.global_step in (self._seen_step, trainer.max_steps):
            return
        self._seen_step = trainer.global_step
        self._leaving = self._agreed()
        if self._leaving:
            self.last.save_after_step(trainer)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Leaves; by now the last step is logged, and validated if that was due.

        Raises:
            SystemExit: With the code.
        """
        if self._leaving:
            trainer.print(f"told to stop: saved after step {trainer.global_step}; the same command goes on from there")
            for logger in trainer.loggers:
                logger.save()
            # Whoever started the ranks may end the others as soon as one is gone.
            trainer.strategy.barrier()
            raise SystemExit(self._leaving)

    def _agreed(self) -> int:
        if self._group is None:
            return self._told
        told = torch.tensor(self._told)
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX, self._group)
        return int(told)


@contextlib.contextmanager
def preemptible() -> Iterator[None]:
    """Around a command: a signal outside training ends it at once, with the same exit codes.

    A handler that is there already, such as submitit's, is left alone.

    Raises:
        SystemExit: A signal came.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(_CODES[signal.Signals(number)])

    ours = [number for number in _CODES if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, leave)
    try:
        yield
    except SIGTERMException as error:
        # Lightning's word for it, whose code would be none, which means success.
        raise SystemExit(TERMINATED) from error
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)
