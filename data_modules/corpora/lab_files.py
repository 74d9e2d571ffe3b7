"""Rows of annotation files (`.lab`, `.txt`) to spans; what is wrong is told with file and line.

`mir_eval.io` and mirdata's loaders read the plain ones alike (the tests compare them). But the first stops at a
blank line or a byte order mark and lets NaN and falling times pass with a warning; the second know no comments,
need an index from the network, and count a `New Point` in fours; neither says which line is wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from data_modules.corpora import label_rows
from data_modules.corpora.base import BadTrack, Kind
from data_modules.labels import check
from data_modules.spans import Spans

ROUNDING_S = 0.01
"""Neighbouring rows may overlap by this much, for times are rounded; the earlier one is cut."""

OVERRUN_S = 1.0
"""What ends later than the audio by no more than this is cut: pressings and decoders differ in their last second."""

_WHOLE_LINE = r"(?!)"
"""A delimiter that never is."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.IGNORECASE)


@dataclass(frozen=True)
class Row:
    """A labelled stretch of time, or an instant if it ends where it starts.

    Attributes:
        source: File and line, to name in a message.
        start_s: In seconds.
        end_s: In seconds.
        label: As the file has it.
    """

    source: str
    start_s: float
    end_s: float
    label: str


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The lines of a file without comments (`#`) and blank ones, each with `file:line` before it.

    Raises:
        BadTrack: There is no such file, it cannot be read, or it holds no such line.
    """
    if not path.is_file():
        raise BadTrack(f"{path}: no such file")
    return [(f"{path}:{row.line}", row.fields[0]) for row in label_rows.rows(path, _WHOLE_LINE)]


def read_events(path: Path) -> list[Row]:
    """Rows of `time label`, as instants; the label is all that follows the time, empty if nothing does."""
    rows = []
    for source, line in read_lines(path):
        time, rest = _cut(line)
        time_s = seconds(time, source)
        rows.append(Row(source, time_s, time_s, rest))
    return rows


def read_intervals(path: Path) -> list[Row]:
    """Rows of `start end label`, apart by tabs or spaces; empty columns are passed over, the label is the rest."""
    rows = []
    for source, line in read_lines(path):
        start, rest = _cut(line)
        end, label = _cut(rest)
        if not label:
            raise BadTrack(f"{source}: expected `start end label`, got {line!r}")
        rows.append(Row(source, seconds(start, source), seconds(end, source), label))
    return rows


def last_column(rows: Iterable[Row]) -> list[Row]:
    """Rows of which a third column of numbers, or an empty one, is dropped: the label is the last column."""
    result = []
    for row in rows:
        first, rest = _cut(row.label)
        label = rest if rest and _NUMBER.fullmatch(first) else row.label
        result.append(replace(row, label=label.rsplit("\t", 1)[-1].strip()))
    return result


def read_boundaries(path: Path, duration_s: float) -> list[Row]:
    """Rows of `start label`, each of which lasts until the next; a row `end` only closes the one before.

    Args:
        path: The file.
        duration_s: Where the last section ends if no row says so.
    """
    starts = read_events(path)
    rows = []
    for at, row in enumerate(starts):
        if not row.label:
            raise BadTrack(f"{row.source}: expected `time label`, got a time alone")
        if row.label.lower() == "end":
            continue
        end_s = starts[at + 1].start_s if at + 1 < len(starts) else max(duration_s, row.start_s)
        if not end_s >= row.start_s:
            raise BadTrack(f"{starts[at + 1].source}: times must rise, but {end_s} s comes after {row.start_s} s")
        rows.append(replace(row, end_s=end_s))
    return rows


def seconds(text: str, source: str) -> float:
    """A time in seconds, also in scientific notation.

    Raises:
        BadTrack: The text is no finite number.
    """
    if not _NUMBER.fullmatch(text):
        raise BadTrack(f"{source}: {text!r} is no time in seconds")
    time_s = float(text)
    if not math.isfinite(time_s):
        raise BadTrack(f"{source}: a time is not a finite number: {text!r}")
    return time_s


def relabelled(rows: Iterable[Row], label_of: Callable[[str, str], str | None]) -> list[Row]:
    """Rows with other labels; those for which there is none are left out.

    Args:
        rows: From one of the readers.
        label_of: Takes a label and its source.
    """
    labelled = [(row, label_of(row.label, row.source)) for row in rows]
    return [replace(row, label=label) for row, label in labelled if label is not None]


def spans_of(kind: Kind, rows: Iterable[Row], duration_s: float) -> Spans:
    """Checked spans from rows: rows without length are dropped, small overlaps and overruns are cut.

    Args:
        kind: Of the labels.
        rows: In the order of their times.
        duration_s: Length of the audio in seconds.

    Raises:
        BadTrack: Times that fall or lie outside the audio, or a label that its kind does not know.
    """
    kept: list[tuple[float, float, str]] = []
    previous_s = -math.inf
    for row in rows:
        start_s, end_s = row.start_s, row.end_s
        if end_s < start_s:
            raise BadTrack(f"{row.source}: {kind}: ends at {end_s} s, before it starts at {start_s} s")
        if end_s > duration_s + OVERRUN_S:
            raise BadTrack(f"{row.source}: {kind}: beyond the end of the audio, {end_s} s of {duration_s:.3f} s")
        if start_s < previous_s - (0 if kind == "beat" else ROUNDING_S) or (kind == "beat" and start_s == previous_s):
            raise BadTrack(f"{row.source}: {kind}: times must rise, but {start_s} s comes after {previous_s} s")
        if kind == "beat":
            previous_s = start_s
            if start_s > duration_s:
                continue
        else:
            end_s = min(end_s, duration_s)
            if end_s <= start_s:
                continue
            if kept and kept[-1][1] > start_s:
                kept[-1] = (kept[-1][0], start_s, kept[-1][2])
            previous_s = end_s
        kept.append((start_s, end_s, row.label))
        check({kind: Spans.of(kept[-1:])}, duration_s, row.source)
    spans = Spans.of(kept)
    return Spans.of(span for span in spans if kind == "beat" or span[1] > span[0])


def _cut(line: str) -> tuple[str, str]:
    """The first word of a line, and the rest of it."""
    words = line.split(None, 1)
    return words[0] if words else "", words[1].strip() if len(words) > 1 else ""
