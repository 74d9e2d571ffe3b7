"""Where the cells of a grid stand, and the command that lists or launches them."""

from __future__ import annotations

import fcntl
import graphlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from musicfm_pl.asked_settings import Asker
from musicfm_pl.cell_choice import chosen_cells, ready_cells
from musicfm_pl.cells import Cell, read_grid
from musicfm_pl.made_from import Needs
from musicfm_pl.results import FILE_NAME, ResultError, read_result
from musicfm_pl.slurm_queue import JOB_NAME, job_of, queued_jobs
from musicfm_pl.wall_time import took_text

LOCK_NAME = ".lock"
FAILED = "[grid] failed"
"""How the last line of a failed cell's log begins."""
COSTS_HINT = "--costs true adds what each cell takes (parameters, steps, audio, GPU hours, memory) and what it took"

State = Literal["done", "stale", "running", "queued", "waiting", "failed", "to run"]
COLOURS: Mapping[State, str] = {
    "done": "green",
    "stale": "magenta",
    "running": "cyan",
    "queued": "blue",
    "failed": "red",
    "waiting": "dim",
    "to run": "",
}


@dataclass(frozen=True)
class Status:
    """Where a cell stands, and why."""

    state: State
    detail: str = ""


def grid(
    file: Path,
    launch: Literal["local", "slurm"] | None = None,
    jobs: int = 1,
    scale: str | None = None,
    only: str | None = None,
    costs: bool = False,
    card: str = "h100",
    slurm: dict[str, Any] | None = None,
) -> None:
    """Lists the cells of a grid of experiments and where each stands, or runs what is left of it.

    A cell is done when its directory holds a valid results.json, and what its commands write by `--out` is there.
    Launching again goes on: what is done is not
    repeated, what failed or was interrupted is tried again, what another launcher is running is left to it. A cell
    is stale if its result was made with other settings of `fit`, `baseline` or `kmeans` than the grid asks for now, or
    from a run that is not done any more or has been made anew with others; it is named, and not launched.

    Args:
        file: YAML with `root`, and `stages` of `run`, `axes`, `needs` and `commands`; each combination of a
            stage's axes is a cell. `{axis}` and `{run_dir}` stand for their values; a value of an axis may be a
            mapping of several such names to values, which then vary together. Paths count from the current directory.
        launch: `local` runs the cells on this machine, `slurm` submits them as job arrays; without it they are listed.
        jobs: Cells at a time on this machine; the cores are divided among them.
        scale: Of a grid that has `scales` the one to run, by default the first. `{scale}` stands for it, and an axis
            may give each scale a list of its own.
        only: Cells whose runs this pattern fits, such as `pretrain/*`, and no others; what they need must be done.
        costs: Whether to list what each cell takes, too: parameters, steps, hours of audio, tokens, GPU hours, memory.
        card: The GPU of which hours are told, as in `musicfm plan`: h200, h100, a100-80, l40s, rtx4090, ...
        slurm: What each job asks for, by the names of sbatch's options: `--slurm.partition gpu --slurm.time 600`
            (minutes) `--slurm.gpus_per_node 1`; see submitit's SlurmExecutor. `array_parallelism` limits the cells
            at a time.

    Raises:
        ValueError: Costs are asked for together with a launch, or of an unknown card.
        GridError: The file is no grid; the message names the key. Cells to be launched, or what they need, are stale;
            what is needed is not done.
        SystemExit: With 1 if a cell failed, with 130 or 143 if interrupted.
    """
    cells = read_grid(file, scale)
    statuses = all_statuses(cells)
    chosen = cells if only is None else chosen_cells(cells, only)
    if costs and launch:
        raise ValueError("--costs tells what cells take before they are launched; give it without --launch")
    if costs:
        from musicfm_pl.costs.grid_costs import show_costs

        show_costs(cells, chosen, statuses, card, Console())
        return
    if launch is None:
        console = Console()
        show({cell.run: statuses[cell.run] for cell in chosen}, console)
        if took := took_text(chosen):
            console.print(took, highlight=False)
        console.print(COSTS_HINT, style="dim", highlight=False, soft_wrap=True)
        return
    cells = ready_cells(chosen, statuses)
    if launch == "slurm":
        from musicfm_pl.slurm import submit_cells

        submit_cells(cells, slurm or {}, Console())
        return
    from musicfm_pl.launch import run_cells

    code = run_cells(cells, jobs, Console())
    if code:
        raise SystemExit(code)


def status(cell: Cell, statuses: Mapping[str, Status], queue: Mapping[str, str], asker: Asker, needs: Needs) -> Status:
    """Where a cell stands.

    Args:
        cell: The cell.
        statuses: Of the cells that it needs.
        queue: See `slurm_queue.queued_jobs`.
        asker: Reads what the cell asks for.
        needs: Knows what the cell was made from.
    """
    detail = ""
    if (cell.run_dir / FILE_NAME).exists():
        try:
            result = read_result(cell.run_dir)
            differing = [*asker.differences(cell, result), *needs.made_anew(cell, result)]
            stale = [
                f"it was made from {need}, which is {statuses[need].state}"
                for need in cell.needs
                if statuses[need].state != "done"
            ]
            reasons = "; ".join([*differing, *stale])
            if reasons:
                return Status("stale", reasons)
            missing = [file for file in cell.files if not file.exists()]
            if not missing:
                return Status("done")
            detail = f"{missing[0]} is missing"
        except ResultError as error:
            detail = str(error)
    if is_locked(cell):
        return Status("running", str(cell.log))
    if job := job_of(cell.run_dir, queue):
        return Status("queued", f"job {job}, {queue[job]}")
    open_needs = [need for need in cell.needs if statuses[need].state != "done"]
    if open_needs:
        return Status("waiting", f"for {', '.join(open_needs)}")
    if cell.log.exists() and (end := last_lines(cell.log, 2)).rpartition("\n")[2].startswith(FAILED):
        before, _, last = end.rpartition("\n")
        return Status("failed", f"{last.removeprefix(FAILED).strip()}: {before or 'it said nothing'}; see {cell.log}")
    return Status("to run", detail)


def is_done(cell: Cell) -> bool:
    """Whether the cell has a result that can be read, and all other files that its commands write."""
    try:
        read_result(cell.run_dir)
    except (FileNotFoundError, ResultError):
        return False
    return all(file.exists() for file in cell.files)


def all_statuses(cells: Sequence[Cell]) -> dict[str, Status]:
    """Where every cell of a grid stands, by run, in the order of the cells."""
    by_run = {cell.run: cell for cell in cells}
    found: dict[str, Status] = {}
    # Slurm is asked only where it was given something: it may be installed here without serving.
    queue = queued_jobs() if any((cell.run_dir / JOB_NAME).exists() for cell in cells) else {}
    asker, needs = Asker(), Needs(cells)
    for run in graphlib.TopologicalSorter({cell.run: cell.needs for cell in cells}).static_order():
        found[run] = status(by_run[run], found, queue, asker, needs)
    return {cell.run: found[cell.run] for cell in cells}


def is_locked(cell: Cell) -> bool:
    """Whether some process is running the cell now: the lock goes with the process, however that ends."""
    try:
        with (cell.run_dir / LOCK_NAME).open("r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def last_lines(log: Path, number: int) -> str:
    """The end of a log, without what progress bars wrote over."""
    with log.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - 100_000))
        text = file.read().decode("utf-8", errors="replace")
    # A progress bar rewrites its line after a carriage return, or moves up to it.
    lines = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line.rstrip("\r").rpartition("\r")[2]) for line in text.split("\n")]
    return "\n".join([line for line in lines if line.strip()][-number:])


def note(cell: Cell, line: str) -> None:
    """Adds a line to the log of a cell."""
    cell.run_dir.mkdir(parents=True, exist_ok=True)
    with cell.log.open("a", encoding="utf-8") as log:
        log.write(f"\n{line}\n")


def show(statuses: Mapping[str, Status], console: Console) -> None:
    """Prints where cells stand, by run, and the count of each state."""
    table = Table(show_edge=False, pad_edge=False)
    for title in ("run", "state", ""):
        table.add_column(title, overflow="fold")
    for run, found in statuses.items():
        table.add_row(escape(run), found.state, escape(found.detail), style=COLOURS[found.state])
    console.print(table)
    console.print(counts(statuses), highlight=False)


def counts(statuses: Mapping[str, Status]) -> str:
    """How many cells stand where, in a line."""
    states = [found.state for found in statuses.values()]
    return f"{len(states)} cells: " + ", ".join(f"{states.count(one)} {one}" for one in COLOURS if one in states)
