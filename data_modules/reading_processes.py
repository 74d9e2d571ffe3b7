"""What a process that reads ahead for training does about signals: it leaves them to the process that it reads for."""

from __future__ import annotations

import signal
from types import FrameType

_GRACE_S = 60
"""A reader that was told to end ends after this long by itself: training has saved and left by then."""


def leave_signals_to_trainer(worker: int) -> None:
    """To be called in each worker of a `DataLoader`, as its `worker_init_fn`.

    Slurm, a terminal and a launcher send their signals to all processes of a run at once. A worker that ended at once
    would take the training step down with it, before the run is saved. A second SIGTERM, such as the `DataLoader`'s
    own, still ends it.

    Args:
        worker: Its number; all do the same.
    """
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_later)


def _end_later(number: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(_GRACE_S)
