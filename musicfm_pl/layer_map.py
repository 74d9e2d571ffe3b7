"""Which layer of an encoder knows what: scores by layer and task, as a table and as a heat map."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape

from rich.console import Console
from rich.table import Table as Grid

from musicfm_pl.analysis.intervals import sampled
from musicfm_pl.analysis.leads import leads
from musicfm_pl.cell_text import cell_text
from musicfm_pl.results import Role, RunResult, Stage
from musicfm_pl.standings import FIGURES, Cell, Figure, refuse_doubles

_LEAST_RANGE = 0.05
"""Figures that differ by less over the layers are not stretched over the whole scale: noise should look like noise."""
_SIDE, _LABEL, _HEAD = (58, 30), 108, 22
"""Width and height of a cell, width of the figures' names, height of the layers' names, in pixels."""


@dataclass(frozen=True)
class LayerMap:
    """Scores of one encoder by layer, on one corpus under one protocol.

    Attributes:
        name: The encoder, as the runs call it.
        layers: The hidden states that were probed, rising; 0 is the input of the first layer.
        figures: Those that at least two layers have, in the order of the leaderboard.
        cells: Figures over seeds, by layer and figure, of what was run, defined or not; the layer None is a learned
            weighting of all.
        ahead: The layer of each figure that is ahead of every other, where there is one: see `analysis.leads`.
    """

    name: str
    corpus: str
    corpus_note: str
    licence: str
    split: str
    stage: Stage
    protocol: str
    layers: tuple[int, ...]
    figures: tuple[Figure, ...]
    cells: Mapping[tuple[int | None, Figure], Cell]
    ahead: Mapping[Figure, int] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[int | None, ...]:
        """The layers, and the weighting of all where there is one."""
        return (*self.layers, *([None] if any(layer is None for layer, _ in self.cells) else []))

    def mean(self, layer: int | None, figure: Figure) -> float | None:
        """Mean over seeds; None if it was not run or is not defined."""
        cell = self.cells.get((layer, figure))
        return None if cell is None else cell.mean

    def warmth(self, layer: int | None, figure: Figure) -> float | None:
        """Where a mean lies between the lowest (0) and the highest (1) of its figure; None if there is none."""
        mean = self.mean(layer, figure)
        if mean is None:
            return None
        means = [value for column in self.columns if (value := self.mean(column, figure)) is not None]
        middle, half = (max(means) + min(means)) / 2, max(max(means) - min(means), _LEAST_RANGE) / 2
        return (mean - middle + half) / (2 * half)


def layer_maps(results: Iterable[RunResult]) -> tuple[LayerMap, ...]:
    """The maps that some results allow: a pure function of them, whatever their order.

    An encoder has a map where runs on at least two of its layers share a figure that is defined. What no table has
    together, no map has.

    Raises:
        ValueError: Two runs claim the same place: the same layer, task and seed of a map.
    """
    groups: dict[tuple[str, str, str, str, str, Stage, str, Role], list[RunResult]] = {}
    for run in results:
        if run.is_task_at_home:
            of = (run.corpus, run.corpus_note, run.licence, run.split, run.protocol, run.stage, run.name, run.role)
            groups.setdefault(of, []).append(run)
    found = []
    for (corpus, note, licence, split, protocol, stage, name, _), runs in sorted(groups.items()):
        refuse_doubles(runs)
        cells: dict[tuple[int | None, Figure], dict[int | None, float | None]] = {}
        runs_of: dict[tuple[int | None, Figure], list[RunResult]] = {}
        for run in sorted(runs, key=lambda run: run.run):
            for figure in FIGURES:
                if figure.task == run.task:
                    value = run.summary.get(figure.metric)
                    cells.setdefault((run.layer, figure), {})[run.seed] = value
                    if value is not None:
                        runs_of.setdefault((run.layer, figure), []).append(run)
        figures = tuple(
            figure for figure in FIGURES if sum(f == figure and layer is not None for layer, f in runs_of) > 1
        )
        if figures:
            kept = {(layer, figure): Cell(by_seed) for (layer, figure), by_seed in cells.items() if figure in figures}
            layers = tuple(sorted({layer for layer, _ in kept if layer is not None}))
            ahead = _ahead(layers, figures, kept, runs_of)
            found.append(LayerMap(name, corpus, note, licence, split, stage, protocol, layers, figures, kept, ahead))
    return tuple(found)


def _ahead(
    layers: Sequence[int],
    figures: Sequence[Figure],
    cells: Mapping[tuple[int | None, Figure], Cell],
    runs_of: Mapping[tuple[int | None, Figure], Sequence[RunResult]],
) -> dict[Figure, int]:
    """Single layers that are ahead of every other by a difference that holds, corrected over the whole map."""
    of_layers = [[cells.get((layer, figure), Cell({})) for figure in figures] for layer in layers]
    samples = [
        [sampled(runs, figure.metric) if (runs := runs_of.get((layer, figure))) else None for figure in figures]
        for layer in layers
    ]
    found = zip(figures, leads(of_layers, samples), strict=True)
    return {figure: layers[lead.row] for figure, lead in found if lead is not None and lead.holds}


def layer_heading(found: LayerMap) -> str:
    """What a map is of."""
    kind = "Fine-tuned layers" if found.stage == "finetune" else "Layers"
    corpus = f"{found.corpus} ({found.corpus_note})" if found.corpus_note else found.corpus
    return f"{kind} of {found.name} on {corpus}"


def layer_note(found: LayerMap) -> str:
    """How to read a map."""
    seeds = {len(cell.values) for cell in found.cells.values() if cell.values}
    number = f"{min(seeds)} to {max(seeds)}" if len(seeds) > 1 else str(max(seeds))
    return (
        f"Split {found.split}, protocol {found.protocol}, licence {found.licence}, "
        f"mean over {number} seed{'' if seeds == {1} else 's'}. "
        "Layer 0 is the input of the first layer; “all” is a learned weighting. Bold: a single layer "
        "that is ahead of every other by a difference that holds, corrected for all comparisons of the map."
    )


def rows(found: LayerMap) -> list[list[str]]:
    """The map as text: a row a figure, its title first, then a mean for each of `columns`, worded as in tables."""
    return [[figure.title, *(_text(found, layer, figure) for layer in found.columns)] for figure in found.figures]


def layer_titles(found: LayerMap) -> list[str]:
    """Names of the columns of `rows`."""
    return ["Layer", *("all" if layer is None else str(layer) for layer in found.columns)]


def bold_rows(found: LayerMap, opening: str, closing: str) -> list[list[str]]:
    """`rows` with the layer that is ahead in each figure between two marks."""
    return [
        [title, *(f"{opening}{text}{closing}" if _is_ahead(found, layer, figure) else text for layer, text in line)]
        for figure, (title, *texts) in zip(found.figures, rows(found), strict=True)
        for line in [list(zip(found.columns, texts, strict=True))]
    ]


def show_map(found: LayerMap, console: Console) -> None:
    """Prints a map, layers down where they do not fit across."""
    console.print(f"\n{layer_heading(found)}", style="bold", markup=False, highlight=False)
    console.print(layer_note(found), style="dim", markup=False, highlight=False)
    lines = [layer_titles(found), *bold_rows(found, "[bold green]", "[/]")]
    if 12 + 8 * len(found.columns) > console.width:
        lines = [list(line) for line in zip(*lines, strict=True)]
    table = Grid(show_edge=False, pad_edge=False)
    for number, title in enumerate(lines[0]):
        table.add_column(title, justify="right" if number else "left")
    for line in lines[1:]:
        table.add_row(*line)
    console.print(table)


def heat_map(found: LayerMap) -> str:
    """A map as inline SVG: a row a figure, each with its own scale, a cell a layer; styled by the page."""
    (width, height), columns = _SIDE, found.columns
    total = _LABEL + width * len(columns), _HEAD + height * len(found.figures)
    parts = [f'<text class="quiet name" x="0" y="{_HEAD - 8}">Layer</text>'] + [
        f'<text class="quiet" x="{_LABEL + width * (number + 0.5)}" y="{_HEAD - 8}">{escape(title)}</text>'
        for number, title in enumerate(layer_titles(found)[1:])
    ]
    for row, figure in enumerate(found.figures):
        top = _HEAD + height * row
        middle = top + height / 2
        parts.append(f'<text class="name" x="0" y="{middle}">{escape(figure.title)}</text>')
        for number, layer in enumerate(columns):
            left = _LABEL + width * number
            warmth = found.warmth(layer, figure)
            if warmth is not None:
                parts.append(
                    f'<rect x="{left + 1}" y="{top + 1}" width="{width - 2}" height="{height - 2}" rx="3" '
                    f'fill-opacity="{0.04 + 0.56 * warmth:.3f}"/>'
                )
            kind = ' class="ahead"' if _is_ahead(found, layer, figure) else ""
            text = escape(_text(found, layer, figure))
            parts.append(f'<text{kind} x="{left + width / 2}" y="{middle}">{text}</text>')
    return (
        f'<svg class="layers" width="{total[0]}" height="{total[1]}" viewBox="0 0 {total[0]} {total[1]}" role="img" '
        f'aria-label="{escape(layer_heading(found))}">{"".join(parts)}</svg>'
    )


def _text(found: LayerMap, layer: int | None, figure: Figure) -> str:
    mean = found.mean(layer, figure)
    if mean is None:
        return cell_text(found.cells.get((layer, figure), Cell({})), figure, ())
    return f"{mean:.{figure.digits}f}"


def _is_ahead(found: LayerMap, layer: int | None, figure: Figure) -> bool:
    return layer is not None and found.ahead.get(figure) == layer


def layer_sections(maps: Sequence[LayerMap]) -> str:
    """All maps as sections of the page; empty if there is none."""
    return "".join(
        f"<section>\n<h2>{escape(layer_heading(found))}</h2>\n<p>{escape(layer_note(found))}</p>\n"
        f'<div class="wide layers" tabindex="0">{heat_map(found)}</div>\n'
        '<p class="quiet">Colour: each figure from its lowest mean to its highest, at least '
        f"{_LEAST_RANGE} apart.</p>\n</section>\n"
        for found in maps
    )
