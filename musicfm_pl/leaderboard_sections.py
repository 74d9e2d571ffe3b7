"""Sections of the page beside its tables: conclusions, heat maps by rate and length, pretraining, attribution."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from musicfm_pl.analysis.attribution import Attribution
from musicfm_pl.analysis.curves import Curves
from musicfm_pl.analysis.factors import level_text
from musicfm_pl.analysis.rate_length import RateLengthMap
from musicfm_pl.analysis.relations import Answer, Report
from musicfm_pl.analysis.training import TRAINING_NOTE, TRAINING_TITLE, TRAINING_TITLES
from musicfm_pl.attribution_plot import plot
from musicfm_pl.relations_text import (
    ATTRIBUTION_NOTE,
    ATTRIBUTION_TITLE,
    FINDING_TITLES,
    PUBLISHED_RELATIONS_NOTE,
    RELATIONS_NOTE,
    RELATIONS_TITLE,
    finding_cells,
    limits_text,
)

_CELL, _SIDE, _TOP = (64, 34), 56, 24
"""Width and height of a heat map's cell, room for its lengths and its rates, in pixels."""
_LEAST_RANGE = 0.05
"""Figures that differ by less over a map are not stretched over the whole scale."""
_CURVE = (320, 150)
_STROKES = ("", "6 3", "2 3", "8 3 2 3", "1 3", "12 4")
"""Dashes tell curves apart in print, and to eyes that do not see colours."""


def relations_section(found: Sequence[Report]) -> str:
    """Verdicts of every report, each with its findings to unfold."""
    if not found:
        return ""
    parts = [f"<section>\n<h2>{escape(RELATIONS_TITLE)}</h2>\n<p>{escape(RELATIONS_NOTE)}</p>\n"]
    for one in found:
        answers = "".join(_answer(answer) for answer in one.answers)
        if one.published:
            parts.append(
                f"<details><summary>As a check, of {escape(one.title)}</summary>\n"
                f'<p>{escape(PUBLISHED_RELATIONS_NOTE)}</p>\n<ul class="answers">{answers}</ul></details>\n'
            )
        else:
            parts.append(f'<h3>{escape(one.title)}</h3>\n<ul class="answers">{answers}</ul>\n')
    return "".join([*parts, "</section>\n"])


def _answer(answer: Answer) -> str:
    kind = answer.verdict.replace(" ", "-")
    said = (
        f'<b class="verdict {kind}">{answer.verdict}</b> {escape(answer.relation.says)} '
        f'<span class="quiet">{escape(answer.because)}</span>'
    )
    if not answer.findings:
        return f"<li>{said}</li>\n"
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in finding_cells(f)) + "</tr>" for f in answer.findings
    )
    head = "".join(f'<th scope="col">{title}</th>' for title in FINDING_TITLES)
    return (
        f'<li>{said}<details><summary>Effects</summary><p class="quiet">{escape(limits_text(answer))}</p>'
        f'<div class="wide small" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        "</details></li>\n"
    )


def rate_length_sections(maps: Sequence[RateLengthMap]) -> str:
    """A heat map a figure, those of one kind of model together."""
    parts = []
    for of in dict.fromkeys(one.of for one in maps):
        drawn = "".join(
            f"<figure><figcaption>{escape(one.figure.title)}</figcaption>{_heat_map(one)}</figure>"
            for one in maps
            if one.of == of
        )
        parts.append(
            f"<section>\n<h2>Rate × length</h2>\n<p>{escape(of)}. Mean over seeds.</p>\n"
            f'<div class="panels heat">{drawn}</div>\n<p class="quiet">Colour: each figure from its lowest mean to its '
            f"highest, at least {_LEAST_RANGE} apart.</p>\n</section>\n"
        )
    return "".join(parts)


def _heat_map(one: RateLengthMap) -> str:
    (width, height), values = _CELL, list(one.means.values())
    middle, half = (max(values) + min(values)) / 2, max(max(values) - min(values), _LEAST_RANGE) / 2
    parts = [
        f'<text class="quiet" x="{_SIDE + width * (column + 0.5):g}" y="{_TOP / 2:g}">{level_text("rate", rate)}</text>'
        for column, rate in enumerate(one.rates_hz)
    ]
    for row, length in enumerate(one.lengths_s):
        y = _TOP + height * row
        name = level_text("length", length)
        parts.append(f'<text class="quiet" x="{_SIDE / 2:g}" y="{y + height / 2:g}">{name}</text>')
        for column, rate in enumerate(one.rates_hz):
            x = _SIDE + width * column
            mean = one.means.get((rate, length))
            text = "not run"
            if mean is not None:
                warmth, text = (mean - middle + half) / (2 * half), f"{mean:.{one.figure.digits}f}"
                parts.append(
                    f'<rect x="{x + 1}" y="{y + 1}" width="{width - 2}" height="{height - 2}" rx="3" '
                    f'fill-opacity="{0.04 + 0.56 * warmth:.3f}"/>'
                )
            kind = "" if mean is not None else ' class="quiet"'
            parts.append(f'<text{kind} x="{x + width / 2:g}" y="{y + height / 2:g}">{text}</text>')
    total = _SIDE + width * len(one.rates_hz), _TOP + height * len(one.lengths_s)
    return (
        f'<svg viewBox="0 0 {total[0]} {total[1]}" width="{total[0]}" height="{total[1]}" role="img" '
        f'aria-label="{escape(one.figure.title)} by rate and length">{"".join(parts)}</svg>'
    )


def training_section(rows: Sequence[Sequence[str]]) -> str:
    """How pretraining went, a row a run."""
    if not rows:
        return ""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in TRAINING_TITLES)
    body = "\n".join(
        f'<tr><th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(text)}</td>" for text in row[1:]) + "</tr>"
        for row in rows
    )
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    return (
        f"<section>\n<h2>{escape(TRAINING_TITLE)}</h2>\n<p>{escape(TRAINING_NOTE)}</p>\n"
        f'<div class="wide small training" tabindex="0">{table}</div>\n</section>\n'
    )


def curves_section(found: Sequence[Curves]) -> str:
    """Learning curves of pretraining, a drawing a scalar."""
    if not found:
        return ""
    drawn = "".join(f"<figure><figcaption>{escape(c.title)}</figcaption>{_drawing(c)}</figure>" for c in found)
    return (
        "<section>\n<h2>Learning curves</h2>\n<p>Of the pretraining runs whose logs are there, by step.</p>\n"
        f'<div class="panels curves">{drawn}</div>\n</section>\n'
    )


def _drawing(curves: Curves) -> str:
    points = [point for of_run in curves.by_run.values() for point in of_run]
    width, height = _CURVE
    last = max(step for step, _ in points) or 1
    low, high = min(value for _, value in points), max(value for _, value in points)
    scale = (high - low) or 1.0
    lines, names = [], []
    for number, (run, of_run) in enumerate(curves.by_run.items()):
        dash = f' stroke-dasharray="{stroke}"' if (stroke := _STROKES[number % len(_STROKES)]) else ""
        places = [(width * step / last, height - 4 - (height - 8) * (value - low) / scale) for step, value in of_run]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        shape = f'<polyline points="{path}"{dash}/>'
        if len(of_run) == 1:
            shape = f'<circle cx="{path.split(",")[0]}" cy="{path.split(",")[1]}" r="3"/>'
        lines.append(shape)
        key = f'<svg width="24" height="8" aria-hidden="true"><polyline points="0,4 24,4"{dash}/></svg>'
        names.append(f"<li>{key} {escape(run)}: {of_run[-1][1]:.4g}</li>")
    return (
        f'<svg viewBox="0 0 {width} {height}" width="100%" role="img" aria-label="{escape(curves.title)} by step">'
        f'<line class="axis" x1="0" x2="{width}" y1="{height}" y2="{height}"/>{"".join(lines)}</svg>'
        f'<p class="scale"><span>{low:.4g} to {high:.4g}</span><span>{last:,} steps</span></p>'
        f'<ul class="key">{"".join(names)}</ul>'
    )


def attribution_sections(found: Sequence[Attribution]) -> str:
    """Shares of variance: a drawing a corpus, and what was refused."""
    if not found:
        return ""
    parts = [f"<section>\n<h2>{escape(ATTRIBUTION_TITLE)}</h2>\n<p>{escape(ATTRIBUTION_NOTE)}</p>\n"]
    for corpus in dict.fromkeys(one.corpus for one in found):
        of_corpus = [one for one in found if one.corpus == corpus]
        parts.append(f"<h3>{escape(corpus)}</h3>\n")
        if shown := [one for one in of_corpus if not one.refused]:
            parts.append(f'<div class="wide shares" tabindex="0">{plot(shown)}</div>\n')
        said = [f"{o.figure.title}: not attributed: {o.refused}" for o in of_corpus if o.refused]
        said += dict.fromkeys(why for o in of_corpus for why in o.left_out)
        if said:
            parts.append("<ul>" + "".join(f"<li>{escape(text)}</li>" for text in said) + "</ul>\n")
    return "".join([*parts, "</section>\n"])
