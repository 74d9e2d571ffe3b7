"""One process trains in a run directory: two would write over each other's checkpoints."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import TextIO

import lightning as L

_NAME = ".fit.lock"
_WAIT_S = 60.0
"""A job that was queued anew may begin before the last process of its former start has ended."""


class RunLock(L.Callback):
    """Held by the first rank while a run is trained; it goes with the process, however that ends.

    Args:
        run_dir: Of the run.
        wait_s: How long to wait for another process to end.
    """

    def __init__(self, run_dir: Path, wait_s: float = _WAIT_S) -> None:
        self.run_dir = run_dir
        self.wait_s = wait_s
        self._file: TextIO | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Takes it, for `fit`.

        Raises:
            ValueError: Another process has it.
        """
        if stage != "fit" or not trainer.is_global_zero:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        file = (self.run_dir / _NAME).open("a+")
        until_s = time.monotonic() + self.wait_s
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if time.monotonic() > until_s:
                    file.seek(0)
                    holder = file.read().strip() or "unknown"
                    file.close()
                    raise ValueError(
                        f"--run_dir: {self.run_dir} is being trained by another process ({holder}); end that one, or "
                        f"name another directory"
                    ) from error
                time.sleep(min(1.0, self.wait_s))
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._file = file

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Gives it back."""
        self._release()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Gives it back, where there is no teardown."""
        self._release()

    def _release(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
