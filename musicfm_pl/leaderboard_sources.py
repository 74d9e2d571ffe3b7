"""Where each figure of the page comes from: runs, configurations, scores by track, to unfold."""

from __future__ import annotations

import re
from html import escape
from urllib.parse import quote

from musicfm_pl.analysis.sources import MOST_TRACKS, Source, SourceRun
from musicfm_pl.results import Task
from musicfm_pl.standings import Table


def anchor(number: int, row: str, task: Task) -> str:
    """The name of a place in the page: of a table by its number, a row and a task."""
    return f"t{number}-{task}-{re.sub('[^a-z0-9]+', '-', row.lower()).strip('-')}-{_order(row)}"


def _order(row: str) -> str:
    # Names that differ in signs alone have places of their own.
    return f"{sum(ord(letter) * (index + 1) for index, letter in enumerate(row)) % 9973}"


def sources_section(number: int, table: Table) -> str:
    """The sources of all cells of a table."""
    parts = []
    for row in table.rows:
        for task in dict.fromkeys(column.task for column in table.columns):
            found = table.sources.get((row.label, task))
            if found is not None:
                parts.append(_details(anchor(number, row.label, task), found))
    if not parts:
        return ""
    return (
        '<details class="sources"><summary>Where these figures come from: runs, configurations, scores by track'
        f"</summary>\n{''.join(parts)}</details>\n"
    )


def _details(name: str, source: Source) -> str:
    runs = "".join(_run(run) for run in source.runs)
    head = "".join(f'<th scope="col">{title}</th>' for title in ("Seed", "Run", "Commit", "Digest", "Files"))
    factors = ", ".join(f"{factor} {level}" for factor, level in source.factors) or source.missing
    parts = [
        f'<details><summary>{escape(source.name)}: {source.task}</summary>\n<div id="{name}" class="source">',
        f'<div class="wide small" tabindex="0"><table><thead><tr>{head}</tr></thead><tbody>{runs}</tbody></table>',
        "</div>",
    ]
    if factors:
        parts.append(f"<p>{escape(factors[0].upper() + factors[1:])}.</p>")
    if source.config:
        parts.append(
            f"<details><summary>Configuration (first seed)</summary><pre>{escape(source.config)}</pre></details>"
        )
    if source.tracks:
        parts.append(_tracks(source))
    elif source.metrics:
        parts.append(
            f"<p>{source.num_tracks} tracks, more than the {MOST_TRACKS} that a page lists: see the files.</p>"
        )
    elif source.task != "pretrain":
        parts.append("<p>The figures exist only over the whole set: tracks have no scores of their own.</p>")
    return "\n".join(parts) + "</div></details>\n"


def _run(run: SourceRun) -> str:
    links = [
        f'<a href="{quote(file)}">{label}</a>'
        for file, label in ((run.config_file, "config.yaml"), (run.results_file, "results.json"))
        if file
    ]
    seed = "–" if run.seed is None else str(run.seed)
    dirty = "-dirty" if run.commit.endswith("-dirty") else ""
    commit = f"<code>{escape(run.commit[:12])}{dirty if len(run.commit) > 12 else ''}</code>"
    digest = f"<code>{escape(run.digest[:12])}</code>"
    cells = (escape(run.run), commit, digest, " ".join(links) or "not on disk")
    return f'<tr><th scope="row">{seed}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _tracks(source: Source) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in ("Track", "Work", *source.metrics))
    rows = []
    for track_id, group, values in source.tracks:
        cells = "".join(f"<td>{'n/d' if value is None else f'{value:.3f}'}</td>" for value in values)
        rows.append(f'<tr><th scope="row">{escape(track_id)}</th><td>{escape(group)}</td>{cells}</tr>')
    mean = " (mean over seeds)" if len(source.runs) > 1 else ""
    return (
        f"<details><summary>Scores by track{mean}</summary>"
        f'<div class="wide small" tabindex="0"><table><thead><tr>{head}</tr></thead>\n<tbody>{"".join(rows)}</tbody>'
        "</table></div></details>"
    )
