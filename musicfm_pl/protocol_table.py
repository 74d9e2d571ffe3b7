"""A test on the console: its figures under every protocol side by side, and tags one by one."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from musicfm_pl.protocols.presets import protocols
from musicfm_pl.results import Evaluation, RunResult


def show_protocols(result: RunResult, console: Console) -> None:
    """Prints the figures of a run, the notes of its own protocol, and what others do not reproduce.

    Figures that a protocol is about are bold. Figures of single tags have a table of their own, in which those that
    cannot be scored are not defined.
    """
    evaluations = result.evaluations
    headlines = {protocol.name: protocol.headline for protocol in protocols(result.task)}
    grid = Table(title=f"{result.task} on {result.corpus} ({result.num_tracks} tracks, split {result.split})")
    grid.add_column("figure")
    for name in evaluations:
        grid.add_column(f"{name}\n(this run)" if name == result.protocol else name, justify="right")
    for figure in _figures(evaluations):
        cells = []
        for name, evaluation in evaluations.items():
            text = number(evaluation.summary.get(figure))
            cells.append(f"[bold]{text}[/]" if figure in headlines.get(name, ()) else text)
        grid.add_row(figure, *cells)
    # A file has no width, and a table that is cut says nothing.
    width = None if console.is_terminal else 200
    console.print(grid, width=width)
    if (tags := _by_tag(result)).row_count:
        console.print(tags, width=width)
    seen: set[str] = set()
    for name, evaluation in evaluations.items():
        for note in evaluation.notes:
            if note not in seen:
                console.print(f"• {name}: {note}", markup=False, highlight=False, soft_wrap=True)
            seen.add(note)


def number(value: float | None) -> str:
    """A figure with three digits, or that it is not defined."""
    return "not defined" if value is None else f"{value:.3f}"


def _figures(evaluations: Mapping[str, Evaluation]) -> list[str]:
    """Figures of the whole set, in the order of the first protocol that has them."""
    return list(dict.fromkeys(name for e in evaluations.values() for name in e.summary if "/" not in name))


def _by_tag(result: RunResult) -> Table:
    """Average precision and ROC-AUC of each tag that the head knows, the best one first."""
    summary = result.summary
    known: dict[str, float | None] = {tag: None for track in result.tracks for tag in track.tags}
    precision = known | {name.removeprefix("ap/"): value for name, value in summary.items() if name.startswith("ap/")}
    grid = Table(title="tag by tag")
    grid.add_column("tag")
    grid.add_column("AP", justify="right")
    grid.add_column("ROC-AUC", justify="right")
    for tag, value in sorted(precision.items(), key=lambda item: (item[1] is None, -(item[1] or 0.0), item[0])):
        grid.add_row(tag, number(value), number(summary.get(f"auc/{tag}")))
    return grid
