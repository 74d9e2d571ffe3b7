"""From activations to beats: with a model of bars and tempo, and without."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from madmom_infer.features.beats_hmm import BeatStateSpace, BeatTransitionModel, RNNBeatTrackingObservationModel
from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor
from numpy.typing import NDArray
from scipy.special import expit

from musicfm_pl.heads.bar_viterbi import BarHMM
from musicfm_pl.heads.beat_rules import Activations, BeatRules
from musicfm_pl.heads.peaks import local_maxima

_EPSILON = 1e-5
"""Probabilities keep this far from 0 and 1, whose logarithm the DBN takes (beat_this)."""
_LEAST = 1e-8
"""The same of `normalised` activations (all-in-one)."""
_OBSERVATION_LAMBDA = 16
"""The first of so many parts of a beat is where it is heard (madmom)."""
_MINIMAL_REACH_S = 0.06
"""beat_this's window of 7 frames at 50 Hz, to either side."""


def decode_beats(
    logits_N2: NDArray[np.floating], rules: BeatRules, fps: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp] | None]:
    """Beats by the decoder that the rules name.

    Args:
        logits_N2: Of beat and of downbeat.
        rules: How to decode.
        fps: Frames a second.

    Returns:
        Frames of the beats; their positions in the bar from 1, or 0 where it is not known; and the frames of
        downbeats, where they are found by themselves.

    Raises:
        ValueError: A logit is no number.
    """
    if np.isnan(logits_N2).any():
        raise ValueError("the logits of beats are not all numbers: has training diverged?")
    if rules.decoder == "minimal":
        return *strongest_frames(logits_N2, reach=round(_MINIMAL_REACH_S * fps)), None
    if rules.decoder == "two_dbns":
        beat_N, downbeat_N = np.clip(expit(np.asarray(logits_N2, dtype=np.float64)), _EPSILON, 1 - _EPSILON).T
        beats = _beat_dbn(rules.min_bpm, rules.max_bpm, rules.transition_lambda, fps)(beat_N)
        slow = _beat_dbn(rules.min_downbeat_bpm, rules.max_downbeat_bpm, rules.transition_lambda, fps)
        downbeats = slow(downbeat_N)
        return beats, _positions(beats, downbeats), downbeats
    dbn = _downbeat_dbn(rules.beats_per_bar, rules.min_bpm, rules.max_bpm, rules.transition_lambda, fps)
    return *dbn(dbn_probabilities(logits_N2, rules.activations)), None


class BeatDBN:
    """madmom's `DBNBeatTrackingProcessor` (Böck, Krebs & Widmer, ISMIR 2014): beats alone, `BarHMM`'s Viterbi.

    madmom-infer has the space of states, but neither this decoder nor densities that run.

    Args:
        min_bpm: Slowest tempo in beats a minute.
        max_bpm: Fastest tempo.
        transition_lambda: How much a steady tempo is preferred.
        fps: Frames a second.
    """

    def __init__(self, min_bpm: float, max_bpm: float, transition_lambda: float, fps: float) -> None:
        space = BeatStateSpace(60.0 * fps / max_bpm, 60.0 * fps / min_bpm)
        self.hmm = BarHMM(BeatTransitionModel(space, transition_lambda), _BeatDensities(space, _OBSERVATION_LAMBDA))

    def __call__(self, activation_N: NDArray[np.float64]) -> NDArray[np.intp]:
        """Frames of the beats: the largest activation in each stretch that the path says is a beat.

        Args:
            activation_N: Probabilities of a beat.
        """
        path_N, _ = self.hmm.viterbi(activation_N) if activation_N.any() else (np.zeros(0, dtype=np.uint32), 0.0)
        # madmom takes a path that never leaves the first state for one that found nothing.
        if not path_N.any():
            return np.zeros(0, dtype=np.intp)
        in_beat_N = np.concatenate([[0], self.hmm.observation_model.pointers[path_N], [0]]).astype(np.intp)
        firsts, lasts = np.flatnonzero(np.diff(in_beat_N) > 0), np.flatnonzero(np.diff(in_beat_N) < 0)
        return np.array(
            [first + activation_N[first:last].argmax() for first, last in zip(firsts, lasts, strict=True)],
            dtype=np.intp,
        )


class _BeatDensities(RNNBeatTrackingObservationModel):
    """madmom's densities of no beat and of beat; those of madmom-infer 0.2 call numpy with what it refuses."""

    def log_densities(self, observations: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 2) from probabilities of a beat, (N,)."""
        return np.stack([np.log((1.0 - observations) / (self.observation_lambda - 1)), np.log(observations)], axis=1)


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
        self._processor = DBNDownBeatTrackingProcessor(
            beats_per_bar=list(beats_per_bar),
            min_bpm=min_bpm,
            max_bpm=max_bpm,
            transition_lambda=transition_lambda,
            fps=fps,
        )
        self._processor.hmms = [BarHMM(hmm.transition_model, hmm.observation_model) for hmm in self._processor.hmms]
        self._fps = fps

    def __call__(self, activations_N2: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Frames of the beats and their positions in the bar, from 1.

        Args:
            activations_N2: Probabilities of a beat that is no downbeat, and of a downbeat.
        """
        beats = self._processor(activations_N2)
        return np.rint(beats[:, 0] * self._fps).astype(np.intp), beats[:, 1].astype(np.intp)


# Building the space of states takes longer than decoding a short track.
_beat_dbn = lru_cache(maxsize=8)(BeatDBN)
_downbeat_dbn = lru_cache(maxsize=8)(DownbeatDBN)


def dbn_probabilities(logits_N2: NDArray[np.floating], activations: Activations = "subtracted") -> NDArray[np.float64]:
    """What madmom's DBN expects: probabilities of a beat that is no downbeat, and of a downbeat, (N, 2).

    Args:
        logits_N2: Of beat and of downbeat, which is a beat too.
        activations: `subtracted` takes downbeats away from beats, as beat_this does; both, and what they
            leave, are at least `_EPSILON`. `normalised` weighs what is so left against the mean of no beat
            and no downbeat, as all-in-one does.
    """
    beat_N, downbeat_N = expit(np.asarray(logits_N2, dtype=np.float64)).T
    if activations == "normalised":
        parts_N3 = np.stack([beat_N - downbeat_N, downbeat_N, 1 - (beat_N + downbeat_N) / 2], axis=1)
        parts_N3 = np.maximum(parts_N3, _LEAST)
        return parts_N3[:, :2] / parts_N3.sum(axis=1, keepdims=True)
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
    return beats, _positions(beats, downbeats)


def _positions(beats: NDArray[np.intp], downbeats: NDArray[np.intp]) -> NDArray[np.intp]:
    """Positions in the bar, counted from the beats that are nearest to downbeats; 0 before the first."""
    if len(beats) == 0:
        return np.zeros(0, dtype=np.intp)
    nearest = np.unique(np.abs(beats[None, :] - downbeats[:, None]).argmin(axis=1))
    bar_N = np.searchsorted(nearest, np.arange(len(beats)), side="right")
    starts = np.concatenate([[0], nearest])[bar_N]
    return np.where(bar_N == 0, 0, np.arange(len(beats)) - starts + 1)
