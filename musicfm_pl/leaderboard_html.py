"""The leaderboard as one HTML page that needs neither network nor scripts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

from musicfm_pl.cell_text import cell_text, interval_text, number, parameters
from musicfm_pl.generalisation_text import generalisation_section
from musicfm_pl.layer_map import layer_sections
from musicfm_pl.lead_table import LEADS_NOTE, LEADS_TITLE, LEADS_TITLES, lead_lines
from musicfm_pl.leaderboard_curves import curves_section
from musicfm_pl.leaderboard_sections import (
    attribution_sections,
    rate_length_sections,
    relations_section,
    training_section,
)
from musicfm_pl.leaderboard_sources import anchor, sources_section
from musicfm_pl.leaderboard_text import (
    ABOUT,
    LEGEND,
    PUBLISHED_NOTE,
    QUESTION,
    QUESTION_NOTE,
    compared_figures,
    facts,
    heading,
)
from musicfm_pl.published_beside import BESIDE_NOTE, BESIDE_TITLE, beside
from musicfm_pl.standings import PUBLISHED_SOURCE, Comparison, Figure, Leaderboard, Table, signed

_MANY = 6
"""Comparisons beyond which nobody reads sentences."""


def page(board: Leaderboard) -> str:
    """The whole page, styles and drawings inside."""
    style = (files("musicfm_pl") / "leaderboard.css").read_text(encoding="utf-8")
    sections = [relations_section(board.reports)]
    sections += [_section(board, number, table) for number, table in enumerate((*board.tables, *board.pretraining))]
    sections += [rate_length_sections(board.rate_length_maps), training_section(board.trainings)]
    sections += [curves_section(board.curves), attribution_sections(board.attributions)]
    sections += [generalisation_section(board.generalisation)]
    sections += [layer_sections(board.layer_maps)]
    made_with = "".join(f"<li>{escape(line)}</li>" for line in board.made_with)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Leaderboard</title>
<style>
{style}</style>
</head>
<body>
<header>
<h1>Leaderboard</h1>
<p>{escape(LEGEND)}</p>
</header>
<main>
{"".join(sections)}<section class="published">
<h2>Published</h2>
<p>{escape(PUBLISHED_NOTE)}</p>
{_grid(board.published_columns, [[escape(text) for text in row] for row in board.published_rows])}
<p class="quiet">Source: {escape(PUBLISHED_SOURCE)}.</p>
</section>
</main>
<footer>
<p>Made by <code>musicfm leaderboard</code> from {board.num_runs} results, with:</p>
<ul>{made_with}</ul>
</footer>
</body>
</html>
"""


def _section(board: Leaderboard, number: int, table: Table) -> str:
    rows = []
    for place, row in enumerate(table.rows):
        label = f"{escape(row.label)}<small>{parameters(row)} parameters</small>"
        rows.append([label, *_cells(number, table, place)])
    titles = ["Encoder", *(figure.title for figure in table.columns)]
    said = "".join(f"<div><dt>{escape(name)}</dt><dd>{_marked(text)}</dd></div>" for name, text in facts(table))
    parts = [
        f"<section>\n<h2>{escape(heading(table))}</h2>",
        f"<p>{escape(ABOUT[table.stage])}</p>",
        f'<dl class="facts">{said}</dl>',
        _panels(table),
        _grid(titles, rows),
        _leads(table),
    ]
    if table.notes:
        notes = "".join(f"<li>{escape(note)}</li>" for note in table.notes)
        parts.append(f"<details open><summary>Notes</summary><ul>{notes}</ul></details>")
    parts.append(_beside(board, table))
    if table.comparisons:
        parts.append(_question(table))
    parts.append(sources_section(number, table))
    return "\n".join(part for part in parts if part) + "\n</section>\n"


def _marked(text: str) -> str:
    """Text in HTML, with what stands between backticks as code, which is not broken at its hyphens."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def _cells(number: int, table: Table, place: int) -> Iterable[str]:
    row = table.rows[place]
    for index, (figure, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
        text = escape(cell_text(cell, figure, table.seeds))
        if cell.mean is None:
            yield f'<span class="quiet">{text}</span>'
            continue
        mean, _, rest = text.partition(" ")
        mean = f"<strong>{mean}</strong>" if table.is_bold(place, index) else mean
        if (row.label, figure.task) in table.sources:
            mean = f'<a href="#{anchor(number, row.label, figure.task)}">{mean}</a>'
        small = [part for part in (rest, interval_text(cell.interval, figure)) if part]
        yield mean + "".join(f"<small>{part}</small>" for part in small)


def _leads(table: Table) -> str:
    lines = [[escape(text) for text in line] for line in lead_lines(table)]
    if not lines:
        return ""
    grid = _grid(LEADS_TITLES, lines)
    return f'<h3>{escape(LEADS_TITLE)}</h3>\n<p>{escape(LEADS_NOTE)}</p>\n<div class="leads small">{grid}</div>'


def _beside(board: Leaderboard, table: Table) -> str:
    """The study's models as reproduced and as published, in rows of their own."""
    lines = beside(table, board.published_columns, board.published_rows)
    if not lines:
        return ""
    rows = [
        [
            f"{escape(line.label)} <em>{line.kind}</em><small>{escape(line.about)}</small>",
            *(_plain_cell(text) for text in line.cells),
        ]
        for line in lines
    ]
    titles = ["Model", *(figure.title for figure in table.columns)]
    grid = _grid(titles, rows, [line.kind for line in lines])
    return f'<h3>{BESIDE_TITLE}</h3>\n<p>{escape(BESIDE_NOTE)}</p>\n<div class="beside">{grid}</div>'


def _plain_cell(text: str) -> str:
    figure, spread, rest = escape(text).partition(" ±")
    if not figure[:1].isdecimal():
        return f'<span class="quiet">{figure}</span>'
    return f"{figure}<small>±{rest}</small>" if spread else figure


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]], kinds: Sequence[str] = ()) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    classes = [f' class="{kind}"' for kind in kinds] or [""] * len(rows)
    body = "\n".join(
        f'<tr{kind}><th scope="row">{row[0]}</th>' + "".join(f"<td>{text}</td>" for text in row[1:]) + "</tr>"
        for kind, row in zip(classes, rows, strict=True)
    )
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return f'<div class="wide" tabindex="0">{table}</div>'


def _panels(table: Table) -> str:
    """A small drawing a figure: a dot for each seed, a line at the mean."""
    if table.stage == "pretrain":
        return ""
    panels = [_panel(table, index, figure) for index, figure in enumerate(table.columns)]
    legend = (
        '<p class="quiet">A dot for each seed, a line at the mean, a band over the 95 % interval; each figure has its '
        "own scale.</p>"
    )
    return f'<div class="panels">{"".join(panels)}</div>\n{legend}'


def _panel(table: Table, index: int, figure: Figure) -> str:
    shown = [(row, row.cells[index]) for row in table.rows if row.cells[index].values]
    values = [value for _, cell in shown for value in cell.values]
    values += [end for _, cell in shown if cell.interval for end in (cell.interval.low, cell.interval.high)]
    if not values:
        return ""
    # At least a twentieth wide, so that noise of a thousandth does not look like a difference.
    middle, half = (max(values) + min(values)) / 2, max((max(values) - min(values)) / 2, 0.025)
    low, high = middle - 1.15 * half, middle + 1.15 * half
    lines = []
    for row, cell in shown:
        assert cell.mean is not None
        at = [100 * (value - low) / (high - low) for value in [cell.mean, *cell.values]]
        dots = "".join(f'<circle cx="{x:.2f}%" cy="8" r="4"/>' for x in at[1:])
        band = ""
        if cell.interval:
            left, right = (100 * (end - low) / (high - low) for end in (cell.interval.low, cell.interval.high))
            band = f'<rect class="band" x="{left:.2f}%" y="4" width="{right - left:.2f}%" height="8" rx="3"/>'
        spoken = ", ".join(number(value, figure) for value in cell.values)
        lines.append(
            f'<div class="{row.role}"><span>{escape(row.label)}</span><b>{number(cell.mean, figure)}</b>'
            f'<svg width="100%" height="16" role="img" aria-label="by seed: {spoken}">'
            f'<line class="axis" x1="0" x2="100%" y1="8" y2="8"/>{band}{dots}'
            f'<line class="mean" x1="{at[0]:.2f}%" x2="{at[0]:.2f}%" y1="0" y2="16"/></svg></div>'
        )
    scale = f'<p class="scale"><span>{number(low, figure)}</span><span>{number(high, figure)}</span></p>'
    return f"<figure><figcaption>{escape(figure.title)}</figcaption>{''.join(lines)}{scale}</figure>"


def _question(table: Table) -> str:
    figures = compared_figures(table)
    titles = ["Encoder − baseline", *(figure.title for figure in figures)]
    rows = [
        [
            f"{escape(comparison.encoder)}<small>− {escape(comparison.baseline)}</small>",
            *(_gain(comparison, figure) for figure in figures),
        ]
        for comparison in table.comparisons
    ]
    said = "".join(f"<li>{escape(comparison.verdict)}</li>" for comparison in table.comparisons)
    said = f"<ul>{said}</ul>"
    if len(table.comparisons) > _MANY:  # the table says it more clearly
        said = f"<details><summary>In words</summary>{said}</details>"
    return (
        f"<h3>{escape(QUESTION)}</h3>\n{said}\n{_grid(titles, rows) if figures else ''}\n"
        f'<p class="quiet">{escape(QUESTION_NOTE)}</p>'
    )


def _gain(comparison: Comparison, figure: Figure) -> str:
    for gain in comparison.gains:
        if gain.figure == figure and gain.cell.mean is not None:
            std = gain.cell.std
            spread = "" if std is None else f"± {std:.{figure.digits}f}, "
            kind = gain.verdict.replace(" ", "-")
            return (
                f'<span class="{kind}">{signed(gain.cell.mean, figure)}</span>'
                f"<small>{spread}{gain.num_ahead} of {len(gain.by_seed)}</small>"
                + (f"<small>{interval_text(gain.interval, figure)}</small>" if gain.interval else "")
            )
    return '<span class="quiet">–</span>'
