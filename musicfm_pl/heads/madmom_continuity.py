"""CMLt and AMLt as madmom counts them, which is not as mir_eval does.

From `madmom.evaluation.beats` (0.16): a beat counts by its own distance and interval alone, whether or not the one
before it counts; other metrical levels include three times as fast and as slow; and they are looked at only
where the longest unbroken stretch at the right level is at most half.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TOLERANCE = 0.175
"""Of phase and of tempo, as a share of the annotated interval."""


def continuity(reference_s: NDArray[np.float64], estimate_s: NDArray[np.float64]) -> tuple[float, float]:
    """CMLt and AMLt of at least two beats each, in seconds."""
    longest, total = _correct(reference_s, estimate_s)
    if longest > 0.5:
        return total, total
    others = [_correct(level_s, estimate_s)[1] for level_s in _other_levels(reference_s) if len(level_s) > 1]
    return total, max([total, *others])


def _correct(reference_s: NDArray[np.float64], estimate_s: NDArray[np.float64]) -> tuple[float, float]:
    """Share of beats that are right, in the longest unbroken stretch and in all."""
    # The nearest annotation; of two as near, the later one.
    after = np.clip(np.searchsorted(reference_s, estimate_s), 1, len(reference_s) - 1)
    is_earlier = estimate_s - reference_s[after - 1] < reference_s[after] - estimate_s
    nearest = after - is_earlier
    interval_s = _intervals_s(reference_s)[nearest]
    in_phase = np.abs(estimate_s - reference_s[nearest]) <= interval_s * _TOLERANCE
    in_tempo = np.abs(1 - _intervals_s(estimate_s) / interval_s) <= _TOLERANCE
    right = np.flatnonzero(in_phase & in_tempo)
    stretches = np.split(right, np.flatnonzero(np.diff(right) != 1) + 1)
    length = max(len(reference_s), len(estimate_s))
    return max(map(len, stretches)) / length, len(right) / length


def _intervals_s(beats_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Time since the beat before; the first has that of the second."""
    between_s = np.diff(beats_s)
    return np.concatenate([between_s[:1], between_s])


def _other_levels(beats_s: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    numbers = np.arange(len(beats_s))
    twice_s = np.interp(np.arange(0, len(beats_s), 0.5)[:-1], numbers, beats_s)
    yield twice_s[1::2]
    yield twice_s
    yield from (beats_s[first::2] for first in range(2))
    yield np.interp(np.arange(0, len(beats_s), 1 / 3)[:-2], numbers, beats_s)
    yield from (beats_s[first::3] for first in range(3))
