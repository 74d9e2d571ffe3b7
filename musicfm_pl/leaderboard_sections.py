"""Sections of the page beside its tables: conclusions, heat maps by rate and length, pretraining, attribution."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from musicfm_pl.analysis.attribution import Attribution
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
