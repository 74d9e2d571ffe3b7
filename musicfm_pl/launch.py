"""Runs the cells of a grid on this machine, each in a process forked from one that has loaded torch."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import FrameType

from rich.console import Console
from rich.markup import escape

from musicfm_pl.cell_process import GRACE_S, run_cell
from musicfm_pl.cells import Cell
from musicfm_pl.exit_codes import TRY_AGAIN
from musicfm_pl.grid import FAILED, is_done, is_locked, last_lines, note

ENTRY = "musicfm_pl.cli:main"
PRELOAD = ("musicfm_pl.cli", "musicfm_pl.experiment")
"""Imported once, by the process that the cells are forked from: some six seconds of torch and Lightning."""

_POLL_S = 0.5
_HEARTBEAT_S = 30.0
_LOG_LINES = 15
_LOGS_SHOWN = 3


@dataclass
class _Running:
    cell: Cell
    process: ForkServerProcess
    start_s: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self.start_s), 60)
        return f"{minutes}:{seconds:02d}"


def run_cells(
    cells: Sequence[Cell], jobs: int, console: Console, entry: str = ENTRY, preload: Sequence[str] = PRELOAD
) -> int:
    """Runs what is left of a grid, each cell once those it needs are done.

    Args:
        cells: Of `read_grid`.
        jobs: Cells at a time; the cores are divided among them.
        console: Takes a line when a cell starts and ends, and in between how far it is.
        entry: `module:function` that takes the arguments of one command.
        preload: Modules that the cells find imported.

    Returns:
        The exit code: 0 if all is done, 1 if a cell failed, 130 or 143 if SIGINT or SIGTERM came.

    Raises:
        ValueError: No cell at a time.
        ImportError: What is to be preloaded cannot be imported.
    """
    if jobs < 1:
        raise ValueError(f"--jobs: {jobs}, but it takes at least one cell at a time")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = max(1, cores // jobs)
    # OpenMP reads this when torch is loaded, so it must be there before the forkserver starts.
    os.environ["OMP_NUM_THREADS"] = str(threads)
    # To ask CUDA itself whether it is there would spoil it for every process that is forked later.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(preload))
    with _interrupts() as received:
        return _Launcher(cells, jobs, console, context, entry, threads, received).run()


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Collects SIGINT and SIGTERM, so that the cells can be stopped in order."""
    received: list[int] = []

    def receive(number: int, _: FrameType | None) -> None:
        received.append(number)

    before = {number: signal.signal(number, receive) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Launcher:
    def __init__(
        self,
        cells: Sequence[Cell],
        jobs: int,
        console: Console,
        context: ForkServerContext,
        entry: str,
        threads: int,
        received: list[int],
    ) -> None:
        self.cells = cells
        self.jobs = jobs
        self.console = console
        self.context = context
        self.entry = entry
        self.threads = threads
        self.received = received
        self.done = {cell.run for cell in cells if is_done(cell)}
        self.failed: set[str] = set()
        self.announced: set[str] = set()
        self.running: dict[str, _Running] = {}
        self.beat_s = time.monotonic()

    def run(self) -> int:
        """Until nothing is left to do, or a signal is received."""
        self._say(f"{len(self.cells)} cells, {len(self.done)} done already; {self.jobs} at a time")
        status = self.console.status("") if self.console.is_terminal else None
        with status or contextlib.nullcontext():
            while not self.received and (self.running or self._pending()):
                self._start_ready()
                if self.running:
                    wait([running.process.sentinel for running in self.running.values()], timeout=_POLL_S)
                else:
                    # What is left belongs to another launcher: this one waits for it.
                    time.sleep(_POLL_S)
                for running in list(self.running.values()):
                    if not running.process.is_alive():
                        self._end(running)
                if status is not None:
                    status.update(escape(self._progress()))
                elif time.monotonic() - self.beat_s > _HEARTBEAT_S:
                    self.beat_s = time.monotonic()
                    self._say(self._progress())
        return self._stop() if self.received else self._conclude()

    def _blocked(self) -> dict[str, str]:
        """Cells that cannot run, and the failed or blocked one that each would need."""
        blocked: dict[str, str] = {}
        size = -1
        while size != len(blocked):
            size = len(blocked)
            for cell in self.cells:
                for need in cell.needs:
                    if cell.run not in self.done and (need in self.failed or need in blocked):
                        blocked.setdefault(cell.run, need)
        return blocked

    def _pending(self) -> list[Cell]:
        settled = self.done | self.failed | self.running.keys() | self._blocked().keys()
        return [cell for cell in self.cells if cell.run not in settled]

    def _start_ready(self) -> None:
        for cell in self._pending():
            if len(self.running) >= self.jobs or self.received:
                return
            if not self.done.issuperset(cell.needs) or is_locked(cell):
                continue
            if is_done(cell):
                self.done.add(cell.run)
                continue
            if not self.announced:
                self._say("importing torch and Lightning, once for all cells")
            if cell.run not in self.announced:
                self._say(f"start   {cell.run}")
            self.announced.add(cell.run)
            self._start(cell)

    def _start(self, cell: Cell) -> None:
        process = self.context.Process(target=run_cell, args=(cell, self.entry, self.threads), name=cell.run)
        try:
            process.start()
        except (EOFError, ConnectionError) as error:
            if self.received:
                return
            raise ImportError(
                "the process that preloads torch died; import musicfm_pl.experiment to see why"
            ) from error
        self.running[cell.run] = _Running(cell, process)

    def _end(self, ended: _Running) -> None:
        cell, code = ended.cell, ended.process.exitcode
        ended.process.close()
        del self.running[cell.run]
        if code == 0:
            self.done.add(cell.run)
            self._say(f"done    {cell.run}  {ended.elapsed}  ({len(self.done)} of {len(self.cells)})")
        elif code != TRY_AGAIN:
            reason = f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
            if code == -signal.SIGKILL:
                reason += ", perhaps for want of memory"
            self.failed.add(cell.run)
            note(cell, f"{FAILED} after {ended.elapsed}: {reason}")
            self._say(f"FAILED  {cell.run}  {ended.elapsed}  {reason}; see {cell.log}")

    def _progress(self) -> str:
        lines = []
        for running in self.running.values():
            lines.append(f"running {running.cell.run}  {running.elapsed}")
            if running.cell.log.exists():
                lines.append(f"        {last_lines(running.cell.log, 1)[: self.console.width - 9]}")
        return "\n".join(lines) or "waiting for another launcher"

    def _stop(self) -> int:
        """Ends the cells: first by SIGTERM, then, at a second signal or when time is up, by SIGKILL."""
        number = self.received[0]
        self._say(f"{signal.Signals(number).name}: stopping {', '.join(self.running) or 'nothing'}; again to kill")
        for running in self.running.values():
            _signal(running.process, signal.SIGTERM)
        until_s = time.monotonic() + GRACE_S
        while len(self.received) == 1 and time.monotonic() < until_s:
            alive = [r.process.sentinel for r in self.running.values() if r.process.is_alive()]
            if not alive:
                break
            wait(alive, timeout=_POLL_S)
        for running in self.running.values():
            if running.process.is_alive():
                _signal(running.process, signal.SIGKILL)
            running.process.join()
            note(running.cell, f"[grid] stopped after {running.elapsed}")
        self._say(f"stopped; {len(self.done)} of {len(self.cells)} are done, launch again to go on")
        return 128 + number

    def _conclude(self) -> int:
        # Cells of one stage often fail alike: a few logs tell it, and each was named when it failed.
        for cell in [cell for cell in self.cells if cell.run in self.failed][:_LOGS_SHOWN]:
            self._say(f"\n{cell.run} failed; the last lines of {cell.log}:")
            self._say("\n".join(f"  {line}" for line in last_lines(cell.log, _LOG_LINES).splitlines()))
        for run, need in self._blocked().items():
            self._say(f"blocked {run}: needs {need}")
        self._say(f"{len(self.done)} of {len(self.cells)} cells are done, {len(self.failed)} failed")
        return 1 if self.failed else 0

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)


def _signal(process: ForkServerProcess, number: signal.Signals) -> None:
    """To the cell and to the workers it started; to the cell alone if it has no group of its own yet."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)
