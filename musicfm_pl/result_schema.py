"""What a `results.json` must look like, checked key by key."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

SCHEMA = 5
"""1 had the figures of one protocol only; 2 did not say of a track what it weighs in figures of the whole set; 3 did
not say on which corpus the model was trained; 4 not with which configuration its encoder was."""
READABLE = (2, 3, 4, SCHEMA)
"""Files of schema 2 are read as they are: their figures of the whole set have no interval."""
_SINCE = {"trained_on": 4, "encoder_digest": 5}

Role = Literal["encoder", "baseline"]
Stage = Literal["pretrain", "probe", "finetune"]
Task = Literal["beat", "chord", "structure", "key", "tagging", "pretrain"]


class ResultError(ValueError):
    """A `results.json` that cannot be used: the message says which file and which key."""


_STR, _INT, _OPTIONAL_INT, _NUMBER = (str,), (int,), (int, type(None)), (int, float)
_LIST, _DICT, _OPTIONAL_NUMBER = (list,), (dict,), (int, float, type(None))
_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("run", "name", "role", "stage", "task", "protocol", "corpus", "corpus_note"), _STR),
    **dict.fromkeys(("licence", "split", "config_digest", "trained_on", "encoder_digest"), _STR),
    **dict.fromkeys(("num_tracks", "num_parameters"), _INT),
    **dict.fromkeys(("versions", "machine", "protocols"), _DICT),
    **dict.fromkeys(("seed", "layer"), _OPTIONAL_INT),
    "seconds": _NUMBER,
}
_EVALUATION_TYPES: Mapping[str, tuple[type, ...]] = {"summary": _DICT, "notes": _LIST, "tracks": _LIST}
_CHOICES = {"role": get_args(Role), "stage": get_args(Stage), "task": get_args(Task)}
_MAY_BE_EMPTY = {"corpus_note", "trained_on", "encoder_digest"}


def check_result(data: object, path: Path) -> None:
    """Looks at what a file says, or is about to say.

    Args:
        data: As JSON gives it.
        path: Of the file, for messages.

    Raises:
        ResultError: It is of another schema, or a key is missing, unknown or of the wrong type.
    """
    if not isinstance(data, dict):
        raise ResultError(f"{path}: not a result, but a JSON {type(data).__name__}")
    if data.get("schema") not in READABLE:
        raise ResultError(
            f"{path}: schema {data.get('schema')!r}, but this version reads schema {SCHEMA}; make it anew with "
            f"`musicfm test --run_dir {path.parent}`, or of a pretraining run with the `musicfm fit` that made it"
        )
    expected = {key: types for key, types in _TYPES.items() if data["schema"] >= _SINCE.get(key, 0)}
    _check_keys(data, {"schema", *expected}, path, "")
    for key, types in expected.items():
        _check(data[key], types, path, key)
        if types == _STR and not data[key] and key not in _MAY_BE_EMPTY:
            raise ResultError(f"{path}: {key}: empty")
    for key, choices in _CHOICES.items():
        if data[key] not in choices:
            raise ResultError(f"{path}: {key}: {data[key]!r} is none of {', '.join(choices)}")
    if (data["stage"] == "pretrain") != (data["task"] == "pretrain"):
        raise ResultError(f"{path}: task: {data['task']!r} in stage {data['stage']!r}; pretrain belongs to pretrain")
    _check_values(data["versions"], (str, type(None)), path, "versions")
    _check_values(data["machine"], (str, int), path, "machine")
    if data["protocol"] not in data["protocols"]:
        raise ResultError(f"{path}: protocol: {data['protocol']!r} is none of {', '.join(data['protocols'])}")
    for name, evaluation in data["protocols"].items():
        _check_evaluation(evaluation, data["num_tracks"], path, f"protocols.{name}")


def _check_evaluation(data: object, num_tracks: int, path: Path, key: str) -> None:
    _check(data, _DICT, path, key)
    assert isinstance(data, dict)
    _check_keys(data, set(_EVALUATION_TYPES), path, f"{key}: ")
    for name, types in _EVALUATION_TYPES.items():
        _check(data[name], types, path, f"{key}.{name}")
    for index, note in enumerate(data["notes"]):
        _check(note, _STR, path, f"{key}.notes[{index}]")
    _check_values(data["summary"], _OPTIONAL_NUMBER, path, f"{key}.summary")
    for index, track in enumerate(data["tracks"]):
        _check_track(track, path, f"{key}.tracks[{index}]")
    if data["tracks"] and len({track["track_id"] for track in data["tracks"]}) != num_tracks:
        raise ResultError(f"{path}: num_tracks: {num_tracks}, but {key}.tracks has {len(data['tracks'])} rows")


def _check_track(data: object, path: Path, key: str) -> None:
    _check(data, _DICT, path, key)
    assert isinstance(data, dict)
    if not {"track_id", "group", "metrics"} <= set(data) <= {"track_id", "group", "metrics", "weights", "tags"}:
        raise ResultError(
            f"{path}: {key}: has {', '.join(data) or 'nothing'}, but needs track_id, group, metrics, and may have "
            "weights and tags"
        )
    _check(data["track_id"], _STR, path, f"{key}.track_id")
    _check(data["group"], _STR, path, f"{key}.group")
    _check(data["metrics"], _DICT, path, f"{key}.metrics")
    _check_values(data["metrics"], _OPTIONAL_NUMBER, path, f"{key}.metrics")
    for name in ("weights", "tags"):
        _check(data.get(name, {}), _DICT, path, f"{key}.{name}")
    _check_values(data.get("weights", {}), _NUMBER, path, f"{key}.weights")
    for tag, pair in data.get("tags", {}).items():
        if not (isinstance(pair, list) and len(pair) == 2 and pair[1] in (0, 1)):
            raise ResultError(f"{path}: {key}.tags.{tag}: {pair!r} is no pair of a probability and 0 or 1")
        _check(pair[0], _NUMBER, path, f"{key}.tags.{tag}[0]")


def _check_keys(data: Mapping[str, object], keys: set[str], path: Path, key: str) -> None:
    if missing := sorted(keys - data.keys()):
        raise ResultError(f"{path}: {key}missing {', '.join(missing)}")
    if unknown := sorted(data.keys() - keys):
        raise ResultError(f"{path}: {key}unknown key {', '.join(unknown)}")


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
