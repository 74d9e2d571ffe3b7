"""The record of a run: `results.json` in its directory, written once, checked whenever it is read."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

SCHEMA = 1
FILE_NAME = "results.json"

Role = Literal["encoder", "baseline"]
Stage = Literal["pretrain", "probe", "finetune"]
Task = Literal["beat", "chord", "structure", "key", "tagging", "pretrain"]


class ResultError(ValueError):
    """A `results.json` that cannot be used: the message says which file and which key."""


@dataclass(frozen=True)
class TrackResult:
    """Scores of one track of the test set.

    Attributes:
        track_id: As in the corpus.
        group: The work, song or artist: the unit of the bootstrap.
        metrics: Scores by name; None where a figure is not defined for the track.
    """

    track_id: str
    group: str
    metrics: Mapping[str, float | None]


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
        protocol: The name under which the task was evaluated, such as "musicfm".
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


def run_name(run_dir: Path) -> str:
    """The run directory below the last folder named `runs`, or its own name."""
    parts = run_dir.parts
    below = parts[::-1].index("runs") if "runs" in parts[:-1] else 1
    return "/".join(parts[-below:])


_STR, _INT, _OPTIONAL_INT, _NUMBER = (str,), (int,), (int, type(None)), (int, float)
_LIST, _DICT, _OPTIONAL_NUMBER = (list,), (dict,), (int, float, type(None))
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("run", "name", "role", "stage", "task", "protocol", "corpus", "corpus_note"), _STR),
    **dict.fromkeys(("licence", "split", "config_digest"), _STR),
    **dict.fromkeys(("num_tracks", "num_parameters"), _INT),
    **dict.fromkeys(("versions", "machine", "summary"), _DICT),
    **dict.fromkeys(("seed", "layer"), _OPTIONAL_INT),
    **{"seconds": _NUMBER, "notes": _LIST, "tracks": _LIST},
}
_CHOICES = {"role": get_args(Role), "stage": get_args(Stage), "task": get_args(Task)}
_MAY_BE_EMPTY = {"corpus_note"}


def write_result(run_dir: Path, result: RunResult) -> Path:
    """Writes `results.json` into a run directory, whole or not at all.

    Returns:
        The path of the file.

    Raises:
        ResultError: The result would not be readable again: an unknown stage, a figure that is not finite.
    """
    path = run_dir / FILE_NAME
    head: dict[str, Any] = {"schema": SCHEMA} | {
        f.name: getattr(result, f.name) for f in fields(result) if f.name != "tracks"
    }
    head["notes"] = list(result.notes)
    for key in ("versions", "machine", "summary"):
        head[key] = dict(head[key])
    tracks = [{"track_id": t.track_id, "group": t.group, "metrics": dict(t.metrics)} for t in result.tracks]
    _from_json(head | {"tracks": tracks}, path)
    # One track a line: a file that people scroll through and that git can compare.
    rows = ",\n".join("    " + json.dumps(track, ensure_ascii=False) for track in tracks)
    text = json.dumps(head, indent=2, ensure_ascii=False).removesuffix("\n}")
    text += ',\n  "tracks": ' + (f"[\n{rows}\n  ]" if tracks else "[]") + "\n}\n"
    run_dir.mkdir(parents=True, exist_ok=True)
    write_aside(path, text)
    return path


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
    return _from_json(data, path)


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


def _from_json(data: object, path: Path) -> RunResult:
    if not isinstance(data, dict):
        raise ResultError(f"{path}: not a result, but a JSON {type(data).__name__}")
    if data.get("schema") != SCHEMA:
        raise ResultError(f"{path}: schema {data.get('schema')!r}, but this version reads schema {SCHEMA}")
    keys = {"schema", *_TYPES}
    if missing := sorted(keys - data.keys()):
        raise ResultError(f"{path}: missing {', '.join(missing)}")
    if unknown := sorted(data.keys() - keys):
        raise ResultError(f"{path}: unknown key {', '.join(unknown)}")
    for key, types in _TYPES.items():
        _check(data[key], types, path, key)
        if types == _STR and not data[key] and key not in _MAY_BE_EMPTY:
            raise ResultError(f"{path}: {key}: empty")
    for key, choices in _CHOICES.items():
        if data[key] not in choices:
            raise ResultError(f"{path}: {key}: {data[key]!r} is none of {', '.join(choices)}")
    if (data["stage"] == "pretrain") != (data["task"] == "pretrain"):
        raise ResultError(f"{path}: task: {data['task']!r} in stage {data['stage']!r}; pretrain belongs to pretrain")
    for index, note in enumerate(data["notes"]):
        _check(note, _STR, path, f"notes[{index}]")
    _check_values(data["versions"], (str, type(None)), path, "versions")
    _check_values(data["machine"], (str, int), path, "machine")
    _check_values(data["summary"], _OPTIONAL_NUMBER, path, "summary")
    tracks = tuple(_track(track, path, f"tracks[{index}]") for index, track in enumerate(data["tracks"]))
    if tracks and len({track.track_id for track in tracks}) != data["num_tracks"]:
        raise ResultError(f"{path}: num_tracks: {data['num_tracks']}, but tracks has {len(tracks)} rows")
    return RunResult(**{key: data[key] for key in _TYPES} | {"notes": tuple(data["notes"]), "tracks": tracks})


def _track(data: object, path: Path, key: str) -> TrackResult:
    _check(data, _DICT, path, key)
    assert isinstance(data, dict)
    if set(data) != {"track_id", "group", "metrics"}:
        raise ResultError(f"{path}: {key}: has {', '.join(data) or 'nothing'}, but needs track_id, group, metrics")
    _check(data["track_id"], _STR, path, f"{key}.track_id")
    _check(data["group"], _STR, path, f"{key}.group")
    _check(data["metrics"], _DICT, path, f"{key}.metrics")
    _check_values(data["metrics"], _OPTIONAL_NUMBER, path, f"{key}.metrics")
    return TrackResult(data["track_id"], data["group"], data["metrics"])


def _check_values(data: Mapping[str, object], types: tuple[type, ...], path: Path, key: str) -> None:
    for name, value in data.items():
        _check(value, types, path, f"{key}.{name}")


def _check(value: object, types: tuple[type, ...], path: Path, key: str) -> None:
    # bool is an int to Python, and NaN a number: neither is a figure.
    if not isinstance(value, types) or isinstance(value, bool):
        wanted = " or ".join("null" if t is type(None) else t.__name__ for t in types)
        raise ResultError(f"{path}: {key}: {value!r} is no {wanted}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ResultError(f"{path}: {key}: {value} is no figure; null says that it is not defined")
