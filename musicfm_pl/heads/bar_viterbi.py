"""Viterbi decoding in madmom's spaces of beats and bars, at the speed that their shape allows."""

from __future__ import annotations

import numpy as np
from madmom_infer.features.beats_hmm import BarTransitionModel, BeatTransitionModel
from madmom_infer.ml.hmm import HiddenMarkovModel, ObservationModel
from numpy.typing import ArrayLike, NDArray


class BarHMM(HiddenMarkovModel):
    """madmom's model of bars of one length, or of beats: the same path, found faster and in less memory.

    In this space (Krebs, Böck & Widmer, ISMIR 2015) a beat of an interval of i frames is a chain of i states,
    and a choice is made only where one beat ends and the next begins. So a frame is a shift by one state, and
    a maximum over intervals at each beat; only those maxima are remembered. Sums are taken in madmom's order,
    so that ties and rounding fall as they do there.

    Args:
        transition_model: Transitions between beats of a `BarStateSpace`, or of a `BeatStateSpace`, which is
            a bar of one beat.
        observation_model: Densities of no beat, beat and, of bars, downbeat.
    """

    def __init__(
        self, transition_model: BarTransitionModel | BeatTransitionModel, observation_model: ObservationModel
    ) -> None:
        super().__init__(transition_model, observation_model)
        space = transition_model.state_space
        self._first_BI = np.atleast_2d(np.stack(space.first_states)).astype(np.intp)
        # The states that lead into each beat: the ends of the beat before, cyclically.
        self._from_BI = np.roll(np.atleast_2d(np.stack(space.last_states)), 1, axis=0).astype(np.intp)
        self._log_transition_BIJ = self._between_beats()
        self._pointers = np.asarray(observation_model.pointers, dtype=np.intp)

    def _between_beats(self) -> NDArray[np.float64]:
        """Log probabilities (beats, to interval, from interval); -inf where madmom has no transition."""
        model = self.transition_model
        beats, intervals = self._first_BI.shape
        dense = np.full((beats, intervals, intervals), -np.inf)
        logs = model.log_probabilities
        for beat in range(beats):
            for to, state in enumerate(self._first_BI[beat]):
                row = slice(model.pointers[state], model.pointers[state + 1])
                dense[beat, to, np.searchsorted(self._from_BI[beat], model.states[row])] = logs[row]
        return dense

    def viterbi(self, observations: ArrayLike) -> tuple[NDArray[np.uint32], float]:
        """The best path.

        Args:
            observations: Probabilities of beat (that is no downbeat) and downbeat, (N, 2), or of beat, (N,).

        Returns:
            The state of each frame (N,), and the path's log probability; an empty path if none is possible.

        Raises:
            ValueError: A probability is no number, or the two of a frame add up to more than 1.
        """
        log_densities = np.asarray(self.observation_model.log_densities(np.asarray(observations)))
        if np.isnan(log_densities).any():
            raise ValueError("a probability of beat or downbeat is no number, or they add up to more than 1")
        num_frames = len(log_densities)
        first_BI, from_BI, log_transition_BIJ = self._first_BI, self._from_BI, self._log_transition_BIJ
        beats, intervals = first_BI.shape
        # Where a maximum lies in the flattened candidates, less the part that says which row it is in.
        row_starts_BI = (np.arange(beats * intervals) * intervals).reshape(beats, intervals)

        score = np.log(self.initial_distribution)
        shifted = np.empty_like(score)
        density = np.empty_like(score)
        candidates_BIJ = np.empty_like(log_transition_BIJ)
        came_from_NBI = np.empty((num_frames, beats, intervals), dtype=np.int16)
        for frame in range(num_frames):
            np.add(score[from_BI][:, None, :], log_transition_BIJ, out=candidates_BIJ)
            best_BI = candidates_BIJ.argmax(axis=2)
            came_from_NBI[frame] = best_BI
            shifted[1:] = score[:-1]
            shifted[first_BI] = candidates_BIJ.ravel()[row_starts_BI + best_BI]
            np.take(log_densities[frame], self._pointers, out=density)
            np.add(shifted, density, out=score)

        state = int(score.argmax())
        log_probability = float(score[state])
        if np.isinf(log_probability):
            return np.empty(0, dtype=np.uint32), log_probability
        return self._trace(state, came_from_NBI), log_probability

    def _trace(self, state: int, came_from_NBI: NDArray[np.int16]) -> NDArray[np.uint32]:
        """The path that ends in a state: down a chain to its start, then to the end of the chain before."""
        chain_of = {int(first): where for where, first in np.ndenumerate(self._first_BI)}
        starts = np.sort(self._first_BI, axis=None)
        path = np.empty(len(came_from_NBI), dtype=np.uint32)
        end = len(path)
        while end > 0:
            first = int(starts[np.searchsorted(starts, state, side="right") - 1])
            length = min(end, state - first + 1)
            path[end - length : end] = np.arange(state - length + 1, state + 1)
            end -= length
            if end > 0:
                beat, interval = chain_of[first]
                state = int(self._from_BI[beat, came_from_NBI[end, beat, interval]])
        return path
