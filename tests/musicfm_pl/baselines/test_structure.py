"""Checkerboard novelty on sections that differ in harmony and timbre."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.structure import CheckerboardSections

EDGES_S = (0.0, 21.3, 47.0, 66.0)


def sections() -> NDArray[np.float32]:
    """A chord of sines, the same again a tritone higher with noise, and the first once more."""
    rng = np.random.default_rng(0)
    parts = []
    for number, (start_s, end_s) in enumerate(itertools.pairwise(EDGES_S)):
        time_N = np.arange(round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)) / SAMPLE_RATE
        shift, loudness = (6, 0.05) if number == 1 else (0, 0.001)
        tones = (0.1 * np.sin(2 * np.pi * 220 * 2 ** ((shift + step) / 12) * time_N) for step in (0, 4, 7))
        parts.append(sum(tones) + loudness * rng.standard_normal(len(time_N)))
    return np.concatenate(parts).astype(np.float32)


def test_finds_where_the_music_changes() -> None:
    method = CheckerboardSections()
    found = method.estimate(sections())
    assert found.spans.starts_s == pytest.approx(EDGES_S[:-1], abs=0.5)
    assert found.spans.ends_s == pytest.approx(EDGES_S[1:], abs=0.5)
    assert len(set(found.spans.labels)) == 3
    reference = Spans(np.array(EDGES_S[:-1]), np.array(EDGES_S[1:]), ("verse", "chorus", "verse"))
    summary = method.judge().score([reference], [found], [EDGES_S[-1]]).summary
    assert summary["hr05_f"] == summary["hr3_f"] == 1.0
    assert summary["pairwise_f"] is None and summary["frame_accuracy"] is None, "it has no labels"


def test_what_does_not_change_has_one_section() -> None:
    steady_N = sections()[: round(EDGES_S[1] * SAMPLE_RATE)]
    for waveform_N in (steady_N, np.zeros_like(steady_N)):
        # Noise on a steady tone is all novelty there is; a boundary must stand out of it.
        assert len(CheckerboardSections(threshold=0.9).estimate(waveform_N).spans) == 1


def test_refuses_a_kernel_without_length() -> None:
    with pytest.raises(ValueError, match="kernel_s, peak_s and surroundings_s must be positive"):
        CheckerboardSections(kernel_s=0)
