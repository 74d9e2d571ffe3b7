"""JAMS files (Humphrey et al., ISMIR 2014) to spans by kind."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from data_modules.corpora.base import Absent, BadTrack, Kind
from data_modules.corpora.key_labels import harte_key
from data_modules.corpora.lab_files import relabelled, spans_of
from data_modules.corpora.label_maps import FunctionMap
from data_modules.corpora.label_rows import Label
from data_modules.corpora.labelled_audio import Reader, read_labels
from data_modules.labels import check
from data_modules.spans import Spans

NAMESPACES: Mapping[Kind, tuple[str, ...]] = {
    "beat": ("beat_position", "beat"),
    "chord": ("chord_harte", "chord"),
    "section": (
        "segment_salami_function",
        "segment_open",
        "segment_tut",
        "segment_salami_upper",
        "segment_salami_lower",
        "multi_segment",
    ),
    "key": ("key_mode",),
}
"""Where labels of a kind are looked for, the first that is there counts; tags come from all of `tag_*`."""

_LARGEST = 999
"""What a place in a bar may be."""

_SECTION_MAPS = {"segment_salami_function": ("salami",), "segment_tut": ("isophonics",)}
_OPEN_MAPS = ("harmonix", "isophonics", "salami")
"""For namespaces whose labels may be of any data set; no label has two functions in them."""


def read_jams(
    path: Path, duration_s: float, label_map: Path | None = None
) -> tuple[dict[Kind, Spans], dict[Kind, str]]:
    """The labels of a JAMS file by kind; and by kind why an annotation that is there cannot be used.

    Of several annotations in one namespace the first counts that holds observations; where none does, the kind is
    not annotated, and that is said. Beats have their place in the bar if the value is
    a whole number from 1, else `?`. Sections of a `multi_segment` are those of its lowest level. A tag holds for
    the whole track.

    Args:
        path: The file.
        duration_s: Length of the audio in seconds.
        label_map: A table of one's own of section labels, see `FunctionMap`.

    Raises:
        ModuleNotFoundError: The package jams is not installed.
        BadTrack: The file cannot be read as JAMS.
    """
    annotations = _annotations(path)
    readers: dict[Kind, Reader] = {}
    for kind, namespaces in NAMESPACES.items():
        found = [one for name in namespaces for one in annotations if one.namespace == name]
        if found:
            told = next((one for one in found if len(one.data)), found[0])
            readers[kind] = partial(_spans, kind, told, path, label_map)
    tags = [one for one in annotations if str(one.namespace).startswith("tag_")]
    if tags:
        readers["tag"] = partial(_tags, tags, path)
    return read_labels(readers, duration_s)


def _annotations(path: Path) -> Sequence[Any]:
    jams = jams_package()
    if not path.is_file():
        raise BadTrack(f"{path}: no such file")
    try:
        # Without its schemas: they refuse labels that mir_eval knows, such as X; each label is checked below.
        return list(jams.load(str(path), validate=False, fmt="jams").annotations)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, jams.JamsError) as error:
        raise BadTrack(f"{path}: cannot be read as JAMS ({error or type(error).__name__})") from error


def jams_package() -> ModuleType:
    """The package jams, which is not needed for anything else.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    try:
        return importlib.import_module("jams")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"to read JAMS files, pip install -e '.[datasets]' ({error})", name=error.name
        ) from error


def _spans(kind: Kind, annotation: Any, path: Path, label_map: Path | None, duration_s: float) -> Spans:
    if not len(annotation.data):
        raise Absent(f"{path}: {annotation.namespace}: the annotation holds no observations")
    rows: Iterable[Label] = _rows(annotation, path, is_event=kind == "beat")
    if kind == "section":
        rows = _sections(list(rows), str(annotation.namespace), label_map)
    elif kind == "key":
        rows = relabelled(rows, harte_key)
    return spans_of(kind, rows, duration_s)


def _rows(annotation: Any, path: Path, is_event: bool) -> list[Label]:
    """Observations in the order of their times; of a beat the duration, which some files lack, does not matter."""
    rows = []
    level = _lowest_level(annotation)
    for number, observation in enumerate(annotation.data, start=1):
        source = f"{path}: {annotation.namespace}, observation {number}"
        value = observation.value
        if level is not None and (not isinstance(value, dict) or value.get("level") != level):
            continue
        start_s = _finite(observation.time, source)
        end_s = start_s if is_event else start_s + _finite(observation.duration, source)
        rows.append(Label(source, start_s, end_s, _place(value) if is_event else _text(value, source)))
    return rows


def _sections(rows: list[Label], namespace: str, label_map: Path | None) -> list[Label]:
    if namespace in ("segment_salami_upper", "segment_salami_lower"):
        return relabelled(rows, lambda label, _: label.lower() if label.lower() == "silence" else label.upper())
    rows = [row for row in rows if row.label.lower() != "end"]
    return FunctionMap(*_SECTION_MAPS.get(namespace, _OPEN_MAPS), table=label_map).applied(rows)


def _tags(annotations: Sequence[Any], path: Path, duration_s: float) -> Spans:
    tags: dict[str, None] = {}
    for annotation in annotations:
        for number, observation in enumerate(annotation.data, start=1):
            tags[_text(observation.value, f"{path}: {annotation.namespace}, observation {number}")] = None
    spans = Spans.of((0.0, duration_s, tag) for tag in tags)
    check({"tag": spans}, duration_s, str(path))
    return spans


def _lowest_level(annotation: Any) -> int | None:
    if annotation.namespace != "multi_segment":
        return None
    levels = [one.value.get("level") for one in annotation.data if isinstance(one.value, dict)]
    return min((level for level in levels if isinstance(level, int)), default=None)


def _place(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("position")
    if isinstance(value, int | float) and not isinstance(value, bool) and 1 <= value <= _LARGEST and value % 1 == 0:
        return str(int(value))
    return "?"


def _text(value: object, source: str) -> str:
    if isinstance(value, dict) and isinstance(value.get("label"), str):
        value = value["label"]
    if not isinstance(value, str):
        raise BadTrack(f"{source}: expected a text, got {value!r}")
    return value


def _finite(value: object, source: str) -> float:
    # Whole numbers in JSON may exceed what a float can hold.
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= sys.float_info.max:
        raise BadTrack(f"{source}: a time is not a finite number: {value!r}")
    return float(value)
