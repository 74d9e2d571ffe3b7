"""One process trains in a run directory: two would write over each other's checkpoints."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from pathlib import Path
from typing import Literal, TextIO

import lightning as L

from musicfm_pl.checkpoint_files import LAST, PREVIOUS

_NAME = ".fit.lock"
_WAIT_S = 60.0
"""A job that was queued anew may begin before the last process of its former start has ended."""


class RunLock(L.Callback):
    """Held by the first rank while a run is trained; it goes with the process, however that ends.

    Args:
        run_dir: Of the run.
        wait_s: How long to wait for another process to end.
        goes_on_from: The checkpoint that was found in the run directory, which must still be the one to go on from
            when the lock is held; None if another was asked for.
    """

    def __init__(
        self, run_dir: Path, wait_s: float = _WAIT_S, goes_on_from: Path | Literal["the start"] | None = None
    ) -> None:
        self.run_dir = run_dir
        self.wait_s = wait_s
        self.goes_on_from = goes_on_from
        self._file: TextIO | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Takes it, for `fit`.

        Raises:
            ValueError: Another process has it, or had it until now and has trained meanwhile.
        """
        if stage != "fit" or not trainer.is_global_zero:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        file = (self.run_dir / _NAME).open("a+")
        began_s = time.monotonic()
        said = False
        while True:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                waited_s = time.monotonic() - began_s
                file.seek(0)
                holder = file.read().strip() or "unknown"
                if waited_s > self.wait_s:
                    file.close()
                    raise ValueError(
                        f"--run_dir: {self.run_dir} is being trained by another process ({holder}); end that one, or "
                        f"name another directory"
                    ) from error
                if waited_s >= 1 and not said:
                    trainer.print(f"waiting for {holder}, which trains in {self.run_dir}: {self.wait_s:g} s at most")
                    said = True
                time.sleep(min(1.0, self.wait_s))
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        self._file = file
        self._check_where_it_stands()

    def _check_where_it_stands(self) -> None:
        if self.goes_on_from is None:
            return
        files = [self.run_dir / "checkpoints" / name for name in (LAST, PREVIOUS)]
        now = next((file for file in files if file.exists()), "the start")
        if now != self.goes_on_from:
            self._release()
            raise ValueError(
                f"--run_dir: another process has trained in {self.run_dir} since this one looked: it stands at {now}, "
                f"not at {self.goes_on_from}; give the same command again to go on from there"
            )

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
