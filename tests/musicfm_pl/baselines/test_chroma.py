"""Chroma of tones whose pitch class is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from data_modules import SAMPLE_RATE
from musicfm_pl.baselines.chroma import chroma, num_frames, unit_rows


@pytest.mark.parametrize("pitch", [0, 4, 11])
def test_a_tone_is_loudest_in_its_pitch_class(pitch: int) -> None:
    time_N = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    waveform_N = (0.3 * np.sin(2 * np.pi * 261.63 * 2 ** (pitch / 12) * time_N)).astype(np.float32)
    chroma_TP = chroma(waveform_N)
    assert chroma_TP.shape == (num_frames(len(waveform_N)), 12)
    assert (chroma_TP.argmax(axis=1) == pitch).mean() > 0.9
    assert np.linalg.norm(chroma_TP, axis=1) == pytest.approx(np.ones(len(chroma_TP)))


def test_silence_has_none() -> None:
    assert not chroma(np.zeros(1000, dtype=np.float32)).any()


@given(arrays.arrays(np.float64, (5, 3), elements=st.floats(-1e6, 1e6)))
def test_rows_have_norm_one_or_are_zero(values_TD: np.ndarray) -> None:
    norms_T = np.linalg.norm(unit_rows(values_TD), axis=1)
    assert all(norm == 0 or norm == pytest.approx(1.0) for norm in norms_T)
    assert not np.any(norms_T[np.linalg.norm(values_TD, axis=1) > 1e-8] == 0)
