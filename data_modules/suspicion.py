"""Labels that pass every check and are still unlikely: a tempo that jumps, labels of another length than the audio."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from data_modules.corpora.base import KINDS, Kind
from data_modules.spans import Spans

JUMP = 1.8
"""Ratio of neighbouring beat intervals from which a tempo has jumped: 2 where a beat is missing or the level changes,
less what annotators' taps scatter; rubato within one bar rarely reaches it."""
END_S = 5.0
"""Audio that may follow the last label: a last chord that dies away, applause."""
BEGIN_S = 15.0
"""Audio that may come before the first label: introductions without a beat are longer than endings."""
_BARS = 8
"""Beats on each side of a jump whose bars are looked at: two bars of four."""
COVERED = 0.5
"""Share of the audio that labels should span; less speaks for the labels of another recording."""


def suspicions(labels: Mapping[Kind, Spans], duration_s: float) -> list[str]:
    """What looks wrong about the labels of a track, though `labels.check` passed them.

    Args:
        labels: Spans by kind; tags have no times to doubt.
        duration_s: Length of the track's audio.

    Returns:
        One line for each doubt, which begins with the kind; none for most tracks.
    """
    found = []
    for kind in KINDS:
        spans = labels.get(kind)
        if spans is None or len(spans) == 0 or kind == "tag":
            continue
        first_s, last_s = float(spans.starts_s.min()), float(spans.ends_s.max())
        covered_s = last_s - first_s
        if covered_s < COVERED * duration_s and duration_s - covered_s > END_S:
            found.append(f"{kind}: labels from {first_s:.1f} to {last_s:.1f} s, but {duration_s:.1f} s of audio")
        else:
            if first_s > BEGIN_S:
                found.append(f"{kind}: no label before {first_s:.1f} s")
            if duration_s - last_s > END_S:
                found.append(f"{kind}: ends {duration_s - last_s:.1f} s before the audio, at {last_s:.1f} s")
        if kind == "beat":
            found += _jumps(spans)
    return found


def _changes_metre(beats: Spans, intervals_s: NDArray[np.float64], at: int) -> bool:
    """Whether other beats are counted from the end of an interval on: bars of 3/2 before bars of 4/4, for good.

    Three intervals before and three after are alike, and the highest numbers of beats on both sides are not.
    """
    before_s, after_s = intervals_s[max(0, at - 2) : at + 1], intervals_s[at + 1 : at + 4]
    if min(len(before_s), len(after_s)) < 3 or any(one.max() > JUMP * one.min() for one in (before_s, after_s)):
        return False
    before, after = beats.labels[max(0, at + 1 - _BARS) : at + 1], beats.labels[at + 1 : at + 1 + _BARS]
    return "?" not in before + after and max(map(int, before)) != max(map(int, after))


def _jumps(beats: Spans) -> list[str]:
    intervals_s = np.diff(beats.starts_s)
    ratios = intervals_s[1:] / intervals_s[:-1]
    jumps: list[int] = np.flatnonzero((ratios > JUMP) | (ratios < 1 / JUMP)).tolist()
    at = [one for one in jumps if not _changes_metre(beats, intervals_s, one)]
    if len(at) == 0:
        return []
    first = at[0]
    places = "1 place" if len(at) == 1 else f"{len(at)} places"
    return [
        f"beat: the tempo jumps at {places}, first at {beats.starts_s[first + 1]:.3f} s, where "
        f"{intervals_s[first]:.3f} s from beat to beat become {intervals_s[first + 1]:.3f} s"
    ]
