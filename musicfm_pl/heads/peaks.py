"""Peaks of an activation: where it is the largest around, and stands out of its surroundings."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, uniform_filter1d


def smeared_events(frames: NDArray[np.intp], num_frames: int, reach: int) -> NDArray[np.float32]:
    """1 at each event and half as much with every frame beside it, up to `reach` frames: (N,).

    Neighbours of a half are those of all-in-one (Kim & Nam, WASPAA 2023), whose sections have a second ring
    of a quarter.
    """
    target_N = np.zeros(num_frames, dtype=np.float32)
    for offset in range(-reach, reach + 1):
        at = frames + offset
        at = at[(at >= 0) & (at < num_frames)]
        target_N[at] = np.maximum(target_N[at], np.float32(0.5 ** abs(offset)))
    return target_N


def local_maxima(activation_N: NDArray[np.floating], reach: int) -> NDArray[np.intp]:
    """Frames whose value is the largest within `reach` frames; of equals side by side, the middle one."""
    is_peak = activation_N == maximum_filter1d(activation_N, 2 * reach + 1, mode="nearest")
    frames = np.flatnonzero(is_peak)
    if len(frames) == 0:
        return frames
    plateaus = np.split(frames, np.flatnonzero(np.diff(frames) > 1) + 1)
    return np.array([plateau[(len(plateau) - 1) // 2] for plateau in plateaus])


def prominent_peaks(
    activation_N: NDArray[np.floating], reach: int, surroundings: int, threshold: float
) -> NDArray[np.intp]:
    """Local maxima that exceed the mean of their surroundings; a level activation has none.

    Args:
        activation_N: Probabilities.
        reach: A peak is the largest within so many frames.
        surroundings: Frames to each side whose mean it must exceed, as far as there are any.
        threshold: By how much it must.
    """
    size = 2 * surroundings + 1
    sum_N, count_N = (
        uniform_filter1d(values_N, size, mode="constant")
        for values_N in (activation_N.astype(np.float64), np.ones(len(activation_N)))
    )
    # Rounding must not make peaks of a level activation.
    stands_out_N = activation_N - sum_N / count_N > threshold + 1e-9
    peaks = local_maxima(activation_N, reach)
    return peaks[stands_out_N[peaks]]
