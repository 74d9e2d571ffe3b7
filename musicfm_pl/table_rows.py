"""Rows of a table from the runs of one name, and encoders against the baselines that belong to them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

from musicfm_pl.analysis.intervals import Interval, Sampled, effect, sampled
from musicfm_pl.results import RunResult, Task
from musicfm_pl.standings import Cell, Comparison, Figure, Gain, Row, refuse_doubles

Made = tuple[Row, tuple[Sampled | None, ...], Sequence[RunResult]]


def rows_of(runs: Sequence[RunResult], columns: Sequence[Figure]) -> Iterable[Made]:
    """Rows with the resamples of their cells and with their runs."""
    places = grouped(runs, lambda r: (r.task, r.seed))
    if all(len(group) == 1 for group in places.values()):
        yield _row(runs, None, columns)
        return
    # One name on several layers is a row for each.
    refuse_doubles(runs)
    by_layer = grouped(runs, lambda r: "all layers" if r.layer is None else f"layer {r.layer}")
    for label, group in by_layer.items():
        yield _row(group, label, columns)


def _row(runs: Sequence[RunResult], layer: str | None, columns: Sequence[Figure]) -> Made:
    by_task = grouped(runs, lambda r: r.task)
    figures: dict[tuple[Task, str], Cell] = {}
    samples: dict[tuple[Task, str], Sampled | None] = {}
    for task, metric in dict.fromkeys([(r.task, m) for r in runs for m in r.summary]):
        # Hundreds of single tags are figures for the CSV, without an interval.
        found = None if "/" in metric else sampled(by_task[task], metric)
        samples[task, metric] = found
        values = {r.seed: r.summary.get(metric) for r in by_task[task]}
        figures[task, metric] = Cell(values, found.interval if found else None)
    at = [(column.task, column.metric) for column in columns]
    cells = tuple(figures.get(c) or Cell(dict.fromkeys(r.seed for r in by_task.get(c[0], ()))) for c in at)
    row = Row(runs[0].name, runs[0].role, layer, max(r.num_parameters for r in runs), cells, figures)
    return row, tuple(samples.get(c) for c in at), runs


def comparisons(
    rows: Sequence[Row], columns: Sequence[Figure], samples: Mapping[str, Sequence[Sampled | None]]
) -> Iterable[Comparison]:
    """Every encoder against every baseline of its model, or of none; samples are by row and column."""
    for encoder in rows:
        for baseline in rows:
            if encoder.role == "encoder" and baseline.role == "baseline" and _belongs(baseline, encoder):
                effects = [effect(*p) for p in zip(samples[baseline.label], samples[encoder.label], strict=True)]
                gains = _gains(encoder, baseline, columns, [e.interval if e else None for e in effects])
                yield Comparison(encoder.label, baseline.label, tuple(gains))


def _belongs(baseline: Row, encoder: Row) -> bool:
    model, _, variant = baseline.name.partition(",")
    same_model = not variant or model == encoder.name.partition(",")[0]
    return same_model and (None in (baseline.layer, encoder.layer) or baseline.layer == encoder.layer)


def _gains(
    encoder: Row, baseline: Row, columns: Sequence[Figure], intervals: Sequence[Interval | None]
) -> Iterable[Gain]:
    for column, ours, theirs, interval in zip(columns, encoder.cells, baseline.cells, intervals, strict=True):
        differences: dict[int | None, float] = {}
        for seed in sorted(seed for seed in ours.by_seed if seed is not None):
            # What draws nothing would be the same with every seed.
            our, their = ours.by_seed[seed], theirs.by_seed.get(seed if theirs.is_drawn else None)
            if our is not None and their is not None:
                differences[seed] = our - their
        if differences:
            yield Gain(column, differences, interval)


_K = TypeVar("_K", bound=Hashable)


def grouped(runs: Iterable[RunResult], key: Callable[[RunResult], _K]) -> dict[_K, list[RunResult]]:
    """Runs by a key, in their order."""
    groups: dict[_K, list[RunResult]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups
