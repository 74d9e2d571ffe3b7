"""Sections by novelty: a checkerboard slides along the diagonal of a self-similarity matrix."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline, filled
from musicfm_pl.baselines.chroma import HOP_LENGTH, chroma, unit_rows
from musicfm_pl.baselines.with_librosa import librosa
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.peaks import prominent_peaks
from musicfm_pl.heads.structure import Structure

_POOLED = 6
"""Frames of chroma that become one: half a second, the resolution that HR.5 asks for."""
_RATE_HZ = SAMPLE_RATE / HOP_LENGTH / _POOLED
_NUM_MFCC = 20
"""librosa's."""


@final
class CheckerboardSections(Baseline):
    """Boundaries where both harmony and timbre change (Foote, ICME 2000).

    Frames of chroma and of MFCC are compared by the cosine of their angle, and both similarities averaged; the
    novelty of a moment is the correlation with a checkerboard, tapered by a Gaussian, that is centred there.
    Boundaries are its peaks, picked as the structure head picks those of its activation. The sections have no
    labels: each is called differently.

    Args:
        kernel_s: How far the checkerboard reaches to each side, in seconds.
        peak_s: A boundary has the largest novelty within so many seconds.
        surroundings_s: It must exceed the mean novelty within so many seconds.
        threshold: By how much it must, as a share of the largest novelty of the track.
    """

    head: ClassVar[type[Head]] = Structure
    name: ClassVar[str] = "checkerboard novelty"
    source: ClassVar[str] = "Foote's checkerboard novelty (2000) on chroma and MFCC of librosa; boundaries, no labels"

    def __init__(
        self,
        kernel_s: float = 16.0,
        peak_s: float = 6.0,
        surroundings_s: float = 12.0,
        threshold: float = 0.1,
    ) -> None:
        if min(kernel_s, peak_s, surroundings_s) <= 0:
            raise ValueError(
                f"method: kernel_s, peak_s and surroundings_s must be positive, got {kernel_s}, {peak_s} and "
                f"{surroundings_s}"
            )
        self.kernel_frames = max(1, round(kernel_s * _RATE_HZ))
        self.peak_frames = max(1, round(peak_s * _RATE_HZ))
        self.surrounding_frames = max(1, round(surroundings_s * _RATE_HZ))
        self.threshold = threshold

    def judge(self) -> Head:
        """See `Baseline.judge`; it is told that the labels mean nothing."""
        head = Structure(dim=1)
        head.knows_functions.fill_(False)
        return head

    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """Sections from 0 to the end of the track."""
        duration_s = len(waveform_N) / SAMPLE_RATE
        chroma_TD = chroma(waveform_N)
        mfcc_DT = librosa().feature.mfcc(y=filled(waveform_N), sr=SAMPLE_RATE, n_mfcc=_NUM_MFCC, hop_length=HOP_LENGTH)
        novelty_T = self._novelty([_pooled(chroma_TD), _standardised(_pooled(mfcc_DT.T[: len(chroma_TD)]))])
        # Frames are pooled from their start: what changes at the start of one changes between it and the last.
        peaks = prominent_peaks(novelty_T, self.peak_frames, self.surrounding_frames, self.threshold)
        peaks_s = (peaks * _POOLED - 0.5) * HOP_LENGTH / SAMPLE_RATE
        edges_s = np.concatenate([[0.0], peaks_s[(peaks_s > 0) & (peaks_s < duration_s)], [duration_s]])
        labels = [f"S{number}" for number in range(1, len(edges_s))]
        return Estimate(Spans(edges_s[:-1], edges_s[1:], tuple(labels)))

    def _novelty(self, features: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """How much changes between the frames before each frame and those from it on, (T,), 1 at most."""
        reach = self.kernel_frames
        # The ends are mirrored: what lies beyond them is like what lies within.
        mirrored = [np.pad(unit_rows(one_TD), ((reach, reach), (0, 0)), mode="symmetric") for one_TD in features]
        at = np.arange(-reach, reach) + 0.5
        # Down to e^-2 at its corners' sides, as a Gaussian of half the reach.
        kernel_RR = np.outer(np.sign(at), np.sign(at)) * np.exp(-2.0 * np.add.outer(at**2, at**2) / reach**2)
        novelty_T = np.zeros(len(features[0]))
        for frame in range(len(novelty_T)):
            for one_TD in mirrored:
                window_RD = one_TD[frame : frame + 2 * reach]
                novelty_T[frame] += np.sum(kernel_RR * (window_RD @ window_RD.T))
        return novelty_T / max(float(novelty_T.max()), 1e-9)


def _pooled(values_TD: NDArray[np.floating]) -> NDArray[np.float64]:
    """Means of `_POOLED` frames in a row; the last may have fewer."""
    firsts = np.arange(0, len(values_TD), _POOLED)
    counts = np.diff(np.append(firsts, len(values_TD)))
    return np.add.reduceat(values_TD.astype(np.float64), firsts, axis=0) / counts[:, None]


def _standardised(values_TD: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean 0 and standard deviation 1 in each dimension; 0 where nothing changes."""
    spread_D = values_TD.std(axis=0)
    centred_TD = values_TD - values_TD.mean(axis=0)
    return np.divide(centred_TD, spread_D, out=np.zeros_like(centred_TD), where=spread_D > 1e-6)
