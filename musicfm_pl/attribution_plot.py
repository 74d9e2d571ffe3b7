"""Shares of variance as a drawing, and the command that splits the variance of results by factors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table as Grid

from musicfm_pl.analysis.attribution import Attribution, attributions
from musicfm_pl.analysis.factors import read_runs
from musicfm_pl.analysis.relations import p_text
from musicfm_pl.relations_text import share_lines
from musicfm_pl.results import write_aside

_NAME, _BAR, _ROW, _GAP = 150, 380, 20, 14
"""Room for names, length of a full bar, height of a line, and between figures, in pixels."""
_STYLE = (
    "text{font:13px system-ui,sans-serif;dominant-baseline:central;fill:#1d2430}"
    "rect{fill:#0b6e63}.rest{fill:#9aa3af}.title{font-weight:600}.axis{stroke:#e2e0d8}"
)


def attribution(results: list[Path] | Path = Path("runs"), out: Path | None = None) -> None:
    """Says how much of the variance of each score each factor explains over the runs of a grid.

    Main effects and pairs, by an analysis of variance of type II; it needs `pip install -e '.[study]'`.

    Args:
        results: Directories in which every `results.json` counts, at whatever depth.
        out: Directory for attribution.svg; none is written without it.

    Raises:
        FileNotFoundError: A directory does not exist.
        ResultError: A `results.json` cannot be used, or was made with another configuration than lies beside it.
        ValueError: No factor varies among the results.
    """
    roots = [results] if isinstance(results, Path) else results
    found = attributions(*read_runs(roots))
    if not found:
        raise ValueError(
            f"--results: among the results under {', '.join(map(str, roots))} no factor varies; it takes a grid of "
            "pretrained encoders, with the config.yaml of each run and of its pretraining"
        )
    console = Console()
    for corpus in dict.fromkeys(one.corpus for one in found):
        console.print(f"\n{corpus}", style="bold", markup=False, highlight=False)
        grid = Grid(show_edge=False, pad_edge=False)
        for title in ("Figure", "Factor", "Share", "p"):
            grid.add_column(title, overflow="fold")
        for one in found:
            for line in share_lines(one) if one.corpus == corpus else []:
                grid.add_row(one.figure.title, *line)
        console.print(grid)
    shown = [one for one in found if not one.refused]
    if out is not None and shown:
        out.mkdir(parents=True, exist_ok=True)
        write_aside(out / "attribution.svg", plot(shown, alone=True) + "\n")
        console.print(f"wrote {out / 'attribution.svg'}", highlight=False, soft_wrap=True)


def plot(found: Sequence[Attribution], alone: bool = False) -> str:
    """Bars of shares, a group a figure, as SVG.

    Args:
        found: None of them refused.
        alone: A file of its own, with its styles and corpora; in a page the page styles it.
    """
    parts, y = [], 0.0
    for one in found:
        title = f"{one.figure.title} ({one.num_runs} runs)" + (f", {one.corpus}" if alone else "")
        parts.append(f'<text class="title" x="0" y="{y + _ROW / 2:g}">{escape(title)}</text>')
        y += _ROW
        bars = [(" × ".join(s.of), s.share, p_text(s.p)) for s in one.shares] + [("rest", one.residual or 0.0, "")]
        for name, share, p in bars:
            kind = ' class="rest"' if name == "rest" else ""
            # Of unequal numbers of runs, shares of type II may add up to more than one.
            width = _BAR * min(share, 1.0)
            text = f"{share:.1%}" + (f", p {p}" if p else "")
            parts.append(f'<text x="12" y="{y + _ROW / 2:g}">{escape(name)}</text>')
            parts.append(f'<rect{kind} x="{_NAME}" y="{y + 3:g}" width="{width:.1f}" height="{_ROW - 6}" rx="2"/>')
            parts.append(f'<text x="{_NAME + width + 6:.1f}" y="{y + _ROW / 2:g}">{escape(text)}</text>')
            y += _ROW
        y += _GAP
    total = _NAME + _BAR + 130
    axis = f'<line class="axis" x1="{_NAME}" x2="{_NAME}" y1="0" y2="{y:g}"/>'
    style = f"<style>{_STYLE}</style>" if alone else ""
    space = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    return (
        f'<svg{space} viewBox="0 0 {total} {y:g}" width="{total}" height="{y:g}" role="img" '
        f'aria-label="Shares of variance by factor">{style}{axis}{"".join(parts)}</svg>'
    )
