"""The files of the AIST Annotation (Goto, 2006) for the RWC databases: times in centiseconds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data_modules.corpora.base import Absent, BadTrack
from data_modules.corpora.beat_files import count_in_bars
from data_modules.corpora.label_maps import packaged
from data_modules.corpora.label_rows import OVERRUN_S, Label, number, rows, spans
from data_modules.spans import Spans

_PER_S = 100.0
"""The annotation's time step is 10 ms."""

_DOWNBEAT, _NO_BEAT = 384, -1
"""The third column counts from the downbeat in 48ths of a quarter; it is 384 at the downbeat itself (mirdata's notes
on `rwc_classical`), and -1 where mirdata drops the row."""

_SECTION = re.compile(r"(?P<name>.+?)(?: [A-Z])?")
"""A label, and the letter of a variant (`chorus A`)."""


def read_beats(path: Path, duration_s: float) -> Spans:
    """Beats from rows of `start end position`, in centiseconds.

    Positions in the bar are counted from the downbeats, as mirdata does: what the third column says between
    them depends on the metre.

    Raises:
        BadTrack: As `beat_files.read_beats`.
    """
    kept = []
    for row in rows(path):
        if len(row.fields) != 3:
            raise BadTrack(f"{row.source}: expected start, end and position, got {' '.join(row.fields)!r}")
        position = number(row.fields[2], row.source)
        if position != _NO_BEAT:
            kept.append((row.source, number(row.fields[0], row.source) / _PER_S, position == _DOWNBEAT))
    if not kept:
        raise Absent(f"{path}: says that there are no beats")
    positions = count_in_bars([is_downbeat for _, _, is_downbeat in kept])
    labels = (Label(source, at, at, label) for (source, at, _), label in zip(kept, positions, strict=True))
    return spans("beat", labels, duration_s)


def read_sections(path: Path, duration_s: float) -> Spans:
    """Sections from rows of `start end "label"`, in centiseconds, as the study's functions.

    A fourth column is a modulation, and rows without length are no sections: both are passed over.

    Raises:
        BadTrack: A row that cannot be read so, a label that is not in `maps/rwc.csv`, or times as `labels.check`
            has it; the message names file and line.
    """
    return spans("section", _sections(path), duration_s, OVERRUN_S)


def read_chords(path: Path, duration_s: float) -> Spans:
    """Chords from rows of `start end label`, in seconds and Harte syntax (Cho and Bello, 2011).

    Raises:
        BadTrack: A row that cannot be read so, an unknown chord, or times as `labels.check` has it; the message
            names file and line.
    """
    return spans("chord", _intervals(path, r"[\t ]+", 3, 1.0), duration_s, OVERRUN_S)


def _sections(path: Path) -> Iterator[Label]:
    functions = packaged("rwc")
    for row in _intervals(path, r"\t+", 4, _PER_S):
        match = _SECTION.fullmatch(row.label.strip('"').strip())
        if match is None or match["name"].lower() not in functions:
            known = ", ".join(functions)
            raise BadTrack(
                f"{row.source}: section {row.label} is unknown; known are {known}, each with a letter or none"
            )
        if row.end_s != row.start_s:
            yield replace(row, label=functions[match["name"].lower()])


def _intervals(path: Path, delimiter: str, most_columns: int, per_s: float) -> Iterator[Label]:
    for row in rows(path, delimiter):
        if not 3 <= len(row.fields) <= most_columns:
            raise BadTrack(f"{row.source}: expected start, end and label, got {' '.join(row.fields)!r}")
        start_s, end_s = (number(field, row.source) / per_s for field in row.fields[:2])
        yield Label(row.source, start_s, end_s, row.fields[2])
