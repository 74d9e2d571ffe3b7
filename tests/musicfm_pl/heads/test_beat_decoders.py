"""From activations to beats: as madmom decodes them, and where there is nothing to decode."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor
from madmom_infer.ml.hmm import HiddenMarkovModel
from steady_beats import noisy_logits, steady_beats

from data_modules.spans import Spans
from musicfm_pl.heads.bar_viterbi import BarHMM
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.beat_decoders import DownbeatDBN, dbn_probabilities, strongest_frames


@pytest.fixture(scope="module")
def head() -> Beat:
    return Beat(4)


@pytest.fixture(scope="module")
def madmom() -> DBNDownBeatTrackingProcessor:
    return DBNDownBeatTrackingProcessor([2, 3, 4], fps=50, min_bpm=55, max_bpm=215, transition_lambda=100)


def _activations(kind: str, num_frames: int) -> np.ndarray:
    rng = np.random.default_rng(num_frames)
    if kind == "random":
        return np.clip(rng.dirichlet([1, 1, 8], num_frames)[:, :2], 1e-6, 0.49)
    if kind == "flat":
        return np.full((num_frames, 2), 1e-5)
    if kind == "saturated":
        beats = Spans.events(np.arange(0.1, num_frames / 50, 0.5), ["1"] * int(np.ceil(num_frames / 25 - 0.2)))
        return dbn_probabilities(Beat(1).perfect_logits(Beat(1).targets(beats, num_frames / 50)).numpy())
    beats = steady_beats(num_frames / 50, 97, 3, jitter=0.02)
    return dbn_probabilities(noisy_logits(Beat(1), beats, num_frames / 50, 1.0))


@pytest.mark.parametrize("kind", ["random", "flat", "saturated", "realistic"])
@pytest.mark.parametrize("num_frames", [1, 2, 13, 600])
def test_viterbi_gives_madmoms_path(madmom: DBNDownBeatTrackingProcessor, kind: str, num_frames: int):
    activations = _activations(kind, num_frames)
    for hmm in madmom.hmms:
        path, log_probability = BarHMM(hmm.transition_model, hmm.observation_model).viterbi(activations)
        expected, expected_log_probability = hmm.viterbi(activations)
        np.testing.assert_array_equal(path, expected)
        assert log_probability == expected_log_probability


def test_viterbi_gives_madmoms_path_in_a_space_with_log_spaced_tempi():
    processor = DBNDownBeatTrackingProcessor([4], fps=100, num_tempi=20, transition_lambda=50)
    (hmm,) = processor.hmms
    assert type(hmm) is HiddenMarkovModel
    activations = _activations("random", 300)
    path, _ = BarHMM(hmm.transition_model, hmm.observation_model).viterbi(activations)
    np.testing.assert_array_equal(path, hmm.viterbi(activations)[0])


def test_viterbi_refuses_what_is_no_probability(madmom: DBNDownBeatTrackingProcessor):
    hmm = BarHMM(madmom.hmms[0].transition_model, madmom.hmms[0].observation_model)
    with pytest.raises(ValueError, match="no number"):
        hmm.viterbi(np.full((3, 2), np.nan))


def test_dbn_gives_madmoms_beats(head: Beat, madmom: DBNDownBeatTrackingProcessor):
    ours = DownbeatDBN((2, 3, 4), 55, 215, 100, 50)
    for beats_per_bar, bpm in ((3, 140), (4, 88)):
        beats = steady_beats(12.0, bpm, beats_per_bar, jitter=0.015)
        logits = noisy_logits(head, beats, 12.0, 0.8)
        frames, positions = ours(dbn_probabilities(logits))
        expected = madmom(dbn_probabilities(logits))
        np.testing.assert_allclose(frames / 50, expected[:, 0])
        np.testing.assert_array_equal(positions, expected[:, 1])


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=20))
def test_dbn_probabilities_leave_room_for_no_beat(logits: list[tuple[float, float]]):
    probabilities = dbn_probabilities(np.array(logits))
    assert (probabilities >= 0.9e-5).all()
    assert (probabilities.sum(axis=1) <= 1 - 0.9e-5).all()


def test_dbn_names_logits_that_are_no_numbers(head: Beat):
    with pytest.raises(ValueError, match="diverged"):
        head.decode(np.full((100, 2), np.nan, dtype=np.float32), 2.0)


@pytest.mark.parametrize("decoder", ["dbn", "minimal"])
def test_silence_has_no_beats(decoder: str):
    estimate = Beat(4, decoder=decoder).decode(np.full((500, 2), -9.0, dtype=np.float32), 10.0)
    assert len(estimate.spans) == 0


def test_minimal_decoder():
    logits = np.full((60, 2), -5.0)
    # A beat, a plateau of two frames, a weaker beat too near the first, one below one half, a beat.
    logits[[5, 20, 21, 7, 40, 50], 0] = [3, 2, 2, 1, -0.1, 4]
    # A downbeat 2 frames from its beat.
    logits[22, 1] = 1
    frames, positions = strongest_frames(logits, reach=3)
    assert frames.tolist() == [5, 20, 50]
    assert positions.tolist() == [0, 1, 2]
    head = Beat(4, decoder="minimal")
    assert head.decode(logits.astype(np.float32), 1.2).spans == Spans.events([0.1, 0.4, 1.0], ["?", "1", "2"])


def test_two_dbns_find_downbeats_by_themselves():
    head = Beat(4, decoder="two_dbns")
    beats = steady_beats(30.0, 120, 4, first_s=0.5)
    perfect = head.perfect_logits(head.targets(beats, 30.0)).numpy()
    perfect[:, 1] = np.roll(perfect[:, 1], 4)  # 80 ms late: no beat, and outside of the window
    estimate = head.decode(perfect, 30.0)
    assert estimate.downbeats is not None
    true_s = beats.starts_s[np.array([label == "1" for label in beats.labels])]
    np.testing.assert_allclose(estimate.downbeats.starts_s[:14], true_s[:14] + 0.08, atol=0.011)
    assert set(estimate.downbeats.labels) == {"1"}
    first = estimate.spans.labels.index("1")
    assert estimate.spans.labels[first : first + 8] == tuple("12341234"), "labelled by the nearest beat"
    summary = head.score([beats], [estimate], [30.0]).summary
    assert summary["beat_f"] > 0.98
    assert summary["downbeat_f"] == 0


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=20))
def test_normalised_activations_leave_room_for_no_beat(logits: list[tuple[float, float]]):
    probabilities = dbn_probabilities(np.array(logits), "normalised")
    assert (probabilities > 0).all()
    assert (probabilities.sum(axis=1) < 1).all()


def test_normalised_activations_are_all_in_ones():
    beat, downbeat = 0.6, 0.2
    logits = np.log([[beat / (1 - beat), downbeat / (1 - downbeat)]])
    parts = np.array([beat - downbeat, downbeat, ((1 - beat) + (1 - downbeat)) / 2])
    np.testing.assert_allclose(dbn_probabilities(logits, "normalised")[0], (parts / parts.sum())[:2])
