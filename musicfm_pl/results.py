"""The record of a run: `results.json` in its directory, written once, checked whenever it is read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from musicfm_pl.result_schema import SCHEMA, ResultError, Role, Stage, Task, check_result

FILE_NAME = "results.json"


@dataclass(frozen=True)
class TrackResult:
    """Scores of one track of the test set.

    Attributes:
        track_id: As in the corpus.
        group: The work, song or artist: the unit of the bootstrap.
        metrics: Scores by name; None where a figure is not defined for the track.
        weights: What the track weighs in figures that pool the whole set, such as seconds, by their names. The
            figure of the set is the mean of the tracks by these weights, a score of None counting 0.
        tags: Where the set is ranked by tags: the probability of each, and 1 or 0 for whether the track has it.
    """

    track_id: str
    group: str
    metrics: Mapping[str, float | None]
    weights: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, tuple[float, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Evaluation:
    """What the predictions of a run are worth under one protocol.

    Attributes:
        summary: Scores of the whole set by name; None where a figure is not defined.
        notes: What a reader of the figures must know.
        tracks: Scores by track; empty for pretraining.
    """

    summary: Mapping[str, float | None]
    notes: Sequence[str] = ()
    tracks: Sequence[TrackResult] = field(default=(), repr=False)


@dataclass(frozen=True)
class RunResult:
    """What a run found, and what one must know to read it.

    Attributes:
        run: The run directory relative to the root of the runs, with forward slashes.
        name: The row of the leaderboard. What stands before the first comma is the model, what follows is the
            variant: "Conformer, pretrained" is compared with the baseline "Conformer, random", and with every
            baseline whose name has no comma ("plain mel").
        role: Whether the row is a candidate or something to be better than.
        stage: What was done with the encoder; of a probe and a fine-tuning the task is the head's.
        protocol: The name under which the figures below stand, such as "musicfm": that of the run's own
            settings, unless `under` was asked for another.
        corpus_note: What every table made from the corpus must say, such as "synthetic tempo"; may be empty.
        licence: Of the corpus.
        num_tracks: Tracks scored; for pretraining, tracks of the validation split.
        seed: Of the run; None where nothing is drawn at random: such a baseline is compared with every seed.
        layer: The hidden state the head read; None for a learned weighting of all, and for pretraining.
        num_parameters: Parameters of the encoder.
        config_digest: See `provenance.config_digest`.
        versions: See `provenance.versions`.
        machine: See `provenance.machine`.
        seconds: Wall time of the command that wrote this: a test, or the last part of a pretraining run.
        summary: Scores of the whole set by name; None where a figure is not defined.
        notes: What a reader of the figures must know.
        tracks: Scores by track; empty for pretraining.
        others: The same predictions by the names of other protocols.
        trained_on: Corpus that the model was trained on, where that is another than `corpus`; else empty.
        encoder_digest: `config_digest` of the pretraining that the encoder comes from, as it was when the run was
            trained; empty where it comes from none, and before schema 5, when nobody wrote it down.
    """

    run: str
    name: str
    role: Role
    stage: Stage
    task: Task
    protocol: str
    corpus: str
    corpus_note: str
    licence: str
    split: str
    num_tracks: int
    seed: int | None
    layer: int | None
    num_parameters: int
    config_digest: str
    versions: Mapping[str, str | None]
    machine: Mapping[str, str | int]
    seconds: float
    summary: Mapping[str, float | None]
    notes: Sequence[str] = ()
    tracks: Sequence[TrackResult] = field(default=(), repr=False)
    others: Mapping[str, Evaluation] = field(default_factory=dict, repr=False)
    trained_on: str = ""
    encoder_digest: str = ""

    @property
    def is_task_at_home(self) -> bool:
        """Whether these are figures of a task, on the corpus that the model was trained on."""
        return self.stage != "pretrain" and not self.trained_on

    @property
    def evaluations(self) -> dict[str, Evaluation]:
        """By protocol, the one of the figures first."""
        return {self.protocol: Evaluation(self.summary, self.notes, self.tracks), **self.others}

    def under(self, protocol: str) -> RunResult:
        """The same run with the figures of another protocol.

        Raises:
            KeyError: It was not evaluated under that protocol.
        """
        everything = self.evaluations
        chosen = everything.pop(protocol)
        return replace(
            self,
            protocol=protocol,
            summary=chosen.summary,
            notes=chosen.notes,
            tracks=chosen.tracks,
            others=everything,
        )


def run_name(run_dir: Path) -> str:
    """The run directory below the last folder named `runs`, or its own name."""
    parts = run_dir.parts
    below = parts[::-1].index("runs") if "runs" in parts[:-1] else 1
    return "/".join(parts[-below:])


def write_result(run_dir: Path, result: RunResult) -> Path:
    """Writes `results.json` into a run directory, whole or not at all.

    Returns:
        The path of the file.

    Raises:
        ResultError: The result would not be readable again: an unknown stage, a figure that is not finite.
    """
    path = run_dir / FILE_NAME
    apart = ("summary", "notes", "tracks", "others")
    head: dict[str, Any] = {"schema": SCHEMA} | {
        f.name: getattr(result, f.name) for f in fields(result) if f.name not in apart
    }
    for key in ("versions", "machine"):
        head[key] = dict(head[key])
    evaluations = {name: _plain(evaluation) for name, evaluation in result.evaluations.items()}
    check_result(head | {"protocols": evaluations}, path)
    text = json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
    blocks = ",\n".join(f"    {json.dumps(name)}: {_block(plain)}" for name, plain in evaluations.items())
    text += f',\n  "protocols": {{\n{blocks}\n  }}\n}}\n'
    run_dir.mkdir(parents=True, exist_ok=True)
    write_aside(path, text)
    return path


def _plain(evaluation: Evaluation) -> dict[str, Any]:
    tracks = []
    for track in evaluation.tracks:
        plain: dict[str, Any] = {"track_id": track.track_id, "group": track.group, "metrics": dict(track.metrics)}
        if track.weights:
            plain["weights"] = dict(track.weights)
        if track.tags:
            plain["tags"] = {tag: list(pair) for tag, pair in track.tags.items()}
        tracks.append(plain)
    return {"summary": dict(evaluation.summary), "notes": list(evaluation.notes), "tracks": tracks}


def _block(plain: Mapping[str, Any]) -> str:
    """One track a line: a file that people scroll through and that git can compare."""
    head = {key: value for key, value in plain.items() if key != "tracks"}
    text = json.dumps(head, indent=2, ensure_ascii=False).replace("\n", "\n    ").removesuffix("\n    }")
    rows = ",\n".join("        " + json.dumps(track, ensure_ascii=False) for track in plain["tracks"])
    return text + ',\n      "tracks": ' + (f"[\n{rows}\n      ]" if plain["tracks"] else "[]") + "\n    }"


def write_aside(path: Path, text: str) -> None:
    """Writes a text file beside its place and renames it, so that no reader ever sees half of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with aside.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def read_result(path: Path) -> RunResult:
    """Reads and checks a `results.json`, or the one in a run directory.

    Raises:
        FileNotFoundError: There is none.
        ResultError: It is no JSON, of another schema, or a key is missing, unknown or of the wrong type.
    """
    path = path / FILE_NAME if path.is_dir() else path
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultError(f"{path}: no JSON ({error})") from error
    check_result(data, path)
    evaluations = {name: _evaluation(plain) for name, plain in data.pop("protocols").items()}
    del data["schema"]
    own = evaluations.pop(data["protocol"])
    return RunResult(**data, summary=own.summary, notes=own.notes, tracks=own.tracks, others=evaluations)


def _evaluation(plain: Mapping[str, Any]) -> Evaluation:
    tracks = tuple(
        TrackResult(**track | {"tags": {tag: (pair[0], pair[1]) for tag, pair in track.get("tags", {}).items()}})
        for track in plain["tracks"]
    )
    return Evaluation(plain["summary"], tuple(plain["notes"]), tracks)


def read_results(root: Path) -> list[RunResult]:
    """Every result under a directory, in the order of their runs.

    Raises:
        FileNotFoundError: There is no such directory.
        ResultError: One of them cannot be used.
    """
    if not root.exists():
        raise FileNotFoundError(f"{root}: no such directory of runs")
    paths = sorted(root.rglob(FILE_NAME)) if root.is_dir() else [root]
    return sorted((read_result(path) for path in paths), key=lambda result: result.run)
