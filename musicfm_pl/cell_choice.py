"""Which cells of a grid are launched: those that a pattern names, none of them stale, and what they need done."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from musicfm_pl.cells import Cell, GridError

if TYPE_CHECKING:
    from musicfm_pl.grid import Status

_NAMED = 5
"""Cells that a message names at most."""


def chosen_cells(cells: Sequence[Cell], only: str) -> list[Cell]:
    """The cells whose runs a pattern fits.

    Raises:
        GridError: There is none.
    """
    chosen = [cell for cell in cells if fnmatch.fnmatchcase(cell.run, only)]
    if not chosen:
        some = ", ".join(cell.run for cell in cells[:3])
        raise GridError(f"--only: {only} fits none of the {len(cells)} runs ({some}, ...)")
    return chosen


def ready_cells(chosen: Sequence[Cell], statuses: Mapping[str, Status]) -> list[Cell]:
    """Cells as a launcher takes them: they need each other, and what is done, but nothing else.

    Raises:
        GridError: A cell, or one that it needs, is stale, or what it needs is neither chosen nor done.
    """
    own = {cell.run for cell in chosen}
    needed = dict.fromkeys(need for cell in chosen for need in cell.needs if need not in own)
    if stale := [run for run in (*needed, *(cell.run for cell in chosen)) if statuses[run].state == "stale"]:
        lines = [f"  {run}: {statuses[run].detail}" for run in stale[:_NAMED]]
        lines += [f"  and {len(stale) - _NAMED} more; without --launch all are listed"] * (len(stale) > _NAMED)
        raise GridError(
            "these results were made with other settings than the grid asks for:\n" + "\n".join(lines) + "\n"
            "Remove their directories to make them anew, or give the grid another root"
        )
    if missing := [need for need in needed if statuses[need].state != "done"]:
        named = ", ".join(f"{need} ({statuses[need].state})" for need in missing[:_NAMED])
        raise GridError(
            f"--only: what the cells need is not done: {named}{', ...' * (len(missing) > _NAMED)}; run it first, or "
            "choose a pattern that fits it, too"
        )
    return [replace(cell, needs=tuple(need for need in cell.needs if need in own)) for cell in chosen]
