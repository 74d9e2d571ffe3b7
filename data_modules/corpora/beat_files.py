"""Beats as data sets ship them: a time in seconds and, where it is known, the position in the bar.

mirdata 1.0 has loaders for Ballroom, Hainsworth, GTZAN and RWC. They read clean files as we do (the tests
compare), but Ballroom's drops a row with two blanks in it without a word, all accept NaN as a time, those of
Ballroom and Hainsworth fail on comments and blank lines, none reads `bar.beat`, that of RWC fails on a song with
an upbeat and one downbeat, and no error names file or line; so none of them is used.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from data_modules.corpora.base import Absent, BadTrack
from data_modules.corpora.label_rows import Label, Row, number, rows, spans
from data_modules.spans import Spans

SUFFIXES = (".beats", ".txt")
"""Files of beats, in the order of preference where a track has both."""

_POSITION = re.compile(r"(?P<whole>[0-9]{1,9})(?:\.(?P<part>[0-9]{1,18}))?")
_NO_BEAT = -1
"""As a time it says that there is none (Ballroom, Hainsworth): mirdata's loaders treat it so too."""


def read_beats(path: Path, duration_s: float) -> Spans:
    """Beats from rows of `time` or `time position`, parted by tabs or spaces.

    A position is the number of the beat in its bar, from 1 (`3`, `3.0`), or `?`. In older releases of the
    Ballroom annotations it is `bar.beat`: `9.3` is the third beat of the ninth bar. A file is read in that way
    if any position has a part after the point that is not 0. Rows with the time -1 say that there is no beat.

    Args:
        path: The file.
        duration_s: Length of the audio in seconds.

    Returns:
        Events; each label is a position, or "?" throughout where the file has times alone.

    Raises:
        BadTrack: A row that cannot be read so, or times that fall, are no numbers, or lie outside the audio;
            the message names file and line. No beat at all; the message names the file.
    """
    kept = [(row, number(row.fields[0], row.source)) for row in rows(path)]
    kept = [(row, time_s) for row, time_s in kept if time_s != _NO_BEAT]
    if not kept:
        raise Absent(f"{path}: says that there are no beats")
    positions = _positions([row for row, _ in kept])
    labels = (Label(row.source, at, at, label) for (row, at), label in zip(kept, positions, strict=True))
    return spans("beat", labels, duration_s)


def _positions(beats: Sequence[Row]) -> list[str]:
    num_columns = len(beats[0].fields)
    if num_columns > 2:
        raise BadTrack(f"{beats[0].source}: expected a time and a position, got {' '.join(beats[0].fields)!r}")
    for row in beats:
        if len(row.fields) != num_columns:
            raise BadTrack(f"{row.source}: {len(row.fields)} columns, where the lines before have {num_columns}")
    if num_columns == 1:
        return ["?"] * len(beats)
    parts = [_parts(row) for row in beats]
    with_bars = any(part.strip("0") for _, part in parts)
    found = []
    for row, (whole, part) in zip(beats, parts, strict=True):
        position = whole if whole == "?" or not with_bars else part
        if position != "?" and int(position or 0) < 1:
            expected = "bar.beat such as 9.3, as other lines have" if with_bars else "a position in the bar from 1"
            raise BadTrack(f"{row.source}: expected {expected}, got {row.fields[1]!r}")
        found.append(position if position == "?" else str(int(position)))
    return found


def _parts(row: Row) -> tuple[str, str]:
    """What stands before and after the point of a position."""
    if row.fields[1] == "?":
        return "?", ""
    match = _POSITION.fullmatch(row.fields[1])
    if match is None:
        raise BadTrack(f"{row.source}: {row.fields[1]!r} is no position in a bar (1, 2, ..., 9.3 or ?)")
    return match["whole"], match["part"] or ""


def count_in_bars(is_downbeat: Sequence[bool]) -> list[str]:
    """Positions of beats in their bars, counted from the downbeats; all are "?" where there is none.

    An upbeat is counted back from the first downbeat by the length of the bar that follows. Where there is no
    such bar, or it is no longer than the upbeat, the first beat is "2" and the others count on: a beat that is
    not marked as a downbeat is known to be none, so it is neither "1" nor "?".
    """
    downbeats = [index for index, is_one in enumerate(is_downbeat) if is_one]
    if not downbeats:
        return ["?"] * len(is_downbeat)
    following = downbeats[1] - downbeats[0] if len(downbeats) > 1 else 0
    length = max(following, downbeats[0] + 1)
    found = [str(length - downbeats[0] + index + 1) for index in range(downbeats[0])]
    last = 0
    for index in range(downbeats[0], len(is_downbeat)):
        last = index if is_downbeat[index] else last
        found.append(str(index - last + 1))
    return found
