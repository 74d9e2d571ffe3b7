"""`musicfm curves`: how pretraining runs went, validation by validation, as a table, CSV and a drawing."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from rich import markup
from rich.console import Console
from rich.table import Table

from musicfm_pl.event_logs import Curve, folders_with_scalars, logged_scalars
from musicfm_pl.results import run_name, write_aside

FIGURES: Mapping[str, str] = {
    "loss_above_chance": "loss - ln K",
    "loss_above_unigram": "loss - entropy of the tokens",
    "masked_accuracy": "masked accuracy",
    "perplexity": "perplexity of the tokens",
    "dead_codes": "codes never a target",
    "commonest_accuracy": "share of the commonest code",
}
"""What is shown of `val/...`, and how a drawing calls it."""
_COLOURS = ("#1b6ca8", "#d1495b", "#3d8b37", "#8d5fa8", "#c77d0a", "#4c4c4c")
_PANEL, _MARGIN, _LINE = (300, 170), 46, 16
"""Width and height of a panel, the space around it, the height of a line of text, in pixels."""


def curves(runs: Path, out: Path | None = None) -> None:
    """Shows the curves of pretraining runs: loss beside chance, accuracy, and how tokens use their codebook.

    Loss is cross-entropy at masked tokens of the validation split, in nats. ln K is what guessing blindly gives, the
    entropy what knowing only the frequencies of codes gives: below 0 something was learnt.

    Args:
        runs: A pretraining run, or a folder with some below it, as their TensorBoard logs have them.
        out: A folder to write `curves.csv` and `curves.svg` into.

    Raises:
        FileNotFoundError: There is no run that was validated.
    """
    found = read_curves(runs)
    console = Console(highlight=False)
    for run, by_figure in found.items():
        console.print(_table(run, by_figure))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_aside(out / "curves.csv", as_csv(found))
        write_aside(out / "curves.svg", as_svg(found))
        console.print(f"written: {out / 'curves.csv'}, {out / 'curves.svg'} (a browser shows it)", markup=False)


def read_curves(runs: Path) -> dict[str, dict[str, Curve]]:
    """Curves by run and figure.

    Raises:
        FileNotFoundError: There is no run that was validated.
    """
    found: dict[str, dict[str, Curve]] = {}
    for folder in folders_with_scalars(runs):
        if logged := logged_scalars(folder, [f"val/{figure}" for figure in FIGURES]):
            by_figure = {name.removeprefix("val/"): curve for name, curve in logged.items()}
            found[run_name(folder)] = found.get(run_name(folder), {}) | by_figure
    if not found:
        raise FileNotFoundError(f"--runs: no pretraining run below {runs} has been validated")
    return {run: found[run] for run in sorted(found)}


def _steps(by_figure: Mapping[str, Curve]) -> list[int]:
    return sorted({step for curve in by_figure.values() for step in curve})


def _table(run: str, by_figure: Mapping[str, Curve]) -> Table:
    table = Table(title=markup.escape(run), title_justify="left", show_edge=False, pad_edge=False)
    for title in ("step", *(name for name in FIGURES if name in by_figure)):
        table.add_column(title.replace("_", " "), justify="right", overflow="fold")
    for step in _steps(by_figure):
        row = [by_figure[name].get(step) for name in FIGURES if name in by_figure]
        table.add_row(str(step), *("" if value is None else f"{value:.4g}" for value in row))
    return table


def as_csv(found: Mapping[str, Mapping[str, Curve]]) -> str:
    """One row for each run and step."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["run", "step", *FIGURES])
    for run, by_figure in found.items():
        for step in _steps(by_figure):
            rows.writerow([run, step, *(by_figure.get(name, {}).get(step, "") for name in FIGURES)])
    return text.getvalue()


def as_svg(found: Mapping[str, Mapping[str, Curve]]) -> str:
    """A panel for each figure, a line for each run."""
    width, height = (size + 2 * _MARGIN for size in _PANEL)
    columns, names = 3, list(FIGURES)
    lines = -(-len(names) // columns)
    parts = []
    for number, name in enumerate(names):
        left, top = number % columns * width + _MARGIN, number // columns * height + _MARGIN
        drawn = {run: by_figure[name] for run, by_figure in found.items() if by_figure.get(name)}
        parts += [f'<g transform="translate({left},{top})">', *_panel(FIGURES[name], drawn, list(found)), "</g>"]
    for number, run in enumerate(found):
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<text x="{_MARGIN}" y="{lines * height + number * _LINE}" fill="{colour}">{escape(run)}</text>')
    total = lines * height + len(found) * _LINE
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{columns * width}" height="{total}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" fill="white"/>\n'
        + "\n".join(parts)
        + "\n</svg>\n"
    )


def _panel(title: str, drawn: Mapping[str, Curve], runs: Sequence[str]) -> list[str]:
    wide, high = _PANEL
    parts = [
        f'<text x="0" y="-8" font-weight="bold">{escape(title)}</text>',
        f'<rect width="{wide}" height="{high}" fill="none" stroke="#bbb"/>',
    ]
    if not drawn:
        return parts
    steps = [step for curve in drawn.values() for step in curve]
    values = [value for curve in drawn.values() for value in curve.values()]
    low, top, last = min(values), max(values), max(max(steps), 1)
    span = (top - low) or 1.0
    for run, curve in drawn.items():
        points = " ".join(
            f"{step / last * wide:.1f},{high - (value - low) / span * high:.1f}"
            for step, value in sorted(curve.items())
        )
        colour = _COLOURS[runs.index(run) % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
    for y, value in ((10, top), (high, low)):
        parts.append(f'<text x="-4" y="{y}" text-anchor="end">{value:.3g}</text>')
    parts.append(f'<text x="{wide}" y="{high + 14}" text-anchor="end">step {last}</text>')
    return parts
