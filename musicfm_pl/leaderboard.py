"""The leaderboard: a pure function of results, and the command that writes it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Hashable, Iterable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from rich.console import Console

from musicfm_pl.layer_map import layer_maps
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown, show
from musicfm_pl.protocols.presets import protocol_names
from musicfm_pl.results import RunResult, Task, read_results, write_aside
from musicfm_pl.standings import (
    FIGURES,
    PRETRAIN_FIGURES,
    Cell,
    Comparison,
    Figure,
    Gain,
    Leaderboard,
    Row,
    Table,
    refuse_doubles,
)


def leaderboard(results: list[Path] | Path = Path("runs"), out: Path = Path(), protocol: str | None = None) -> None:
    """Regenerates the leaderboard from the results of runs: prints it, and writes it in three forms.

    Figures are means over seeds with their standard deviation. The same results give the same bytes.

    Args:
        results: Directories in which every `results.json` counts, at whatever depth.
        out: Directory for LEADERBOARD.md, leaderboard.csv (every figure, not the headline alone) and
            leaderboard.html (one page that needs no network).
        protocol: Under which runs are compared, such as marble: those that were not evaluated under it are
            left out. By default each run is in the table of its own protocol.

    Raises:
        FileNotFoundError: A directory does not exist, or there is no result in any.
        ResultError: A `results.json` cannot be used; the message names the file and the key.
        ValueError: No run was evaluated under the protocol.
    """
    roots = [results] if isinstance(results, Path) else results
    found: list[RunResult] = []
    for root in roots:
        # A directory may be given beside one that contains it.
        found += [result for result in read_results(root) if result not in found]
    if not found:
        raise FileNotFoundError(
            f"no results.json under {', '.join(map(str, roots))}; run a grid first: musicfm grid FILE --launch local"
        )
    board = build(found if protocol is None else under(found, protocol))
    out.mkdir(parents=True, exist_ok=True)
    show(board, Console())
    for name, text in (
        ("LEADERBOARD.md", markdown(board)),
        ("leaderboard.csv", comma_separated(board)),
        ("leaderboard.html", page(board)),
    ):
        write_aside(out / name, text)
        print(f"wrote {out / name}")


def under(results: Iterable[RunResult], protocol: str) -> list[RunResult]:
    """The runs that were evaluated under a protocol, with its figures; pretraining has none to choose.

    Raises:
        ValueError: There is no such run; the message names the protocols that there are.
    """
    tasks, pretraining = [], []
    known: dict[str, None] = {}
    for result in results:
        if result.stage == "pretrain":
            pretraining.append(result)
            continue
        known |= dict.fromkeys(result.evaluations)
        if protocol in result.evaluations:
            tasks.append(result.under(protocol))
    if not tasks:
        raise ValueError(f"--protocol: no result is under {protocol!r}; there are {', '.join(known) or 'none'}")
    return [*tasks, *pretraining]


def build(results: Iterable[RunResult]) -> Leaderboard:
    """The leaderboard of some runs: a pure function of them and of the published table, whatever their order.

    Raises:
        ValueError: Two runs claim the same place: the same row, task and seed, with the same layer.
    """
    runs = sorted(results, key=lambda r: (r.run, r.task, r.name, str(r.seed), r.config_digest))
    by_table = _grouped(runs, lambda r: (r.stage, r.corpus, r.split, r.protocol, r.corpus_note, r.licence))
    # Probes before fine-tuning, as in the study.
    tables = [_table(group) for _, group in sorted(by_table.items(), key=lambda item: (item[0][0] != "probe", item[0]))]
    columns, rows = published()
    return Leaderboard(
        tables=tuple(table for table in tables if table.stage != "pretrain"),
        pretraining=tuple(table for table in tables if table.stage == "pretrain"),
        layer_maps=layer_maps(runs),
        published_columns=columns,
        published_rows=rows,
        made_with=_made_with(runs),
        num_runs=len(runs),
    )


def published() -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Titles and rows of the study's Table 1, as strings; empty where it gives nothing."""
    text = (files("musicfm_pl") / "published.csv").read_text(encoding="utf-8")
    titles, *rows = csv.reader(text.splitlines())
    return tuple(titles), tuple(tuple(row) for row in rows)


def _table(runs: Sequence[RunResult]) -> Table:
    first = runs[0]
    columns = PRETRAIN_FIGURES if first.stage == "pretrain" else _columns(runs)
    rows = sorted(
        (row for group in _grouped(runs, lambda r: (r.name, r.role)).values() for row in _rows(group, columns)),
        key=lambda row: (row.role != "encoder", row.label),
    )
    tasks = tuple(dict.fromkeys(column.task for column in columns))
    by_task = _grouped(runs, lambda r: r.task)
    return Table(
        corpus=first.corpus,
        corpus_note=first.corpus_note,
        licence=first.licence,
        split=first.split,
        stage=first.stage,
        protocol=first.protocol,
        columns=columns,
        rows=tuple(rows),
        num_tracks={task: tuple(sorted({r.num_tracks for r in by_task[task]})) for task in tasks if task in by_task},
        seeds=tuple(sorted({r.seed for r in runs if r.seed is not None})),
        not_run=tuple(_not_run(rows, columns, tasks)),
        notes=tuple(
            dict.fromkeys(f"{task}: {note}" for task in tasks for r in by_task.get(task, ()) for note in r.notes)
        ),
        comparisons=tuple(_comparisons(rows, columns)) if first.stage != "pretrain" else (),
        other_protocols=tuple(dict.fromkeys(name for r in runs for name in r.others)),
    )


def _columns(runs: Sequence[RunResult]) -> tuple[Figure, ...]:
    """The figures of the tasks that know the protocol of these runs, whether or not they were run."""
    run = {r.task for r in runs}
    return tuple(f for f in FIGURES if f.task in run or runs[0].protocol in protocol_names(f.task))


def _rows(runs: Sequence[RunResult], columns: Sequence[Figure]) -> Iterable[Row]:
    places = _grouped(runs, lambda r: (r.task, r.seed))
    if all(len(group) == 1 for group in places.values()):
        yield _row(runs, None, columns)
        return
    # One name on several layers is a row for each.
    refuse_doubles(runs)
    by_layer = _grouped(runs, lambda r: "all layers" if r.layer is None else f"layer {r.layer}")
    for label, group in by_layer.items():
        yield _row(group, label, columns)


def _row(runs: Sequence[RunResult], layer: str | None, columns: Sequence[Figure]) -> Row:
    cells = tuple(
        Cell({r.seed: r.summary.get(column.metric) for r in runs if r.task == column.task}) for column in columns
    )
    metrics = dict.fromkeys((r.task, metric) for r in runs for metric in r.summary)
    figures = {
        (task, metric): Cell({r.seed: r.summary.get(metric) for r in runs if r.task == task})
        for task, metric in metrics
    }
    return Row(runs[0].name, runs[0].role, layer, max(r.num_parameters for r in runs), cells, figures)


def _not_run(rows: Sequence[Row], columns: Sequence[Figure], tasks: Sequence[Task]) -> Iterable[str]:
    at = {task: next(i for i, column in enumerate(columns) if column.task == task) for task in tasks}
    for task in tasks:
        lacking = [row.label for row in rows if not row.cells[at[task]].by_seed]
        if len(lacking) == len(rows):
            yield task
        elif lacking:
            yield f"{task} of {' and '.join(lacking)}"


def _comparisons(rows: Sequence[Row], columns: Sequence[Figure]) -> Iterable[Comparison]:
    for encoder in rows:
        for baseline in rows:
            if encoder.role == "encoder" and baseline.role == "baseline" and _belongs(baseline, encoder):
                yield Comparison(encoder.label, baseline.label, tuple(_gains(encoder, baseline, columns)))


def _belongs(baseline: Row, encoder: Row) -> bool:
    model, _, variant = baseline.name.partition(",")
    same_model = not variant or model == encoder.name.partition(",")[0]
    return same_model and (None in (baseline.layer, encoder.layer) or baseline.layer == encoder.layer)


def _gains(encoder: Row, baseline: Row, columns: Sequence[Figure]) -> Iterable[Gain]:
    for column, ours, theirs in zip(columns, encoder.cells, baseline.cells, strict=True):
        differences: dict[int | None, float] = {}
        for seed in sorted(seed for seed in ours.by_seed if seed is not None):
            # What draws nothing would be the same with every seed.
            our, their = ours.by_seed[seed], theirs.by_seed.get(seed if theirs.is_drawn else None)
            if our is not None and their is not None:
                differences[seed] = our - their
        if differences:
            yield Gain(column, differences)


def _made_with(runs: Sequence[RunResult]) -> tuple[str, ...]:
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.versions.items():
            found.setdefault(name, set()).add(version or "unknown")
    return tuple(f"{name} {', '.join(sorted(numbers))}" for name, numbers in found.items())


_K = TypeVar("_K", bound=Hashable)


def _grouped(runs: Iterable[RunResult], key: Callable[[RunResult], _K]) -> dict[_K, list[RunResult]]:
    groups: dict[_K, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups
