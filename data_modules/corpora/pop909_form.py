"""Bars and phrases of POP909: where a bar begins, and where the phrases fall that are counted in bars.

Column 3 of `beat_midi.txt` marks downbeats, and irregularly so: most songs have a few bars of two, five or
six beats among those of four. Whether the people who counted phrases in bars counted these differs by song,
so both ways are tried and the one is taken under which phrases of the same letter have the same melody (over
300 songs: .68 of the onsets agree if all bars are counted as equal, .59 as marked, .73 with the better of the
two for each song).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pretty_midi
from numpy.typing import NDArray

from data_modules.corpora.base import Absent, BadTrack

_PHRASE = re.compile(r"([A-Za-z])([0-9]{0,3})")
_STEPS = 4
"""Steps of the melody's grid in a beat: sixteenths of a quarter."""

_LEAST_LIKENESS = 0.3
"""Phrases of the same letter whose onsets agree less than this are misplaced: 14 of 300 songs, where two
random phrases agree by about 0.1 and half of all songs by more than 0.78. That is our judgement of files as they are
published, so such phrases are left out as `Absent`: there is nothing in them to mend."""

_EXTRA_BARS = 2
"""Phrases may run on for so many bars after the last beat, as a final chord does."""


@dataclass(frozen=True)
class Bars:
    """The beats of a song and their bars.

    Attributes:
        times_s: Beats in seconds, shape (S,).
        positions: Of each beat in its bar, from "1"; "?" before the first bar where the upbeat is longer than
            one.
        downbeats: Indices of the beats that begin a bar.
        length: Beats of a full bar: the median, with 3 for the songs whose downbeats are marked every 6
            beats.
    """

    times_s: NDArray[np.float64]
    positions: tuple[str, ...]
    downbeats: NDArray[np.int64]
    length: int


def bars_of(times_s: NDArray[np.float64], is_downbeat: NDArray[np.bool_], source: str) -> Bars:
    """Bars from marked downbeats.

    Twelve songs of 300 have a mark every six beats, at 90 to 180 beats a minute; their phrases are counted,
    and their harmony changes, in bars of three. A bar of six is two bars there.

    Raises:
        BadTrack: Too few downbeats, or marks so irregular (fewer than half of the bars are of the median
            length) that they say nothing of bars.
    """
    downbeats = np.flatnonzero(is_downbeat)
    if len(downbeats) < 3:
        raise BadTrack(f"{source}: only {len(downbeats)} downbeats")
    lengths = np.diff(downbeats)
    length = int(np.median(lengths))
    if length < 2 or np.mean(lengths == length) < 0.5:
        raise BadTrack(f"{source}: no regular bars: only {np.mean(lengths == length):.0%} have {length} beats")
    if length == 6:
        halves = downbeats[:-1][lengths == 6] + 3
        last = downbeats[-1:] + 3
        downbeats = np.union1d(downbeats, np.concatenate([halves, last[last < len(times_s)]]))
        length = 3
    positions = []
    for beat in range(len(times_s)):
        bar = np.searchsorted(downbeats, beat, side="right") - 1
        position = beat - downbeats[bar] + 1 if bar >= 0 else beat - downbeats[0] + length + 1
        positions.append(str(position) if position >= 1 else "?")
    return Bars(times_s, tuple(positions), downbeats, length)


def melody_of(midi: pretty_midi.PrettyMIDI, bars: Bars) -> NDArray[np.int64]:
    """Pitch of the melody that sets in at each sixteenth from the first beat, -1 for none."""
    grid_s = _extended(bars)
    melody = np.full(len(grid_s) * _STEPS, -1)
    steps_s = np.interp(np.arange(len(melody)) / _STEPS, np.arange(len(grid_s)), grid_s)
    for track in midi.instruments:
        if track.name == "MELODY":
            for note in track.notes:
                melody[np.argmin(np.abs(steps_s - note.start))] = note.pitch
    return melody


def sections_of(text: str, bars: Bars, melody: NDArray[np.int64], source: str) -> Iterator[tuple[float, float, str]]:
    """Sections in seconds from phrases such as `i4A4B8b4o3`.

    `i` is intro and `o` outro; a phrase with the vocal melody keeps its capital letter; a small letter, a
    phrase without it, is `inst`. X is material of its own each time: the first keeps X, the others are X2,
    X3, ...

    Raises:
        Absent: There is no way to count bars under which phrases of the same letter sound alike.
        BadTrack: Text that is no list of phrases; more bars than the song has.
    """
    phrases = _PHRASE.findall(text)
    if not phrases or "".join(letter + count for letter, count in phrases) != text:
        raise BadTrack(f"{source}: {text!r} is no list of phrases such as i4A8B8o4")
    # A phrase without a number (one x in 300 songs) has no length: it is a mark, not a stretch of time.
    letters = [letter for letter, count in phrases if count]
    counts = [int(count) for _, count in phrases if count]
    borders = np.cumsum([0, *counts])
    ways = [_borders(_even(bars), borders), _borders(_full(bars), borders)]
    fits = [(_likeness(letters, way, melody), way) for way in ways if way is not None]
    if not fits:
        raise BadTrack(f"{source}: {borders[-1]} bars of phrases, but the song has only {len(bars.downbeats)}")
    likeness, beats = max(fits, key=lambda fit: fit[0])
    if likeness < _LEAST_LIKENESS:
        raise Absent(
            f"{source}: left out, for phrases of the same letter do not sound alike ({likeness:.2f} of the onsets "
            f"agree, and at least {_LEAST_LIKENESS} should)"
        )
    return _named(letters, beats, _extended(bars))


def _named(
    letters: list[str], beats: NDArray[np.int64], grid_s: NDArray[np.float64]
) -> Iterator[tuple[float, float, str]]:
    num_own = 0
    for letter, (start, end) in zip(letters, pairwise(beats), strict=True):
        label = {"i": "intro", "o": "outro"}.get(letter, "inst" if letter.islower() else letter)
        if letter == "X":
            num_own += 1
            label = f"X{num_own}" if num_own > 1 else "X"
        yield float(grid_s[start]), float(grid_s[end]), label


def _extended(bars: Bars) -> NDArray[np.float64]:
    """Beat times with those that would follow the last, at the median distance."""
    period_s = float(np.median(np.diff(bars.times_s)))
    after = np.arange(1, bars.length * (_EXTRA_BARS + 1) + 1)
    return np.concatenate([bars.times_s, bars.times_s[-1] + period_s * after])


def _even(bars: Bars) -> NDArray[np.int64]:
    """Beats that begin a bar if all bars are equal."""
    return np.arange(bars.downbeats[0] % bars.length, len(_extended(bars)), bars.length)


def _full(bars: Bars) -> NDArray[np.int64]:
    """Beats that begin a bar as marked, where a bar that is too short belongs to the one before it."""
    num_beats = len(bars.times_s)
    full = bars.downbeats[np.diff([*bars.downbeats, num_beats]) >= bars.length]
    return np.concatenate([full, np.arange(num_beats, len(_extended(bars)), bars.length)])


def _borders(starts: NDArray[np.int64], borders: NDArray[np.int64]) -> NDArray[np.int64] | None:
    return starts[borders] if borders[-1] < len(starts) else None


def _likeness(letters: list[str], beats: NDArray[np.int64], melody: NDArray[np.int64]) -> float:
    """Mean share of onsets, over pairs of phrases of the same letter, with the same pitch at the same place.

    1 if no letter comes twice: nothing speaks against the count.
    """
    groups: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for letter, (start, end) in zip(letters, pairwise(beats), strict=True):
        if letter not in "XxIiOo":
            groups[letter].append((start, end))
    shares = []
    for phrases in groups.values():
        for (a, a_end), (b, b_end) in combinations(phrases, 2):
            length = min(a_end - a, b_end - b) * _STEPS
            first, second = melody[a * _STEPS :][:length], melody[b * _STEPS :][:length]
            sounds = (first >= 0) | (second >= 0)
            if sounds.sum() > _STEPS:
                shares.append(np.mean((first == second)[sounds]))
    return float(np.mean(shares)) if shares else 1.0
