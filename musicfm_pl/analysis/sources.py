"""Where the figures of a row come from: its runs with seed, commit and configuration, and the scores of each track."""

from __future__ import annotations

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from musicfm_pl.analysis.factors import Origin, level_text
from musicfm_pl.provenance import IGNORED_KEYS
from musicfm_pl.results import FILE_NAME, RunResult
from musicfm_pl.standings import Figure

MOST_TRACKS = 500
"""Tracks of one row and task that a page lists; of larger test sets it names the files alone."""


@dataclass(frozen=True)
class SourceRun:
    """One run behind a figure.

    Attributes:
        config_file: Relative to the page, with forward slashes; empty if it was not kept.
        results_file: Likewise; empty for results that are not on disk.
    """

    run: str
    seed: int | None
    commit: str
    digest: str
    config_file: str
    results_file: str


@dataclass(frozen=True)
class Source:
    """Everything behind the figures of one row in one task.

    Attributes:
        name: The row.
        task: As in the results.
        runs: In the order of their seeds.
        factors: Names and levels, as text.
        missing: Why there are no factors; may be empty.
        config: The first run's configuration as YAML, without what changes no figure; empty if it was not kept.
        metrics: Names of the figures that tracks have.
        tracks: Track, group, and the mean over seeds of each figure; None where it is not defined.
        num_tracks: Of the test set, of which `tracks` may be none.
    """

    name: str
    task: str
    runs: tuple[SourceRun, ...]
    factors: tuple[tuple[str, str], ...]
    missing: str
    config: str
    metrics: tuple[str, ...]
    tracks: tuple[tuple[str, str, tuple[float | None, ...]], ...]
    num_tracks: int


def source(
    name: str, runs: Sequence[RunResult], origins: Mapping[str, Origin], columns: Sequence[Figure], out: Path
) -> Source:
    """The source of one row in one task.

    Args:
        name: The row.
        runs: At least one.
        origins: By run; may lack some.
        columns: Of the table.
        out: The directory of the page, from which files are named.
    """
    ordered = sorted(runs, key=lambda run: (-1 if run.seed is None else run.seed, run.run))
    first = ordered[0]
    origin = origins.get(first.run)
    metrics = [c.metric for c in columns if c.task == first.task and any(c.metric in t.metrics for t in first.tracks)]
    return Source(
        name,
        first.task,
        tuple(_run(run, origins.get(run.run), out) for run in ordered),
        tuple((f, level_text(f, level)) for f, level in origin.factors.items()) if origin else (),
        origin.missing if origin else "the results are not on disk",
        _yaml(origin.config) if origin else "",
        tuple(metrics),
        _tracks(ordered, metrics) if metrics and first.num_tracks <= MOST_TRACKS else (),
        first.num_tracks,
    )


def _run(run: RunResult, origin: Origin | None, out: Path) -> SourceRun:
    config = _relative(origin.config_file, out) if origin and origin.config_file else ""
    results = _relative(origin.folder / FILE_NAME, out) if origin else ""
    return SourceRun(run.run, run.seed, run.versions.get("commit") or "unknown", run.config_digest, config, results)


def _relative(file: Path, out: Path) -> str:
    return Path(os.path.relpath(file.resolve(), out.resolve())).as_posix()


def _tracks(runs: Sequence[RunResult], metrics: Sequence[str]) -> tuple[tuple[str, str, tuple[float | None, ...]], ...]:
    values: dict[tuple[str, str], list[list[float]]] = {}
    for run in runs:
        for track in run.tracks:
            of_track = values.setdefault((track.track_id, track.group), [[] for _ in metrics])
            for found, metric in zip(of_track, metrics, strict=True):
                if (value := track.metrics.get(metric)) is not None:
                    found.append(value)
    return tuple(
        (track_id, group, tuple(statistics.fmean(found) if found else None for found in of_track))
        for (track_id, group), of_track in sorted(values.items())
    )


def _yaml(config: Mapping[str, Any]) -> str:
    def kept(value: Any) -> Any:
        if isinstance(value, Mapping):
            inner = {k: kept(v) for k, v in value.items() if k not in IGNORED_KEYS and v is not None}
            return {k: v for k, v in inner.items() if v not in ({}, [])}
        return value

    return yaml.safe_dump(kept(config), sort_keys=False, width=100) if config else ""
