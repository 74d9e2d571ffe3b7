"""The leaderboard: a pure function of results, and the command that writes it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from musicfm_pl.analysis.attribution import attributions
from musicfm_pl.analysis.curves import curves
from musicfm_pl.analysis.factors import Origin, read_runs
from musicfm_pl.analysis.generalisation import generalisation
from musicfm_pl.analysis.leads import leads
from musicfm_pl.analysis.published import published, published_arms
from musicfm_pl.analysis.rate_length import rate_length_maps
from musicfm_pl.analysis.relation_file import Relation, read_relations
from musicfm_pl.analysis.relations import Report, report, reports
from musicfm_pl.analysis.sources import source
from musicfm_pl.analysis.training import training_rows
from musicfm_pl.codebook_file import CodebookReport, read_reports
from musicfm_pl.layer_map import layer_maps
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown, show
from musicfm_pl.protocols.presets import protocol_names
from musicfm_pl.results import RunResult, Task, write_aside
from musicfm_pl.standings import FIGURES, PRETRAIN_FIGURES, PUBLISHED_SOURCE, Figure, Leaderboard, Row, Table
from musicfm_pl.table_rows import comparisons, grouped, rows_of


def leaderboard(
    results: list[Path] | Path = Path("runs"),
    out: Path = Path(),
    protocol: str | None = None,
    relations: Path | None = None,
) -> None:
    """Regenerates the leaderboard from the results of runs: prints it, and writes it in three forms.

    Figures are means over seeds with their standard deviation, and intervals over works and seeds. The same results
    give the same bytes.

    Args:
        results: Directories in which every `results.json` counts, at whatever depth.
        out: Directory for LEADERBOARD.md, leaderboard.csv (every figure, not the headline alone) and
            leaderboard.html (one page that needs no network).
        protocol: Under which runs are compared, such as marble: those that were not evaluated under it are
            left out. By default each run is in the table of its own protocol.
        relations: YAML of the conclusions to check; by default the study's.

    Raises:
        FileNotFoundError: A directory does not exist, or there is no result in any.
        ResultError: A `results.json` cannot be used, or was made with another configuration than lies beside it;
            the message names the file and the key.
        RelationError: The file of relations cannot be used.
        ValueError: No run was evaluated under the protocol.
    """
    found, origins = read_some(results)
    codebooks = read_reports([results] if isinstance(results, Path) else results)
    compared = found if protocol is None else under(found, protocol)
    board = build(compared, origins, out, read_relations(relations), codebooks)
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


def read_some(results: list[Path] | Path) -> tuple[list[RunResult], dict[str, Origin]]:
    """The results under one or several directories, of which one may lie in another.

    Raises:
        FileNotFoundError: A directory does not exist, or there is no result in any.
        ResultError: See `read_runs`.
    """
    roots = [results] if isinstance(results, Path) else results
    found, origins = read_runs(roots)
    if not found:
        raise FileNotFoundError(
            f"no results.json under {', '.join(map(str, roots))}; run a grid first: musicfm grid FILE --launch local"
        )
    return found, origins


def build(
    results: Iterable[RunResult],
    origins: Mapping[str, Origin] | None = None,
    out: Path = Path(),
    relations: Sequence[Relation] | None = None,
    codebooks: Sequence[CodebookReport] = (),
) -> Leaderboard:
    """The leaderboard of some runs: a pure function of them and of the published table, whatever their order.

    Args:
        results: Of the runs.
        origins: By run where it comes from; without them nothing is known of factors.
        out: Directory of the page, from which files are named.
        relations: Conclusions to check; the study's if None.
        codebooks: What `musicfm codebook` wrote of the encoders.

    Raises:
        ValueError: Two runs claim the same place: the same row, task and seed, with the same layer.
    """
    origins = origins or {}
    relations = read_relations() if relations is None else relations
    runs = sorted(results, key=lambda r: (r.run, r.task, r.name, str(r.seed), r.config_digest))
    by_table = grouped(runs, lambda r: (r.stage, r.corpus, r.trained_on, r.split, r.protocol, r.corpus_note, r.licence))
    # Probes before fine-tuning, as in the study.
    in_order = sorted(by_table.items(), key=lambda item: (item[0][0] != "probe", item[0]))
    tables = [_table(group, origins, out) for _, group in in_order]
    columns, rows = published()
    return Leaderboard(
        tables=tuple(table for table in tables if table.stage != "pretrain"),
        pretraining=tuple(table for table in tables if table.stage == "pretrain"),
        layer_maps=layer_maps(runs),
        published_columns=columns,
        published_rows=rows,
        made_with=_made_with(runs),
        num_runs=len(runs),
        reports=_compared(runs, origins, relations),
        rate_length_maps=rate_length_maps(runs, origins),
        curves=curves(runs, origins),
        attributions=attributions(runs, origins),
        trainings=training_rows(runs, origins),
        generalisation=generalisation(runs, origins, codebooks),
    )


def _compared(
    runs: Sequence[RunResult], origins: Mapping[str, Origin], relations: Sequence[Relation]
) -> tuple[Report, ...]:
    """Reports in which something was compared, and then that of the published table; `relations` gives all."""
    compared = [
        found for found in reports(runs, origins, relations) if any(answer.findings for answer in found.answers)
    ]
    if not compared:
        return ()
    title = f"the published table ({PUBLISHED_SOURCE})"
    return (*compared, report(title, published_arms(), relations, published=True))


def _naturally(label: str) -> list[tuple[int, str]]:
    """For sorting: layer 2 comes before layer 10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", label)]


def _table(runs: Sequence[RunResult], origins: Mapping[str, Origin], out: Path) -> Table:
    first = runs[0]
    columns = PRETRAIN_FIGURES if first.stage == "pretrain" else _columns(runs)
    made = sorted(
        (made for group in grouped(runs, lambda r: (r.name, r.role)).values() for made in rows_of(group, columns)),
        key=lambda made: (made[0].role != "encoder", _naturally(made[0].label)),
    )
    rows = [row for row, _, _ in made]
    sources = {
        (row.label, task): source(row.label, of_task, origins, columns, out)
        for row, _, of_row in made
        for task, of_task in grouped(of_row, lambda r: r.task).items()
    }
    samples = {row.label: found for row, found, _ in made}
    tasks = tuple(dict.fromkeys(column.task for column in columns))
    by_task = grouped(runs, lambda r: r.task)
    return Table(
        corpus=first.corpus,
        trained_on=first.trained_on,
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
        comparisons=tuple(comparisons(rows, columns, samples)) if first.stage != "pretrain" else (),
        other_protocols=tuple(dict.fromkeys(name for r in runs for name in r.others)),
        leads=leads([row.cells for row in rows], [list(of_row) for of_row in samples.values()]),
        sources=sources,
        unverified=_unverified(runs, origins),
    )


def _unverified(runs: Sequence[RunResult], origins: Mapping[str, Origin]) -> tuple[str, ...]:
    reasons = Counter(origins[run.run].unverified for run in runs if run.run in origins)
    return tuple(f"{reason} ({count} of {len(runs)} results)" for reason, count in sorted(reasons.items()) if reason)


def _columns(runs: Sequence[RunResult]) -> tuple[Figure, ...]:
    """The figures of the tasks that know the protocol of these runs, whether or not they were run."""
    run = {r.task for r in runs}
    return tuple(f for f in FIGURES if f.task in run or runs[0].protocol in protocol_names(f.task))


def _not_run(rows: Sequence[Row], columns: Sequence[Figure], tasks: Sequence[Task]) -> Iterable[str]:
    at = {task: next(i for i, column in enumerate(columns) if column.task == task) for task in tasks}
    for task in tasks:
        lacking = [row.label for row in rows if not row.cells[at[task]].by_seed]
        if len(lacking) == len(rows):
            yield task
        elif lacking:
            yield f"{task} of {' and '.join(lacking)}"


def _made_with(runs: Sequence[RunResult]) -> tuple[str, ...]:
    found: dict[str, set[str]] = {}
    for run in runs:
        for name, version in run.versions.items():
            found.setdefault(name, set()).add(version or "unknown")
    return tuple(f"{name} {', '.join(sorted(numbers))}" for name, numbers in found.items())
