import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from madmom_infer.ml.hmm import DiscreteObservationModel, HiddenMarkovModel, TransitionModel

from musicfm_pl.heads.viterbi import sticky_viterbi


@settings(deadline=None)
@given(st.integers(2, 6), st.integers(1, 25), st.floats(0.5, 0.99), st.integers(0, 10**6))
def test_the_path_is_as_likely_as_madmoms(num_classes: int, num_frames: int, stay: float, seed: int):
    likelihood = np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_frames)
    matrix = np.full((num_classes, num_classes), (1 - stay) / (num_classes - 1))
    np.fill_diagonal(matrix, stay)
    states, previous = (axis.ravel() for axis in np.indices(matrix.shape))
    # Every frame is a symbol of its own.
    observation = DiscreteObservationModel(np.eye(num_classes))
    observation.log_densities = lambda frames: np.log(likelihood)[frames]
    hmm = HiddenMarkovModel(TransitionModel.from_dense(states, previous, matrix[previous, states]), observation)
    path, _ = hmm.viterbi(np.arange(num_frames))

    def log_probability(of: np.ndarray) -> float:
        return np.log(likelihood)[np.arange(num_frames), of].sum() + np.log(matrix)[of[:-1], of[1:]].sum()

    ours = sticky_viterbi(np.log(likelihood), stay)
    assert log_probability(ours) == pytest.approx(log_probability(path.astype(int)))


@pytest.mark.parametrize("stay", [0.1, 1.0])
def test_a_transition_that_does_not_stay_is_refused(stay: float):
    with pytest.raises(ValueError, match=r"head\.self_transition"):
        sticky_viterbi(np.zeros((5, 3)), stay)
