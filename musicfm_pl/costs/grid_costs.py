"""The cells of a grid as a table: where each stands, what it takes, and what it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from musicfm_pl.cells import Cell
from musicfm_pl.costs.cards import card_named
from musicfm_pl.costs.cell_costs import Costs, Estimator
from musicfm_pl.costs.plan import SHARE_OF_PEAK
from musicfm_pl.grid import COLOURS, Status, counts
from musicfm_pl.results import read_result
from musicfm_pl.wall_time import duration, read_wall_time, took_text

_TITLES = ("run", "state", "parameters", "steps", "audio h", "tokens", "GPU h", "memory", "took", "")


def show_costs(
    cells: Sequence[Cell], chosen: Sequence[Cell], statuses: Mapping[str, Status], card: str, console: Console
) -> None:
    """Prints cells with what they take, and the sum.

    Args:
        cells: Of the grid.
        chosen: Those to be listed.
        statuses: Of all, by run.
        card: The GPU, as `musicfm plan` calls it.
        console: To print to.

    Raises:
        ValueError: There is no such card.
    """
    named = card_named(card)
    estimator = Estimator(cells, named)
    found = {cell.run: estimator.costs(cell) for cell in chosen}
    table = Table(show_edge=False, pad_edge=False)
    for number, title in enumerate(_TITLES):
        table.add_column(title, justify="right" if 2 <= number < len(_TITLES) - 1 else "left", overflow="fold")
    uncounted: list[float] = []
    for cell in chosen:
        status, costs = statuses[cell.run], found[cell.run]
        took = ""
        if clock := read_wall_time(cell.run_dir):
            took = duration(clock.seconds)
        elif status.state in ("done", "stale"):
            # Of what no launcher counted, the result knows how long its last command ran.
            uncounted.append(read_result(cell.run_dir).seconds)
            took = f"≥ {duration(uncounted[-1])}"
        said = "; ".join(text for text in (status.detail, costs.remark) if text)
        figures = (*_figures(costs), took)
        table.add_row(escape(cell.run), status.state, *figures, escape(said), style=COLOURS[status.state])
    console.print(table)
    console.print(counts({cell.run: statuses[cell.run] for cell in chosen}), highlight=False)
    left = [found[cell.run] for cell in chosen if statuses[cell.run].state != "done"]
    for title, costs_of in (("all", list(found.values())), ("left", left)):
        console.print(f"{title + ':':<6}{_sum(costs_of, named.name)}", highlight=False)
    if text := took_text(chosen):
        console.print(text, highlight=False)
    if uncounted:
        said = (
            f"{duration(sum(uncounted))} in the last commands of {len(uncounted)} cells whose wall time was not counted"
        )
        console.print(f"took: {said}", highlight=False)
    console.print(
        f"GPU hours: {SHARE_OF_PEAK:.0%} of the card's stated peak in the precision of each run are assumed, heads and "
        "tests not counted; hidden states that probes share are counted where they are first wanted, in float32. "
        "Devices that are found only when a run begins (auto) count as one.",
        style="dim",
        highlight=False,
    )


def _figures(costs: Costs) -> Iterable[str]:
    yield "" if costs.parameters is None else f"{costs.parameters / 1e6:,.2f} M" if costs.parameters else "none"
    yield "" if costs.steps is None else f"{costs.steps:,}"
    yield "" if costs.audio_hours is None else f"{costs.audio_hours:,.1f}"
    yield "" if costs.tokens is None else f"{costs.tokens / 1e6:,.2f} M"
    yield "" if costs.gpu_hours is None else _hours(costs.gpu_hours)
    yield "" if costs.memory is None else f"{costs.memory / 2**30:.1f} GiB"


def _hours(hours: float) -> str:
    """Three digits, and no more than hundredths."""
    return "<0.01" if 0 < hours < 0.01 else f"{hours:,.2f}" if hours < 10 else f"{hours:,.0f}"


def _sum(costs: Sequence[Costs], card: str) -> str:
    audio = sum(one.audio_hours or 0 for one in costs)
    hours = sum(one.gpu_hours or 0 for one in costs)
    untold = sum(one.gpu_hours is None for one in costs)
    more = f", without {untold} cells of which it cannot be told" if untold else ""
    return f"{len(costs)} cells, {audio:,.1f} h of audio heard, {_hours(hours)} hours of one {card}{more}"
