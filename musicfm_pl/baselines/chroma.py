"""Chroma: how much of each pitch class sounds, which chords, keys and sections are told from."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from musicfm_pl.baselines.base import filled
from musicfm_pl.baselines.with_librosa import librosa

HOP_LENGTH = 2048
"""Samples between frames: 85 ms."""


def num_frames(num_samples: int) -> int:
    """Frames of a waveform; frame n is centred at n * `HOP_LENGTH`."""
    return 1 + num_samples // HOP_LENGTH


def chroma(waveform_N: NDArray[np.float32]) -> NDArray[np.float64]:
    """Chroma by `librosa.feature.chroma_cqt`, each frame of Euclidean norm 1, and 0 where it is silent.

    Args:
        waveform_N: Mono, at `SAMPLE_RATE`.

    Returns:
        (T, 12), from C upwards.
    """
    with warnings.catch_warnings():
        # Where nothing has a pitch it takes the tuning for that of A 440, which is all one can do.
        warnings.filterwarnings("ignore", "Trying to estimate tuning from empty frequency set", UserWarning)
        chroma_PT = librosa().feature.chroma_cqt(y=filled(waveform_N), sr=SAMPLE_RATE, hop_length=HOP_LENGTH, norm=None)
    return unit_rows(chroma_PT[:, : num_frames(len(waveform_N))].T.astype(np.float64))


def unit_rows(values_TD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of Euclidean norm 1; a row of zeros stays one."""
    norms_T1 = np.linalg.norm(values_TD, axis=1, keepdims=True)
    return np.divide(values_TD, norms_T1, out=np.zeros_like(values_TD), where=norms_T1 > 1e-9)
