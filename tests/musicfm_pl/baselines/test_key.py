"""Key profiles on cadences whose key is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.key import KeyProfiles
from musicfm_pl.heads.key import KEYS

SCALES = {"major": (0, 2, 4, 5, 7, 9, 11, 12), "minor": (0, 2, 3, 5, 7, 8, 10, 12)}


def scale(key: str) -> NDArray[np.float32]:
    """The scale from C4's octave upwards, half a second a note, and the tonic triad for two seconds."""
    tonic, mode = KEYS.index(key) % 12, key.split()[1]
    degrees = SCALES[mode]
    chords = [(degree,) for degree in degrees] + [(0, degrees[2], degrees[4])] * 4
    time_N = np.arange(SAMPLE_RATE // 2) / SAMPLE_RATE
    parts = []
    for chord in chords:
        pitches_hz = 261.63 * 2 ** ((tonic + np.array(chord)) / 12)
        parts.append(sum(0.1 / n * np.sin(2 * np.pi * n * hz * time_N) for n in (1, 2, 3) for hz in pitches_hz))
    return np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize("key", ["C major", "F# major", "Bb major", "A minor", "Eb minor", "E minor"])
def test_finds_the_key_of_a_scale(key: str) -> None:
    method = KeyProfiles()
    found = method.estimate(scale(key))
    assert found.whole == key
    assert found.spans == Spans.of([(0.0, 6.0, key)])
    summary = method.judge().score([Spans.of([(0.0, 6.0, key)])], [found], [6.0]).summary
    assert summary["key_weighted"] == summary["key_local_accuracy"] == 1.0
