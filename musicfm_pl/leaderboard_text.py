"""The leaderboard as text: Markdown, the console, comma-separated values."""

from __future__ import annotations

import csv
import io
import textwrap

from rich.console import Console
from rich.table import Table as Grid

from musicfm_pl.analysis.intervals import Interval
from musicfm_pl.analysis.relations import MIN_SEEDS
from musicfm_pl.analysis.training import TRAINING_NOTE, TRAINING_TITLE, TRAINING_TITLES
from musicfm_pl.cell_text import cell_text, interval_text, parameters
from musicfm_pl.generalisation_text import generalisation_markdown
from musicfm_pl.layer_map import bold_rows, layer_heading, layer_note, layer_titles, show_map
from musicfm_pl.lead_table import leads_markdown
from musicfm_pl.published_beside import beside_markdown
from musicfm_pl.relations_text import attributions_markdown, pipes, relations_markdown, show_relations
from musicfm_pl.standings import PUBLISHED_SOURCE, Comparison, Figure, Leaderboard, Table, signed

STAGES = {"probe": "Probing", "finetune": "Fine-tuning", "pretrain": "Pretraining"}
ABOUT = {
    "probe": "The encoder is frozen; only a head is trained on its hidden states.",
    "finetune": "Encoder and head are trained together.",
    "pretrain": "Masked token modelling, on held-out audio; read the accuracy on masked tokens against "
    "chance and against always guessing the commonest token.",
}
LEGEND = (
    "Mean ± standard deviation over seeds, and the 95 % interval of the mean: works (or songs) are drawn anew 4000 "
    "times, and seeds that might have been from Student’s t with the spread of those that were. With one seed it is "
    "over works alone; there is none where tracks do not give the figure again, or are of fewer than six works. Bold: "
    "ahead of every other row by a difference that holds, on the same works by sign flips, and over works and seeds "
    "together, corrected for all comparisons of the table (Benjamini and Hochberg, 5 %); where seeds are drawn, on at "
    f"least {MIN_SEEDS} of them. “not run”: there is no result; “n/d”: not defined for this corpus."
)
PUBLISHED_NOTE = (
    "Published, not measured here: other data, other training, partly other protocols. These figures are for "
    "orientation and are ranked with none of ours."
)
CSV_COLUMNS = (
    *("stage", "corpus", "trained_on", "split", "protocol", "name", "layer", "role", "task", "metric"),
    *("mean", "std", "low", "high", "num_groups", "num_seeds", "seeds"),
)
QUESTION = "Does pretraining help?"
QUESTION_NOTE = (
    "Encoder − baseline, paired by seed: mean ± standard deviation, on how many seeds it is ahead, and the 95 % "
    "interval over works and seeds."
)


def gain_text(comparison: Comparison, figure: Figure) -> str:
    """A difference in words: mean, spread, seeds ahead."""
    for gain in comparison.gains:
        if gain.figure == figure:
            mean, std = gain.cell.mean or 0.0, gain.cell.std
            spread = "" if std is None else f" ± {std:.{figure.digits}f}"
            interval = f" ({interval_text(gain.interval, figure)})" if gain.interval else ""
            return f"{signed(mean, figure)}{spread}, {gain.num_ahead} of {len(gain.by_seed)}{interval}"
    return "–"


def heading(table: Table) -> str:
    """What a table is of; figures of different protocols are never in one."""
    protocol = "" if table.stage == "pretrain" else f", protocol {table.protocol}"
    trained = f", trained on {table.trained_on}" if table.trained_on else ""
    split = "" if table.stage == "pretrain" or table.split == "test" else f", split {table.split}"
    return f"{STAGES[table.stage]} on {table.corpus}{trained}{split}{protocol}"


def facts(table: Table) -> list[tuple[str, str]]:
    """What every table says of itself: corpus, licence, split, tracks, seeds, what was not run."""
    corpus = f"{table.corpus} ({table.corpus_note})" if table.corpus_note else table.corpus
    counts = {task: " or ".join(map(str, counts)) for task, counts in table.num_tracks.items()}
    if len(set(counts.values())) == 1:
        tracks = next(iter(counts.values()))
    else:
        tracks = ", ".join(f"{task} {count}" for task, count in counts.items())
    seeds = f"{len(table.seeds)} ({', '.join(map(str, table.seeds))})" if table.seeds else "none: nothing is drawn"
    protocol = table.protocol
    if table.other_protocols:
        protocol += f" (the same runs also under {', '.join(table.other_protocols)}: `--protocol NAME`)"
    return [
        ("Corpus", corpus),
        *([("Trained on", table.trained_on)] if table.trained_on else []),
        ("Licence", table.licence),
        ("Split", table.split),
        ("Tracks", tracks),
        ("Seeds", seeds),
        ("Protocol", protocol),
        ("Not run", ", ".join(table.not_run) or "nothing: the table is complete"),
        *([("Unverified", "; ".join(table.unverified))] if table.unverified else []),
    ]


def compared_figures(table: Table) -> list[Figure]:
    """The columns that at least one comparison has."""
    compared = {gain.figure for comparison in table.comparisons for gain in comparison.gains}
    return [figure for figure in table.columns if figure in compared]


def markdown(board: Leaderboard) -> str:
    """The leaderboard as Markdown."""
    parts = [
        "# Leaderboard",
        f"Made by `musicfm leaderboard` from {board.num_runs} results; regenerate it rather than edit it.",
        LEGEND,
        *relations_markdown(board.reports),
    ]
    for table in (*board.tables, *board.pretraining):
        parts += [f"## {heading(table)}", f"{ABOUT[table.stage]}"]
        parts += ["\n".join(f"- {name}: {text}" for name, text in facts(table)), _markdown_table(table)]
        parts += leads_markdown(table)
        if table.notes:
            parts += ["Notes:", "\n".join(f"- {note}" for note in table.notes)]
        parts += beside_markdown(board, table)
        if table.comparisons:
            figures = compared_figures(table)
            titles = ["", *(f"{c.encoder} − {c.baseline}" for c in table.comparisons)]
            rows = [[f.title, *(gain_text(c, f) for c in table.comparisons)] for f in figures]
            parts += [f"### {QUESTION}", "\n".join(f"- {c.verdict}" for c in table.comparisons)]
            parts += [QUESTION_NOTE, pipes(titles, rows)]
    if board.trainings:
        parts += [f"## {TRAINING_TITLE}", TRAINING_NOTE, pipes(TRAINING_TITLES, board.trainings)]
    parts += attributions_markdown(board.attributions)
    parts += generalisation_markdown(board.generalisation)
    for found in board.layer_maps:
        parts += [f"## {layer_heading(found)}", layer_note(found)]
        parts += [pipes(layer_titles(found), bold_rows(found, "**", "**"))]
    parts += ["## Published", PUBLISHED_NOTE, f"Source: {PUBLISHED_SOURCE}."]
    parts += [pipes(board.published_columns, board.published_rows)]
    parts += ["## Made with", "\n".join(f"- {line}" for line in board.made_with)]
    return "\n\n".join(parts) + "\n"


def _markdown_table(table: Table) -> str:
    rows = []
    for place, row in enumerate(table.rows):
        texts = []
        for index, (figure, cell) in enumerate(zip(table.columns, row.cells, strict=True)):
            text = cell_text(cell, figure, table.seeds)
            text = f"**{text}**" if table.is_bold(place, index) else text
            texts.append(f"{text} ({interval_text(cell.interval, figure)})" if cell.interval else text)
        rows.append([row.label, parameters(row), *texts])
    return pipes(["Encoder", "Parameters", *(figure.title for figure in table.columns)], rows)


def comma_separated(board: Leaderboard) -> str:
    """Every figure of every row, one a line."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for table in (*board.tables, *board.pretraining):
        for row in table.rows:
            for (task, metric), cell in row.figures.items():
                drawn = {seed: value for seed, value in cell.by_seed.items() if seed is not None}
                seeds = " ".join(str(seed) for seed, value in sorted(drawn.items()) if value is not None)
                writer.writerow(
                    [table.stage, table.corpus, table.trained_on, table.split, table.protocol]
                    + [row.name, row.layer or "", row.role, task, metric]
                    + ["" if value is None else repr(value) for value in (cell.mean, cell.std)]
                    + _interval_cells(cell.interval)
                    + [str(len(cell.values)), seeds]
                )
    return stream.getvalue()


def _interval_cells(interval: Interval | None) -> list[str]:
    if interval is None:
        return ["", "", ""]
    # The last digits depend on the machine's way of adding up.
    return [f"{interval.low:.6g}", f"{interval.high:.6g}", str(interval.num_groups)]


def show(board: Leaderboard, console: Console) -> None:
    """Prints our tables; the published one is left to the files."""
    show_relations([report for report in board.reports if not report.published], console)
    for table in (*board.tables, *board.pretraining):
        console.print(f"\n[bold]{heading(table)}[/bold]", highlight=False)
        console.print("; ".join(f"{name.lower()}: {text}" for name, text in facts(table)), style="dim", markup=False)
        console.print(_fitting(table, console))
        for comparison in table.comparisons:
            console.print(f"• {comparison.verdict}", markup=False, highlight=False)
    for found in board.layer_maps:
        show_map(found, console)


def _fitting(table: Table, console: Console) -> Grid:
    """Rows are encoders where the console is wide enough, else figures: few encoders fit 80 columns, many do not."""
    unbounded = console.options.update(width=10_000)
    for transposed in (False, True):
        grid = _console_table(table, transposed)
        if console.measure(grid, options=unbounded).maximum <= console.width or (transposed and len(table.rows) < 5):
            return grid
    return _console_table(table, False, brief=True)


def _console_table(table: Table, transposed: bool, brief: bool = False) -> Grid:
    columns = [[row.label for row in table.rows]]
    for index, figure in enumerate(table.columns):
        texts = [cell_text(row.cells[index], figure, table.seeds) for row in table.rows]
        texts = [text.partition(" ±")[0] for text in texts] if brief else texts
        columns.append(
            [f"[bold green]{text}[/]" if table.is_bold(row, index) else text for row, text in enumerate(texts)]
        )
    titles = ["", *(figure.title for figure in table.columns)]
    body = [list(line) for line in zip(*columns, strict=True)]
    if transposed:
        titles, *body = [list(line) for line in zip(*[titles, *body], strict=True)]
    grid = Grid(show_edge=False, pad_edge=False)
    for index, title in enumerate(titles):
        # A figure is not broken over lines; a name may be.
        grid.add_column(title, justify="right" if index else "left", no_wrap=bool(index) and not (transposed or brief))
    if brief:  # without lines there is room for whole words of names
        grid.box, grid.collapse_padding = None, True
        grid.columns[0].no_wrap = True
        width = max((len(word) for name, *_ in body for word in name.split()), default=1)
        body = [["\n".join(textwrap.wrap(name, width)), *texts] for name, *texts in body]
    for line in body:
        grid.add_row(*line)
    return grid
