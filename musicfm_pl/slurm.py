"""Runs as Slurm jobs, through submitit: a single one, or the cells of a grid as arrays that wait for one another."""

from __future__ import annotations

import os
import signal
import traceback
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, final

from rich.console import Console

from musicfm_pl.cell_process import run_rank
from musicfm_pl.cells import Cell
from musicfm_pl.exit_codes import TERMINATED, TRY_AGAIN
from musicfm_pl.grid import FAILED, is_done, note
from musicfm_pl.launch import ENTRY
from musicfm_pl.results import write_aside
from musicfm_pl.slurm_queue import JOB_NAME, job_of, queued_jobs

if TYPE_CHECKING:
    from submitit import SlurmExecutor
    from submitit.helpers import DelayedSubmission

_FOLDER = "slurm"
"""Below the run directory, or the root of a grid: what submitit needs, and what jobs print before a log is open."""
_DEFAULTS: Mapping[str, Any] = {
    "job_name": "musicfm",
    "time": 24 * 60,  # minutes
    "signal_delay_s": 120,
    # Lightning reads the number of tasks from what sbatch was asked for.
    "ntasks_per_node": 1,
    # A rank that died takes the others with it; those that were told to stop have this long to do so.
    "srun_args": ["--wait=60"],
}
_ENDLESS = 1_000_000
"""How often a job is queued anew when its time is up: as often as it takes."""


@final
class RunJob:
    """One command of `musicfm`, as submitit calls it on the node.

    Args:
        arguments: Of the command.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)

    def __call__(self) -> None:
        """Runs the command."""
        from musicfm_pl.cli import main

        _queued_anew_if_preempted(lambda: main(self.arguments))

    def checkpoint(self) -> DelayedSubmission:
        """What submitit is to run when the job is queued anew: the same, which goes on from where it was saved."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@final
class CellJob:
    """One cell of a grid, as submitit calls it on the node.

    Args:
        cell: The cell.
        entry: `module:function` that takes the arguments of one command.
    """

    def __init__(self, cell: Cell, entry: str) -> None:
        self.cell = cell
        self.entry = entry

    def __call__(self) -> None:
        """Runs the cell, unless it is done; waits while another launcher runs it."""
        rank = int(os.environ.get("SLURM_PROCID", "0"))
        job = f"{os.environ.get('SLURM_JOB_ID')}.{os.environ.get('SLURM_RESTART_COUNT', '0')}"
        _queued_anew_if_preempted(lambda: self._run(rank, job))

    def _run(self, rank: int, job: str) -> None:
        try:
            run_rank(self.cell, self.entry, rank, job)
        except SystemExit as error:
            if rank == 0 and error.code == TERMINATED:
                note(self.cell, "[grid] stopped")
            elif rank == 0 and error.code not in (None, 0, TRY_AGAIN):
                note(self.cell, f"{FAILED}: {error.code if isinstance(error.code, str) else f'exit code {error.code}'}")
            raise
        except BaseException as error:
            traceback.print_exc()
            if rank == 0:
                note(self.cell, f"{FAILED}: {error}")
            raise SystemExit(1) from error

    def checkpoint(self) -> DelayedSubmission:
        """See `RunJob.checkpoint`."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


def _queued_anew_if_preempted(work: Callable[[], None]) -> None:
    """Passes the signal that stopped a run on to submitit, whose handler has Slurm queue the job anew."""
    try:
        work()
    except SystemExit as error:
        if error.code == TRY_AGAIN:
            signal.raise_signal(signal.SIGUSR2)
        raise


def submit_run(arguments: Sequence[str], run_dir: Path, parameters: Mapping[str, Any], console: Console) -> None:
    """Submits one command of `musicfm`.

    Args:
        arguments: Of the command, its name first.
        run_dir: Of the run.
        parameters: What the job asks for, see `grid.grid`.
        console: Takes the number of the job.

    Raises:
        ValueError: Slurm has a job of this run already, or a parameter is unknown.
        ImportError: submitit is not installed.
    """
    if job := job_of(run_dir, queued_jobs()):
        raise ValueError(f"--launch: {run_dir} was given to Slurm already, as job {job}; scancel it first")
    job = _executor(run_dir, parameters).submit(RunJob(arguments)).job_id
    _remember(run_dir, job)
    console.print(f"job {job}: {' '.join(arguments)}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"log: {run_dir / _FOLDER / f'{job}_0_log.out'}", markup=False, highlight=False, soft_wrap=True)


def submit_cells(cells: Sequence[Cell], parameters: Mapping[str, Any], console: Console, entry: str = ENTRY) -> None:
    """Submits what is left of a grid, and does not wait for it.

    Cells that wait for the same jobs are one array. What is done is not submitted, nor what Slurm has already; what
    another launcher is running is, and waits for it, so that others can wait for the job.

    Args:
        cells: Of `read_grid`.
        parameters: What each job asks for, see `grid.grid`.
        console: Takes a line for each array.
        entry: `module:function` that takes the arguments of one command.

    Raises:
        ValueError: A parameter is unknown.
        ImportError: submitit is not installed.
    """
    queue = queued_jobs()
    done = {cell.run for cell in cells if is_done(cell)}
    jobs = {cell.run: job for cell in cells if cell.run not in done and (job := job_of(cell.run_dir, queue))}
    console.print(f"{len(cells)} cells: {len(done)} done, {len(jobs)} given to Slurm before", highlight=False)
    while left := [cell for cell in cells if cell.run not in done and cell.run not in jobs]:
        arrays: dict[tuple[str, ...], list[Cell]] = defaultdict(list)
        for cell in left:
            needs = [need for need in cell.needs if need not in done]
            if all(need in jobs for need in needs):
                arrays[tuple(sorted({jobs[need] for need in needs}))].append(cell)
        for after, array in arrays.items():
            found = _submit_array(array, after, parameters, entry)
            jobs |= {cell.run: job for cell, job in zip(array, found, strict=True)}
            waits = f", after {', '.join(after)}" if after else ""
            for cell, job in zip(array, found, strict=True):
                console.print(f"job {job}: {cell.run}{waits}", markup=False, highlight=False, soft_wrap=True)


def _submit_array(cells: Sequence[Cell], after: Sequence[str], parameters: Mapping[str, Any], entry: str) -> list[str]:
    root = cells[0].run_dir.parents[len(PurePosixPath(cells[0].run).parts) - 1]
    executor = _executor(root, parameters)
    if after:
        executor.update_parameters(dependency="afterok:" + ":".join(after))
    jobs = [job.job_id for job in executor.submit_array([CellJob(cell, entry) for cell in cells])]
    for cell, job in zip(cells, jobs, strict=True):
        _remember(cell.run_dir, job)
    return jobs


def _executor(folder: Path, parameters: Mapping[str, Any]) -> SlurmExecutor:
    try:
        from submitit import SlurmExecutor
    except ImportError as error:
        raise ImportError("--launch slurm needs submitit: pip install -e '.[slurm]'") from error
    try:
        executor = SlurmExecutor(folder / _FOLDER, max_num_timeout=_ENDLESS)
    except RuntimeError as error:
        raise OSError(f"--launch slurm: there is no Slurm on this machine ({error})") from error
    # Without the second, a job whose needs have failed would wait for ever.
    more = {"requeue": True, "kill-on-invalid-dep": "yes", **parameters.get("additional_parameters", {})}
    executor.update_parameters(**{**_DEFAULTS, **parameters, "additional_parameters": more})
    return executor


def _remember(run_dir: Path, job: str) -> None:
    run_dir.mkdir(parents=True, exist_ok=True)
    write_aside(run_dir / JOB_NAME, f"{job}\n")
