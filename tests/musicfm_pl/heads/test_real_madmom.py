"""madmom itself beside ours: the same beats from the same activations of rendered music, and the same figures.

`pytest -s` prints how long both take for each track.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from real_madmom import real_madmom
from scipy.ndimage import maximum_filter1d

from data_modules.corpora.tiny import Tiny
from data_modules.mel import LogMel
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.beat_decoders import BeatDBN, DownbeatDBN
from musicfm_pl.heads.beat_scores import beat_figures

FPS = 50
TUNES = ("sakura", "jingle_bells", "daisy_bell", "lullaby", "yankee_doodle", "silent_night")
"""Of 4, 4, 3, 3, 2 and 2 beats a bar, at 84, 184, 168, 92, 112 and 60 a minute."""
FIVE_MINUTES = 300 * FPS


@pytest.fixture(scope="module")
def activations() -> Callable[[str], NDArray[np.float64]]:
    """By tune, (N, 2): how much louder it gets, in all bands for beats and in the low ones for downbeats.

    Weak and uneven, as those of a model: each is relative to what is near, and no two frames are alike.
    """
    log_mel = LogMel(hop_length=24000 // FPS, num_mels=64)
    corpus = Tiny()
    items = {item.track_id: item for item in corpus.items()}
    found: dict[str, NDArray[np.float64]] = {}

    def make(tune: str) -> NDArray[np.float64]:
        if tune not in found:
            waveform_N = torch.from_numpy(corpus.load(items[tune]).waveform_N)
            mel_FM = log_mel(waveform_N[None])[0].T.numpy().astype(np.float64)
            rise_NM = np.maximum(np.diff(mel_FM, axis=0, prepend=mel_FM[:1]), 0)
            columns = []
            for bands in (slice(None), slice(0, 8)):
                rise_N = rise_NM[:, bands].mean(axis=1)
                columns.append(rise_N / (maximum_filter1d(rise_N, 2 * FPS) + 1e-3))
            beat_N, low_N = columns
            found[tune] = np.clip(np.stack([0.9 * beat_N * (1 - low_N), 0.8 * beat_N * low_N], axis=1), 1e-6, 0.49)
        return found[tune]

    return make


def _timed(run: Callable[[], NDArray[np.float64]]) -> tuple[NDArray[np.float64], float]:
    start_s = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy, in madmom
        found = run()
    return found, time.perf_counter() - start_s


def _report(what: str, num_frames: int, ours_s: float, theirs_s: float) -> None:
    print(f"\n{what}: {num_frames / FPS:.0f} s of music: ours {ours_s:.2f} s, madmom {theirs_s:.2f} s")


@pytest.mark.parametrize("tune", TUNES)
def test_downbeats(tune: str, activations: Callable[[str], NDArray[np.float64]]) -> None:
    bars = (2, 3, 4)
    downbeats = real_madmom("features.downbeats")
    theirs = downbeats.DBNDownBeatTrackingProcessor(
        beats_per_bar=list(bars), fps=FPS, min_bpm=55, max_bpm=215, transition_lambda=100
    )
    ours = DownbeatDBN(bars, 55, 215, 100, FPS)
    heard = activations(tune)
    expected, theirs_s = _timed(lambda: theirs(heard))
    start_s = time.perf_counter()
    frames, positions = ours(heard)
    _report(f"joint DBN, {tune}", len(heard), time.perf_counter() - start_s, theirs_s)
    assert len(expected) > 10
    np.testing.assert_array_equal(frames / FPS, expected[:, 0])
    np.testing.assert_array_equal(positions, expected[:, 1])


@pytest.mark.parametrize(("low", "high"), [(55, 215), (18, 72)])
@pytest.mark.parametrize("tune", TUNES)
def test_beats(tune: str, low: float, high: float, activations: Callable[[str], NDArray[np.float64]]) -> None:
    """With the tempi of beats, and with those of downbeats in MARBLE."""
    theirs = real_madmom("features.beats").DBNBeatTrackingProcessor(fps=FPS, min_bpm=low, max_bpm=high)
    heard = activations(tune).sum(axis=1)
    expected, theirs_s = _timed(lambda: theirs(heard))
    start_s = time.perf_counter()
    frames = BeatDBN(low, high, 100, FPS)(heard)
    _report(f"beat DBN from {low} to {high} bpm, {tune}", len(heard), time.perf_counter() - start_s, theirs_s)
    assert len(expected) > 5
    np.testing.assert_array_equal(frames / FPS, expected)


@pytest.mark.parametrize("seed", range(3))
def test_beats_in_noise_and_silence(seed: int) -> None:
    theirs = real_madmom("features.beats").DBNBeatTrackingProcessor(fps=FPS)
    ours = BeatDBN(55, 215, 100, FPS)
    rng = np.random.default_rng(seed)
    for heard in (rng.uniform(1e-5, 1 - 1e-5, 700), np.zeros(100), np.full(300, 1e-5), rng.uniform(0.1, 0.2, 1)):
        np.testing.assert_array_equal(ours(heard) / FPS, _timed(lambda heard=heard: theirs(heard))[0])


def test_five_minutes(activations: Callable[[str], NDArray[np.float64]]) -> None:
    """Nothing is said of speed here but what is printed: it depends on what else runs."""
    heard = activations(TUNES[0])
    long = np.tile(heard, (FIVE_MINUTES // len(heard) + 1, 1))[:FIVE_MINUTES]
    downbeats = real_madmom("features.downbeats")
    theirs = downbeats.DBNDownBeatTrackingProcessor(
        beats_per_bar=[3, 4], fps=FPS, min_bpm=55, max_bpm=215, transition_lambda=100
    )
    expected, theirs_s = _timed(lambda: theirs(long))
    ours = DownbeatDBN((3, 4), 55, 215, 100, FPS)
    start_s = time.perf_counter()
    frames, positions = ours(long)
    _report("joint DBN, five minutes", len(long), time.perf_counter() - start_s, theirs_s)
    np.testing.assert_array_equal(frames / FPS, expected[:, 0])
    np.testing.assert_array_equal(positions, expected[:, 1])


_TIMES = st.lists(st.floats(0.05, 2.0), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(_TIMES, _TIMES, st.booleans())
def test_figures(between_s: list[float], others_s: list[float], is_near: bool) -> None:
    """F-measure, CMLt and AMLt by `tool: madmom`; madmom's `fmeasure` is what mir_eval gives, too."""
    evaluation = real_madmom("evaluation.beats")
    reference_s = np.cumsum(between_s)
    estimate_s = np.cumsum(others_s)
    if is_near:  # some right, some late, at twice or half the tempo
        rng = np.random.default_rng(len(between_s))
        estimate_s = np.sort(reference_s[:: 1 + len(others_s) % 3] + rng.normal(0, 0.02))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few beats
        expected = evaluation.BeatEvaluation(estimate_s, reference_s)
    rules = Beat(1, tool="madmom", trim_s=0.0).rules
    figures, _ = beat_figures(reference_s, estimate_s, rules)
    assert figures["f"] == pytest.approx(expected.fmeasure)
    assert figures["cmlt"] == pytest.approx(expected.cmlt)
    assert figures["amlt"] == pytest.approx(expected.amlt)


def test_madmom_that_is_installed_and_broken_is_no_reason_to_skip(monkeypatch: pytest.MonkeyPatch) -> None:
    real_madmom("evaluation.beats")  # skips this test, too, where there is none
    monkeypatch.setitem(sys.modules, "madmom.evaluation.beats", None)
    with pytest.raises(ImportError):
        real_madmom("evaluation.beats")
