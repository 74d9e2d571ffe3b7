"""What the processes of one cell do: take the lock, send output to the log, run the commands in order."""

from __future__ import annotations

import fcntl
import importlib
import multiprocessing
import os
import shlex
import signal
import sys
import threading
import time
from dataclasses import replace
from typing import BinaryIO

from musicfm_pl.cells import Cell
from musicfm_pl.cli import MODEL_COMMANDS
from musicfm_pl.exit_codes import TERMINATED, TRY_AGAIN
from musicfm_pl.grid import LOCK_NAME, is_done
from musicfm_pl.wall_time import counted

GRACE_S = 20.0
"""Time for a cell to stop by itself before it is killed; Lightning ends its batch first."""
_LOCK_TRIES = 10
_LOCK_WAIT_S = 0.1
_POLL_S = 0.5


def run_cell(cell: Cell, entry: str, threads: int) -> None:
    """Runs a cell for a launcher on this machine, in the present process, which ends afterwards.

    Args:
        cell: The cell.
        entry: `module:function` that takes the arguments of one command.
        threads: For torch, where it is loaded.

    Raises:
        SystemExit: With `TRY_AGAIN` if the cell is locked, else as its commands do; with a message if they
            end well but leave no valid results.json.
    """
    # A group of its own: Ctrl-C reaches the launcher alone, and the launcher reaches the workers of the cell.
    os.setsid()
    threading.Thread(target=_end_with_launcher, daemon=True).start()
    lock = _lock(cell)
    if lock is None:
        raise SystemExit(TRY_AGAIN)
    with lock:
        if is_done(cell):
            return
        _write_to_log(cell)
        if torch := sys.modules.get("torch"):
            torch.set_num_threads(threads)
        with counted(cell.run_dir):
            run_commands(cell, entry)


def run_rank(cell: Cell, entry: str, rank: int, job: str) -> None:
    """Runs a cell as one of the processes of a job, once no other launcher is running it.

    Args:
        cell: The cell.
        entry: `module:function` that takes the arguments of one command.
        rank: Of the process. The first holds the lock and writes the log, the others follow it.
        job: What tells this start of this job from all others.

    Raises:
        SystemExit: See `run_cell`.
    """
    if rank:
        if _follows(cell, job):
            run_commands(cell, entry, follows=True)
        return
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    with (cell.run_dir / LOCK_NAME).open("a+b") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        if is_done(cell):
            return
        lock.truncate(0)
        lock.write(job.encode())
        lock.flush()
        _write_to_log(cell)
        with counted(cell.run_dir):
            run_commands(cell, entry)


def _follows(cell: Cell, job: str) -> bool:
    """Whether the first process of the job runs the cell: waits until it does, or until the cell is done."""
    lock = cell.run_dir / LOCK_NAME
    while not is_done(cell):
        if lock.exists() and lock.read_text() == job:
            return True
        time.sleep(_POLL_S)
    return False


def run_commands(cell: Cell, entry: str, follows: bool = False) -> None:
    """Runs the commands of a cell one after the other, in this process.

    Args:
        cell: The cell.
        entry: `module:function` that takes the arguments of one command.
        follows: Whether another process of the job runs them, too. Commands that train or test no model are left to
            that one; what they write is waited for.

    Raises:
        SystemExit: As the commands do; with a message if they end well but leave no valid results.json.
    """
    module, _, function = entry.partition(":")
    main = getattr(importlib.import_module(module), function)
    program = sys.argv[0]
    for command in cell.commands:
        if follows and command[0] not in MODEL_COMMANDS:
            for file in replace(cell, commands=(command,)).files:
                while not file.exists():
                    time.sleep(_POLL_S)
            continue
        print(f"[grid] {shlex.join(command)}", flush=True)
        # As if it had been typed: Lightning starts further processes of a run from this.
        sys.argv = [program, *command]
        try:
            main(list(command))
        except SystemExit as error:
            # Lightning tells of SIGTERM by a subclass, whose code is none: that is no success.
            if error.code or type(error) is not SystemExit:
                raise SystemExit(error.code or TERMINATED) from error
    if not is_done(cell):
        raise SystemExit(f"the commands ended well, but left no valid results.json in {cell.run_dir}")


def _lock(cell: Cell) -> BinaryIO | None:
    """The lock, held until the file is closed or the process ends; not by the workers that it forks."""
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    file = (cell.run_dir / LOCK_NAME).open("a+b")
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            # Whoever lists the grid holds the lock for an instant, to see whether it is free.
            time.sleep(_LOCK_WAIT_S)
    file.close()
    return None


def _write_to_log(cell: Cell) -> None:
    with cell.log.open("ab") as log:
        for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
            stream.flush()
            os.dup2(log.fileno(), number)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)


def _end_with_launcher() -> None:
    """Stops the cell when its launcher is gone, even if that was killed: nobody would take its result."""
    launcher = multiprocessing.parent_process()
    if launcher is None:
        return
    launcher.join()
    os.killpg(0, signal.SIGTERM)
    time.sleep(GRACE_S)
    os.killpg(0, signal.SIGKILL)
