"""Beats at one tempo, and what a passable model might say of them."""

from __future__ import annotations

import numpy as np

from data_modules.spans import Spans
from musicfm_pl.heads.beat import Beat


def steady_beats(duration_s: float, bpm: float, beats_per_bar: int, first_s: float = 0.3, jitter: float = 0.0) -> Spans:
    rng = np.random.default_rng(0)
    times_s = np.arange(first_s, duration_s, 60 / bpm)
    times_s = np.sort(np.clip(times_s + rng.normal(0, jitter, len(times_s)), 0, duration_s - 1e-3))
    return Spans.events(times_s, [str(number % beats_per_bar + 1) for number in range(len(times_s))])


def noisy_logits(head: Beat, beats: Spans, duration_s: float, noise: float, seed: int = 0) -> np.ndarray:
    """What a passable model might say: weak, noisy peaks near the beats."""
    perfect = head.perfect_logits(head.targets(beats, duration_s)).numpy()
    rng = np.random.default_rng(seed)
    return (0.3 * perfect + rng.normal(0, noise, perfect.shape)).astype(np.float32)
