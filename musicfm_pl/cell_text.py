"""Figures, cells, intervals and sizes in words, as every form of the leaderboard has them."""

from __future__ import annotations

from collections.abc import Sequence

from musicfm_pl.analysis.intervals import Interval
from musicfm_pl.standings import Cell, Figure, Row


def number(value: float, figure: Figure) -> str:
    """A figure with its digits; thousands are parted."""
    return f"{value:,.{figure.digits}f}"


def cell_text(cell: Cell, figure: Figure, seeds: Sequence[int]) -> str:
    """A cell in words: mean, spread, and the number of seeds where it is not that of the table."""
    if not cell.by_seed:
        return "not run"
    if cell.mean is None:
        return "n/d"
    text = number(cell.mean, figure)
    # What cannot differ between seeds, such as chance or the number of steps, has no spread to show.
    if cell.std is not None and not (figure.task == "pretrain" and cell.std == 0):
        text += f" ± {number(cell.std, figure)}"
    return text if not cell.is_drawn or len(cell.values) == len(seeds) else f"{text} ({seeds_text(len(cell.values))})"


def interval_text(interval: Interval | None, figure: Figure) -> str:
    """An interval such as "0.512–0.633"; empty if there is none."""
    if interval is None:
        return ""
    low, high = (number(value, figure).replace("-", "−") for value in (interval.low, interval.high))
    return f"{low} to {high}" if interval.low < 0 else f"{low}–{high}"


def seeds_text(num: int) -> str:
    """A number of seeds, as one says it."""
    return "1 seed" if num == 1 else f"{num} seeds"


def parameters(row: Row) -> str:
    """The size of an encoder: "0", "812 k" or "3.4 M"."""
    if row.num_parameters < 1000:
        return str(row.num_parameters)
    thousands = row.num_parameters / 1e3
    return f"{thousands:.0f} k" if thousands < 1000 else f"{thousands / 1e3:,.1f} M"
