"""From activations to beats: with a model of bars and tempo, and without."""

from __future__ import annotations

import numpy as np
from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor
from numpy.typing import NDArray
from scipy.special import expit

from musicfm_pl.heads.bar_viterbi import BarHMM
from musicfm_pl.heads.peaks import local_maxima

_EPSILON = 1e-5
"""Probabilities keep this far from 0 and 1, whose logarithm the DBN takes (beat_this)."""


class DownbeatDBN:
    """madmom's `DBNDownBeatTrackingProcessor` (Böck, Krebs & Widmer, ISMIR 2016) with `BarHMM`'s Viterbi.

    Args:
        beats_per_bar: Bar lengths to choose from; the likeliest holds for the whole track.
        min_bpm: Slowest tempo in beats a minute.
        max_bpm: Fastest tempo.
        transition_lambda: How much a steady tempo is preferred.
        fps: Frames a second.
    """

    def __init__(
        self,
        beats_per_bar: tuple[int, ...],
        min_bpm: float,
        max_bpm: float,
        transition_lambda: float,
        fps: float,
    ) -> None:
        if not beats_per_bar or min(beats_per_bar) < 1:
            raise ValueError(f"head.beats_per_bar: one bar length or more, each at least 1, got {beats_per_bar}")
        if not 0 < min_bpm < max_bpm:
            raise ValueError(f"head.min_bpm must be positive and below head.max_bpm, got {min_bpm} and {max_bpm}")
        self._processor = DBNDownBeatTrackingProcessor(
            beats_per_bar=list(beats_per_bar),
            min_bpm=min_bpm,
            max_bpm=max_bpm,
            transition_lambda=transition_lambda,
            fps=fps,
        )
        self._processor.hmms = [BarHMM(hmm.transition_model, hmm.observation_model) for hmm in self._processor.hmms]
        self._fps = fps

    def __call__(self, logits_N2: NDArray[np.floating]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Frames of the beats and their positions in the bar, from 1.

        Args:
            logits_N2: Of beat and of downbeat.

        Raises:
            ValueError: A logit is no number.
        """
        if np.isnan(logits_N2).any():
            raise ValueError("the logits of beats are not all numbers: has training diverged?")
        beats = self._processor(dbn_probabilities(logits_N2))
        return np.rint(beats[:, 0] * self._fps).astype(np.intp), beats[:, 1].astype(np.intp)


def dbn_probabilities(logits_N2: NDArray[np.floating]) -> NDArray[np.float64]:
    """What madmom's DBN expects: probabilities of a beat that is no downbeat, and of a downbeat, (N, 2).

    A downbeat is taken away from the beats, as beat_this does. Both, and what they leave, are at least
    `_EPSILON`.
    """
    beat_N, downbeat_N = expit(np.asarray(logits_N2, dtype=np.float64)).T
    downbeat_N = np.clip(downbeat_N, _EPSILON, 1 - 2 * _EPSILON)
    beat_N = np.clip(beat_N - downbeat_N, _EPSILON, 1 - downbeat_N - _EPSILON)
    return np.stack([beat_N, downbeat_N], axis=1)


def strongest_frames(logits_N2: NDArray[np.floating], reach: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """beat_this's decoder: local maxima above one half, each downbeat moved to the nearest beat.

    Args:
        logits_N2: Of beat and of downbeat.
        reach: A maximum is the largest within so many frames (beat_this: 3, a window of 7).

    Returns:
        Frames of the beats, and their positions in the bar, counted from the downbeats; 0 before the first.
    """
    beats, downbeats = (
        peaks[logits_N2[peaks, column] > 0]
        for column, peaks in enumerate(local_maxima(logits_N2[:, column], reach) for column in (0, 1))
    )
    if len(beats) == 0:
        return beats, np.zeros(0, dtype=np.intp)
    nearest = np.unique(np.abs(beats[None, :] - downbeats[:, None]).argmin(axis=1))
    bar_N = np.searchsorted(nearest, np.arange(len(beats)), side="right")
    starts = np.concatenate([[0], nearest])[bar_N]
    return beats, np.where(bar_N == 0, 0, np.arange(len(beats)) - starts + 1)
