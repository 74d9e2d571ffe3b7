"""Events, intervals and boundaries in annotation files (`.lab`, `.txt`) to spans, with rounded times mended.

`mir_eval.io` and mirdata's loaders read the plain ones alike (the tests compare them). But the first stops at a
blank line or a byte order mark and lets NaN and falling times pass with a warning; the second know no comments,
need an index from the network, and count a `New Point` in fours; neither says which line is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from data_modules.corpora.base import BadTrack, Kind
from data_modules.corpora.label_rows import OVERRUN_S, Label, is_number, number, rows, spans
from data_modules.spans import Spans

ROUNDING_S = 0.01
"""Neighbouring rows may overlap by this much, for times are rounded; the earlier one is cut."""


def read_events(path: Path) -> list[Label]:
    """Rows of `time label`, as instants; the label is all that follows the time, empty if nothing does.

    Raises:
        BadTrack: There is no such file (then `Absent`), it cannot be read, or it holds no such line.
    """
    events = []
    for source, (time, *rest) in rows(path, r"\s+", 2):
        time_s = number(time, source, is_time=True)
        events.append(Label(source, time_s, time_s, "".join(rest)))
    return events


def read_intervals(path: Path) -> list[Label]:
    """Rows of `start end label`, apart by tabs or spaces; empty columns are passed over, the label is the rest.

    Raises:
        BadTrack: There is no such file (then `Absent`), it cannot be read, or it holds no such line.
    """
    intervals = []
    for source, fields in rows(path, r"\s+", 3):
        if len(fields) < 3:
            raise BadTrack(f"{source}: expected `start end label`, got {' '.join(fields)!r}")
        start_s, end_s = (number(field, source, is_time=True) for field in fields[:2])
        intervals.append(Label(source, start_s, end_s, fields[2]))
    return intervals


def last_column(labels: Iterable[Label]) -> list[Label]:
    """Rows of which a third column of numbers, or an empty one, is dropped: the label is the last column."""
    result = []
    for row in labels:
        first, *rest = row.label.split(None, 1)
        label = rest[0] if rest and is_number(first) else row.label
        result.append(replace(row, label=label.rsplit("\t", 1)[-1].strip()))
    return result


def read_boundaries(path: Path, duration_s: float) -> list[Label]:
    """Rows of `start label`, each of which lasts until the next; a row `end` only closes the one before.

    Args:
        path: The file.
        duration_s: Where the last section ends if no row says so.

    Raises:
        BadTrack: There is no such file (then `Absent`), it cannot be read, it holds no such line, or times fall.
    """
    starts = read_events(path)
    sections = []
    for at, row in enumerate(starts):
        if not row.label:
            raise BadTrack(f"{row.source}: expected `time label`, got a time alone")
        if row.label.lower() == "end":
            continue
        following = starts[at + 1] if at + 1 < len(starts) else None
        end_s, end_source = (following.start_s, following.source) if following else (max(duration_s, row.start_s), "")
        if not end_s >= row.start_s:
            raise BadTrack(f"{end_source}: times must rise, but {end_s} s comes after {row.start_s} s")
        sections.append(replace(row, end_s=end_s, end_source=end_source))
    return sections


def relabelled(labels: Iterable[Label], label_of: Callable[[str, str], str | None]) -> list[Label]:
    """Rows with other labels; those for which there is none are left out.

    Args:
        labels: From one of the readers.
        label_of: Takes a label and its source.
    """
    labelled = [(row, label_of(row.label, row.source)) for row in labels]
    return [replace(row, label=label) for row, label in labelled if label is not None]


def spans_of(kind: Kind, labels: Iterable[Label], duration_s: float) -> Spans:
    """Checked spans from rows: those without length are dropped, small overlaps and overruns are cut; beats as `spans`.

    Args:
        kind: Of the labels.
        labels: In the order of their times.
        duration_s: Length of the audio in seconds.

    Raises:
        BadTrack: Times that fall or lie outside the audio, or a label that its kind does not know.
    """
    return spans(kind, labels if kind == "beat" else _trimmed(kind, labels, duration_s), duration_s)


def _trimmed(kind: Kind, labels: Iterable[Label], duration_s: float) -> list[Label]:
    kept: list[Label] = []
    previous_s = -math.inf
    for row in labels:
        start_s, end_s, end_source = row.start_s, row.end_s, row.end_source or row.source
        if end_s < start_s:
            raise BadTrack(f"{end_source}: {kind}: ends at {end_s} s, before it starts at {start_s} s")
        if end_s > duration_s + OVERRUN_S:
            raise BadTrack(f"{end_source}: {kind}: beyond the end of the audio, {end_s} s of {duration_s:.3f} s")
        if start_s < previous_s - ROUNDING_S:
            raise BadTrack(f"{row.source}: {kind}: times must rise, but {start_s} s comes after {previous_s} s")
        end_s = min(end_s, duration_s)
        if end_s <= start_s:
            continue
        while kept and kept[-1].end_s > start_s:
            cut = kept.pop()
            if cut.start_s < start_s:
                kept.append(replace(cut, end_s=start_s))
        kept.append(replace(row, end_s=end_s))
        previous_s = end_s
    return kept
