"""`musicfm generalisation`: where a loss on new music arises, on the console, as Markdown, HTML and JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from musicfm_pl.analysis.factors import read_runs
from musicfm_pl.analysis.generalisation import Generalisation, Moved, OnMusic
from musicfm_pl.analysis.generalisation import generalisation as generalised
from musicfm_pl.codebook_file import FILE_NAME, read_reports
from musicfm_pl.relations_text import pipes
from musicfm_pl.results import write_aside
from musicfm_pl.standings import Cell

TITLE = "Where does the loss on new music arise?"
TOKENS_TITLE = "Tokens and encoder"
TOKENS_NOTE = (
    "Of each pretraining on its own music (first) and on other music: the mel under its statistics (0 ± 1 expected), "
    "how tokens use the codebook, how often masked tokens are guessed, and the loss beside that of knowing only the "
    "frequencies of codes on that music: below 0 something was learnt that holds there. In brackets the 95 % interval "
    "over works and seeds; a difference to home is between different works."
)
HEAD_TITLE = "Heads"
HEAD_NOTE = (
    "A head trained on A: tested at home on A, and transferred to B; a head trained anew on B, on the same frozen "
    "encoder. What the new head regains was lost in the head (same works of B); what remains is lost in tokens and "
    "encoder, or B is harder (other works). In brackets the 95 % interval over works and seeds."
)
_MUSIC: Mapping[str, tuple[str, int]] = {
    "mel_mean": ("Mel mean", 2),
    "mel_std": ("Mel std", 2),
    "perplexity": ("Perplexity", 1),
    "perplexity_share": ("of K", 3),
    "dead_codes": ("Dead codes", 1),
    "top10_share": ("Top 10 share", 3),
    "masked_accuracy": ("Masked acc", 4),
    "commonest_accuracy": ("Commonest", 4),
    "loss_above_unigram": ("Loss − frequencies", 3),
}
_LOST: Mapping[str, tuple[str, int]] = {
    "masked_accuracy": ("Masked acc − home", 4),
    "loss_above_unigram": ("Loss − home", 3),
}
_MOVED: Mapping[str, str] = {
    "home": "A → A",
    "transferred": "A → B",
    "retrained": "B → B",
    "lost": "Lost by moving",
    "regained": "Regained by a new head",
    "remaining": "Remains",
}

_NUM_NAMES = 4
"""Columns that say which encoder on which music, or which model from where to where."""


def generalisation(results: list[Path] | Path = Path("runs"), out: Path | None = None) -> None:
    """Says where models lose on music that they were not trained on: in tokens, in the encoder or in the head.

    Tests on other music are made by `musicfm test --run_dir RUN --data.root OTHER --result_dir PLACE`, heads for that
    music by `musicfm fit` on the same encoder, and codebook.json by `musicfm codebook`.

    Args:
        results: Directories in which every `results.json` and every `codebook.json` counts, at whatever depth.
        out: Directory for GENERALISATION.md and generalisation.json.

    Raises:
        FileNotFoundError: A directory does not exist.
        ResultError: A file cannot be used; the message names file and key.
        ValueError: No model was moved, and none was examined on other music than its own.
    """
    roots = [results] if isinstance(results, Path) else results
    found = generalised(*read_runs(roots), read_reports(roots))
    if found is None:
        raise ValueError(
            f"--results: nothing under {', '.join(map(str, roots))} was tested on other music than it was trained on; "
            f"make such results with `musicfm test --data.root OTHER --result_dir PLACE`, or {FILE_NAME} with "
            "`musicfm codebook --run RUN --roots '[HOME, OTHER]' --out RUN/codebook.json`"
        )
    show_generalisation(found, Console())
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_aside(out / "GENERALISATION.md", "\n\n".join(generalisation_markdown(found)).removeprefix("#") + "\n")
        write_aside(out / "generalisation.json", json.dumps(as_data(found), indent=1, ensure_ascii=False) + "\n")
        print(f"wrote {out / 'GENERALISATION.md'}, {out / 'generalisation.json'}")


def tables(found: Generalisation) -> list[tuple[str, str, list[str], list[list[str]]]]:
    """Title, note, columns and rows of each table that has rows."""
    made = []
    if found.music:
        titles = ["Encoder", "Pretrained on", "Tokens", "Music", *(title for title, _ in _MUSIC.values())]
        titles += [title for title, _ in _LOST.values()] + ["Alarms"]
        made.append((TOKENS_TITLE, TOKENS_NOTE, titles, [_music_row(one) for one in found.music]))
    if found.moved:
        titles = ["Model", "Encoder of", "A", "B", "Figure", *_MOVED.values()]
        made.append((HEAD_TITLE, HEAD_NOTE, titles, [_moved_row(one) for one in found.moved]))
    return made


def _music_row(one: OnMusic) -> list[str]:
    figures = [cell_text(one.figures[name], digits) for name, (_, digits) in _MUSIC.items()]
    lost = [cell_text(one.lost[name], digits, True) if one.lost else "–" for name, (_, digits) in _LOST.items()]
    music = f"{one.corpus}{', home' if one.corpus == one.trained_on else ''} ({one.split})"
    return [one.encoder, one.trained_on, one.tokenizer, music, *figures, *lost, str(one.num_alarms)]


def _moved_row(one: Moved) -> list[str]:
    model = f"{one.model} ({one.stage}, {one.protocol})"
    corpus = one.corpus if one.split == "test" else f"{one.corpus}, split {one.split}"
    cells = [
        cell_text(getattr(one, name), one.figure.digits, name in ("lost", "regained", "remaining")) for name in _MOVED
    ]
    return [model, one.pretrained_on or "–", one.trained_on, corpus, one.figure.title, *cells]


def cell_text(cell: Cell, digits: int, signed: bool = False) -> str:
    """Mean over seeds, their standard deviation, and the interval; "not run" where there is nothing."""
    if cell.mean is None:
        return "n/d" if cell.by_seed else "not run"
    form = f"{'+' if signed else ''}.{digits}f"
    text = format(cell.mean, form)
    if cell.std is not None:
        text += f" ± {cell.std:.{digits}f}"
    if cell.interval is not None:
        text += f" ({cell.interval.low:{form}} to {cell.interval.high:{form}})"
    return text.replace("-", "−")


def generalisation_markdown(found: Generalisation | None) -> list[str]:
    """Paragraphs of Markdown; none if there is nothing to say."""
    if found is None:
        return []
    parts = [f"## {TITLE}"]
    for title, note, titles, rows in tables(found):
        parts += [f"### {title}", note, pipes(titles, rows)]
    return parts


def generalisation_section(found: Generalisation | None) -> str:
    """The section of the page; empty if there is nothing to say."""
    if found is None:
        return ""
    parts = [f"<section>\n<h2>{escape(TITLE)}</h2>\n"]
    for title, note, titles, rows in tables(found):
        head = "".join(f'<th scope="col">{escape(text)}</th>' for text in titles)
        body = "\n".join(
            f'<tr><th scope="row">{escape(row[0])}</th>'
            + "".join(f"<td>{escape(text)}</td>" for text in row[1:])
            + "</tr>"
            for row in rows
        )
        parts.append(
            f'<h3>{escape(title)}</h3>\n<p>{escape(note)}</p>\n<div class="wide small" tabindex="0"><table><thead><tr>'
            f"{head}</tr></thead>\n<tbody>{body}</tbody></table></div>\n"
        )
    return "".join([*parts, "</section>\n"])


def show_generalisation(found: Generalisation, console: Console) -> None:
    """Prints it, a block for each encoder on each music, and for each move of a model from A to B."""
    for title, note, titles, rows in tables(found):
        console.print(f"\n[bold]{title}[/bold]", highlight=False)
        console.print(note, style="dim", markup=False, highlight=False)
        for names, block in groupby(rows, lambda row: row[:_NUM_NAMES]):
            console.print(
                "\n" + ", ".join(f"{key}: {name}" for key, name in zip(titles, names, strict=False)), markup=False
            )
            grid = Table(show_edge=False, pad_edge=False)
            if "Figure" in titles:
                for column in titles[_NUM_NAMES:]:
                    grid.add_column(column, justify="left" if column == "Figure" else "right")
                for row in block:
                    grid.add_row(*(text.replace(" (", "\n(") for text in row[_NUM_NAMES:]))
            else:
                grid.show_header = False
                for row in block:
                    for column, text in zip(titles[_NUM_NAMES:], row[_NUM_NAMES:], strict=True):
                        grid.add_row(column, text)
            console.print(grid, highlight=False)


def as_data(found: Generalisation) -> dict[str, Any]:
    """All of it as JSON has it."""

    def cell(one: Cell) -> dict[str, Any]:
        interval = None if one.interval is None else [one.interval.low, one.interval.high]
        by_seed = {str(seed): value for seed, value in one.by_seed.items()}
        return {"mean": one.mean, "std": one.std, "interval": interval, "by_seed": by_seed}

    music = [
        {name: getattr(one, name) for name in ("encoder", "trained_on", "tokenizer", "corpus", "split", "num_alarms")}
        | {part: {name: cell(c) for name, c in getattr(one, part).items()} for part in ("figures", "lost")}
        for one in found.music
    ]
    names = ("model", "pretrained_on", "stage", "protocol", "split", "trained_on", "corpus")
    moved = [
        {name: getattr(one, name) for name in names}
        | {"task": one.figure.task, "metric": one.figure.metric}
        | {name: cell(getattr(one, name)) for name in _MOVED}
        for one in found.moved
    ]
    return {"schema": 1, "music": music, "moved": moved}
