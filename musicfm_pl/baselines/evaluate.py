"""The command that judges a baseline as a trained head is judged, and records it as a run."""

from __future__ import annotations

import importlib.metadata
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import yaml
from rich.console import Console

from data_modules.corpora.base import Kind, Tested
from data_modules.processes import over_tracks
from data_modules.shards import Entry, Prepared
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline, imported
from musicfm_pl.heads.base import Estimate, Metrics
from musicfm_pl.provenance import config_digest, machine, versions
from musicfm_pl.results import Evaluation, RunResult, Task, TrackResult, run_name, write_aside, write_result
from musicfm_pl.systems.judge import Judge


def baseline(
    method: Baseline, root: Path, run_dir: Path, name: str | None = None, split: Tested = "test", jobs: int = 0
) -> None:
    """Judges a published method on the tracks, and by the scorer, that trained heads are judged by.

    It writes `results.json` into the run directory, so that the leaderboard shows it beside probes. Nothing is
    drawn at random, so there is no seed: every seed of an encoder is compared with it.

    Args:
        method: What to judge: `--task beat` names the one for a task (`beat`, `chord`, `structure`, `key`,
            `tagging`), `--method` any class by its path; its own settings follow as `--method.earlier_s` and so on.
        root: A folder that `musicfm prepare` wrote.
        run_dir: Directory of the run.
        name: Row of the leaderboard; the method's own by default. Methods for several tasks may share one.
        split: Which tracks: `test`, another to choose settings on, or `all` with a method that learns nothing.
        jobs: Processes; 0 for one a core.

    Raises:
        FileNotFoundError: `root` is no prepared folder.
        ImportError: A package that the method needs is not installed.
        ValueError: The split has no track with labels of the task's kind; or it is `all`, and the method learns from
            some of these tracks.
    """
    began_s = time.monotonic()
    prepared = Prepared(root)
    kind = method.head.kind
    entries = prepared.labelled(split, kind)
    packages = _versions(method)
    method.learn(_training_labels(prepared, kind, split, name or method.name))
    console = Console()
    row = name or method.name
    estimates = _estimates(method, prepared.root, entries, _processes(jobs, len(entries)), row, console)
    judge = Judge(method.judge())
    for entry, estimate in zip(entries, estimates, strict=True):
        judge.add_estimate(entry.track_id, entry.labels[kind], estimate, entry.duration_s)
    notes = [
        f"{row}: {method.source}",
        f"{row}: the estimates are the method's own under every protocol, which differ here in scoring alone",
    ]
    if left_out := len(prepared.split(split)) - len(entries):
        of_split = "all splits" if split == "all" else f"the {split} split"
        notes.append(f"{left_out} tracks of {of_split} carry no {kind} labels and are left out")
    evaluations = {
        protocol: Evaluation(
            summary=_defined(scores.summary, method),
            notes=[*notes, *scores.notes],
            tracks=[
                TrackResult(entry.track_id, entry.group, _defined(metrics, method), weights, tags)
                for entry, (metrics, weights, tags) in zip(entries, scores.by_track(), strict=True)
            ],
        )
        for protocol, scores in judge.scores().items()
    }
    own = evaluations.pop(judge.own)
    settings = _settings(method, root, split)
    run_dir.mkdir(parents=True, exist_ok=True)
    write_aside(run_dir / "config.yaml", yaml.safe_dump(dict(settings), sort_keys=False))
    path = write_result(
        run_dir,
        RunResult(
            run=run_name(run_dir),
            name=row,
            role="baseline",
            stage="probe",
            task=cast(Task, method.head.task),
            protocol=judge.own,
            corpus=prepared.card["corpus"],
            corpus_note=prepared.card["note"],
            licence=prepared.card["licence"],
            split=split,
            num_tracks=len(entries),
            seed=None,
            layer=None,
            num_parameters=0,
            config_digest=config_digest(settings),
            versions=versions() | packages,
            machine=machine("cpu"),
            seconds=round(time.monotonic() - began_s, 1),
            summary=own.summary,
            notes=own.notes,
            tracks=own.tracks,
            others=evaluations,
        ),
    )
    for figure in method.head.headline:
        value = own.summary.get(figure)
        console.print(f"{figure}: {'not defined' if value is None else f'{value:.3f}'}", highlight=False)
    console.print(f"results: {path}", highlight=False, soft_wrap=True)


def _training_labels(prepared: Prepared, kind: Kind, judged: Tested, row: str) -> Iterator[Spans]:
    """The labels of the training split, which a corpus for testing alone lacks: asked for when they are iterated.

    Raises:
        ValueError: All tracks are judged, those of the training among them.
    """
    if judged == "all":
        raise ValueError(
            f"--split all: {row!r} learns from the training tracks of {prepared.root}, which are among all its tracks; "
            f"leave --split out, for its test split"
        )
    for entry in prepared.labelled("train", kind):
        yield entry.labels[kind]


def _versions(method: Baseline) -> dict[str, str | None]:
    """Versions of the packages that the method needs, all of which are there."""
    for package in method.packages:
        imported(package)
    return {package: importlib.metadata.version(package) for package in method.packages}


def _processes(jobs: int, num_tracks: int) -> int:
    if jobs < 0:
        raise ValueError(f"--jobs: {jobs}, but it takes one process or more, or 0 for one a core")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(jobs or cores, num_tracks)


def _settings(method: Baseline, root: Path, split: Tested) -> Mapping[str, Any]:
    """What tells two runs of a baseline apart, for the digest."""
    settings = {key: str(value) for key, value in vars(method).items() if not key.startswith("_")}
    return {
        "method": f"{type(method).__module__}.{type(method).__name__}",
        **settings,
        "root": root.as_posix(),
        "split": split,
    }


def _defined(metrics: Metrics, method: Baseline) -> Metrics:
    """Figures without those that the method gives no estimate for."""
    return {key: None if key.startswith(method.not_estimated) else value for key, value in metrics.items()}


def _estimates(
    method: Baseline, root: Path, entries: Sequence[Entry], jobs: int, row: str, console: Console
) -> list[Estimate]:
    """The estimate for each track in order, with progress on the console where it takes time."""
    if not method.listens:
        return [_estimate(method, root, entry, number)[1] for number, entry in enumerate(entries)]
    parts = [(1, (method, root, entry, number)) for number, entry in enumerate(entries)]
    found = dict(over_tracks(_estimate, parts, lambda done: entries[done[0]].duration_s, jobs, row, console))
    return [found[number] for number in range(len(entries))]


def _estimate(method: Baseline, root: Path, entry: Entry, number: int) -> tuple[int, Estimate]:
    """One track by its number, in whatever process."""
    return number, method.estimate(Prepared(root).read(entry).astype(np.float32) / 32768.0)
