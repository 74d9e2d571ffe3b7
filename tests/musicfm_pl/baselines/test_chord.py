"""Chroma templates on triads whose names are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.chord import ChordTemplates

STEPS = {"maj": (0, 4, 7), "min": (0, 3, 7)}
ROOTS = {"C": 0, "D": 2, "F": 5, "G": 7, "A": 9, "Bb": 10}


def triads(labels: list[str], seconds: float) -> NDArray[np.float32]:
    """Triads of tones with four harmonics above C4; silence for N."""
    time_N = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    parts = []
    for label in labels:
        root, _, quality = label.partition(":")
        part_N = np.zeros(len(time_N))
        for step in STEPS.get(quality, ()):
            pitch_hz = 261.63 * 2 ** ((ROOTS[root] + step) / 12)
            part_N += sum(0.1 / n * np.sin(2 * np.pi * n * pitch_hz * time_N) for n in range(1, 5))
        parts.append(part_N)
    return np.concatenate(parts).astype(np.float32)


def test_finds_triads_and_silence() -> None:
    labels = ["C:maj", "A:min", "F:maj", "D:min", "N", "G:maj", "Bb:min"]
    reference = Spans.of((2.0 * at, 2.0 * at + 2.0, label) for at, label in enumerate(labels))
    method = ChordTemplates()
    found = method.estimate(triads(labels, 2.0))
    summary = method.judge().score([reference], [found], [14.0]).summary
    assert summary["chord_majmin"] is not None and summary["chord_majmin"] > 0.9
    assert set(found.spans.labels) == set(labels)
    assert found.spans.ends_s[-1] == 14.0
    assert np.array_equal(found.spans.starts_s[1:], found.spans.ends_s[:-1])


def test_a_chord_in_passing_is_smoothed_away() -> None:
    waveform_N = np.concatenate([triads(["C:maj"], 3.0), triads(["A:min"], 0.2), triads(["C:maj"], 3.0)])
    sticky = ChordTemplates(self_transition=1 - 1e-6).estimate(waveform_N)
    assert sticky.spans.labels == ("C:maj",)
    assert "A:min" in ChordTemplates(self_transition=1 / 25, sharpness=40).estimate(waveform_N).spans.labels


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"self_transition": 1.0}, r"self_transition must lie in \[1 / 25, 1\), got 1.0"),
        ({"sharpness": 0.0}, "sharpness and silence_db must be positive, got 0.0 and 40.0"),
    ],
)
def test_refuses_settings_out_of_range(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChordTemplates(**settings)
