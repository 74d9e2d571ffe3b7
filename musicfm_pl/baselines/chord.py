"""Chords by templates: the triad whose notes the chroma resembles most, smoothed over time."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from data_modules import SAMPLE_RATE
from musicfm_pl.baselines.base import Baseline
from musicfm_pl.baselines.chroma import HOP_LENGTH, chroma, unit_rows
from musicfm_pl.baselines.with_librosa import librosa
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.chord_vocabulary import ChordVocabulary
from musicfm_pl.heads.timeline import runs
from musicfm_pl.heads.viterbi import sticky_viterbi

_VOCABULARY = ChordVocabulary("majmin")
_TRIADS = ((0, 4, 7), (0, 3, 7))
"""Semitones above the root, in the vocabulary's order of qualities."""


@final
class ChordTemplates(Baseline):
    """24 binary templates of major and minor triads on chroma (Fujishima, ICMC 1999), and N where it is silent.

    The likelihood of a triad is exponential in the cosine of the angle between its template and the chroma; a
    Viterbi decoder with a self-transition weight smooths over time. The two settings were chosen on 20 training
    excerpts of `dcml`, where any between half and twice of them give the same within .025.

    Args:
        sharpness: Factor of the cosine in the exponent.
        self_transition: Probability to stay in a chord from one frame to the next (85 ms).
        silence_db: Frames so far below the loudest have no chord.
    """

    head: ClassVar[type[Head]] = Chord
    name: ClassVar[str] = "chroma templates"
    source: ClassVar[str] = (
        "24 binary triad templates on librosa.feature.chroma_cqt (Fujishima 1999), N by energy, Viterbi smoothing"
    )

    def __init__(self, sharpness: float = 20.0, self_transition: float = 0.97, silence_db: float = 40.0) -> None:
        if not 1 / len(_VOCABULARY) <= self_transition < 1:
            raise ValueError(f"method.self_transition must lie in [1 / {len(_VOCABULARY)}, 1), got {self_transition}")
        if sharpness <= 0 or silence_db <= 0:
            raise ValueError(f"method: sharpness and silence_db must be positive, got {sharpness} and {silence_db}")
        self.sharpness = sharpness
        self.self_transition = self_transition
        self.silence_db = silence_db

    def judge(self) -> Head:
        """See `Baseline.judge`."""
        return Chord(dim=1)

    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """Major and minor triads and N, without a gap."""
        templates_KP = np.zeros((24, 12))
        for quality, steps in enumerate(_TRIADS):
            for root in range(12):
                templates_KP[12 * quality + root, (root + np.array(steps)) % 12] = 1.0
        cosine_TK = chroma(waveform_N) @ unit_rows(templates_KP).T
        # N is as sure of a silent frame as a triad can be of one in tune.
        likeness_TK = np.column_stack([cosine_TK, self._is_silent(waveform_N)[: len(cosine_TK)]])
        log_likelihood_TK = log_softmax(self.sharpness * likeness_TK, axis=1)
        path_T = sticky_viterbi(log_likelihood_TK, self.self_transition)
        return Estimate(runs(path_T, _VOCABULARY.labels, SAMPLE_RATE / HOP_LENGTH, len(waveform_N) / SAMPLE_RATE))

    def _is_silent(self, waveform_N: NDArray[np.float32]) -> NDArray[np.bool_]:
        rms_T = librosa().feature.rms(y=waveform_N, frame_length=2 * HOP_LENGTH, hop_length=HOP_LENGTH)[0]
        return rms_T <= rms_T.max() * 10 ** (-self.silence_db / 20)
