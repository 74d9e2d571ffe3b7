"""A movement as it is played: repeats unfolded, ties merged, beats counted, in quarters from its start."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

MAX_VISITS = 3
"""Of one bar: the most that a movement which ends asks for. Two mazurkas repeat without end."""
_EPS_Q = 1e-6
"""Quarters; thirds and fifths of a beat are not exact in floating point."""


@dataclass(frozen=True)
class Bar:
    """One bar of the notation, as the table has it.

    Attributes:
        number: `mc`, which counts every bar line, so that half bars beside a repeat sign have their own.
        length_q: What it really lasts.
        offset_q: Where in the full bar it begins; above 0 in an anacrusis.
        metre: Such as (3, 4).
        keysig: Fifths.
        next: Where to go at the first, second, ... visit; -1 is the end.
        opens: Whether a section begins with it: a repeat sign, a double bar before it, a jump to it.
        closes: Whether one ends with it.
        volta: Which ending it belongs to; 0 for none.
    """

    number: int
    length_q: float
    offset_q: float
    metre: tuple[int, int]
    keysig: int
    next: tuple[int, ...]
    opens: bool = False
    closes: bool = False
    volta: int = 0


@dataclass(frozen=True)
class Played:
    """A bar at one of its visits: it begins `start_q` quarters after the movement."""

    bar: Bar
    start_q: float

    @property
    def end_q(self) -> float:
        """Where it is over, in quarters from the start of the movement."""
        return self.start_q + self.bar.length_q


@dataclass(frozen=True)
class ScoreNote:
    """One sounding note, ties merged; `staff` counts from 1 at the top."""

    start_q: float
    end_q: float
    pitch: int
    staff: int


def order(ways: Mapping[int, Sequence[int]], first: int) -> list[int]:
    """The bars in the order in which they are played.

    The k-th visit to a bar takes its k-th way on, later visits the last one. Playing ends at -1, at a bar
    that does not exist, and where a bar would be visited more than `MAX_VISITS` times.

    Args:
        ways: For each bar, where to go after each visit.
        first: The bar to begin with.
    """
    visits: Counter[int] = Counter()
    played = []
    bar = first
    while bar in ways and visits[bar] < MAX_VISITS:
        played.append(bar)
        way = ways[bar]
        bar = way[min(visits[bar], len(way) - 1)] if way else -1
        visits[played[-1]] += 1
    return played


def unfold(bars: Sequence[Bar]) -> list[Played]:
    """The bars as played, each with its start; none for none."""
    if not bars:
        return []
    by_number = {bar.number: bar for bar in bars}
    ways = {bar.number: bar.next for bar in bars}
    played = []
    start_q = 0.0
    for number in order(ways, bars[0].number):
        played.append(Played(by_number[number], start_q))
        start_q = played[-1].end_q
    return played


@dataclass(frozen=True)
class NoteTable:
    """The notes of the notation, column by column, in the order of their bars; quarters, MIDI pitch.

    `tied` is 1 where a tie begins, 0 where it goes on, -1 where it ends, and anything else without a tie.
    """

    bar: NDArray[np.int64]
    onset_q: NDArray[np.float64]
    length_q: NDArray[np.float64]
    pitch: NDArray[np.int64]
    staff: NDArray[np.int64]
    tied: NDArray[np.int64]


def sounding(played: Sequence[Played], notes: NoteTable) -> list[ScoreNote]:
    """The notes as played, by start: ties merged, and what begins twice at once in a staff begun once.

    A tie whose first note was not played (into a second ending) begins anew.
    """
    rows = []
    for place in played:
        a, b = np.searchsorted(notes.bar, [place.bar.number, place.bar.number + 1])
        onset_q = notes.onset_q[a:b] + place.start_q
        columns = (
            onset_q,
            onset_q + notes.length_q[a:b],
            notes.pitch[a:b],
            notes.staff[a:b],
            notes.tied[a:b],
        )
        rows += list(zip(*(column.tolist() for column in columns), strict=True))
    rows.sort(key=lambda row: row[0])
    ends_q: list[float] = []
    heads: list[tuple[float, int, int]] = []
    last: dict[tuple[int, int], int] = {}
    for start_q, end_q, pitch, staff, tied in rows:
        before = last.get((staff, pitch))
        goes_on = tied in (0, -1) and before is not None and abs(ends_q[before] - start_q) < _EPS_Q
        if before is not None and (goes_on or heads[before][0] > start_q - _EPS_Q):
            ends_q[before] = max(ends_q[before], end_q)
            continue
        if before is not None:
            ends_q[before] = min(ends_q[before], start_q)  # one string cannot sound the same note twice
        last[staff, pitch] = len(heads)
        heads.append((start_q, pitch, staff))
        ends_q.append(end_q)
    return [
        ScoreNote(start_q, end_q, pitch, staff)
        for (start_q, pitch, staff), end_q in zip(heads, ends_q, strict=True)
        if end_q > start_q + _EPS_Q
    ]


def before(notes: Sequence[ScoreNote], end_q: float) -> list[ScoreNote]:
    """The notes that begin before `end_q`, none of them longer than that."""
    return [replace(note, end_q=min(note.end_q, end_q)) for note in notes if note.start_q < end_q - _EPS_Q]


def beat_unit_q(metre: tuple[int, int]) -> float:
    """The beat in quarters: the half in x/2, the quarter in x/4, the dotted unit in 6, 9 or 12 over 8 on.

    3/8 is counted in three; a cadenza's metre such as 33/32 in quarters.
    """
    num, den = metre
    unit_q = 4 / den
    if den >= 8 and num in (6, 9, 12):
        return 3 * unit_q
    if den > 8 and num * unit_q > 4:
        return 1.0
    return unit_q


def beats(played: Sequence[Played]) -> list[tuple[float, int]]:
    """Every beat in quarters, with its position in the bar from 1; an anacrusis counts up to the bar."""
    found = []
    for place in played:
        unit_q = beat_unit_q(place.bar.metre)
        offset_q = place.bar.offset_q
        index = math.ceil(offset_q / unit_q - _EPS_Q)
        while index * unit_q < offset_q + place.bar.length_q - _EPS_Q:
            found.append((place.start_q + index * unit_q - offset_q, index + 1))
            index += 1
    return found


def main_metre(played: Sequence[Played]) -> tuple[int, int]:
    """The metre that lasts longest."""
    lengths_q: Counter[tuple[int, int]] = Counter()
    for place in played:
        lengths_q[place.bar.metre] += place.bar.length_q  # type: ignore[assignment]  # a Counter adds floats as well
    return max(lengths_q, key=lengths_q.__getitem__)
