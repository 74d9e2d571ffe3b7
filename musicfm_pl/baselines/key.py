"""Keys by profiles: the key whose notes are distributed as those of the song."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline
from musicfm_pl.baselines.chroma import chroma
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.key import KEYS, Key

_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
"""How well each note fits a key, from the tonic upwards, as listeners rated it: Krumhansl & Kessler,
Psychological Review 89(4), 1982."""


@final
class KeyProfiles(Baseline):
    """One key for the whole song: the one with which its mean chroma correlates most.

    The algorithm of Krumhansl and Schmuckler (Krumhansl, Cognitive Foundations of Musical Pitch, 1990, chapter 4),
    with chroma in place of the durations of notes.
    """

    head: ClassVar[type[Head]] = Key
    name: ClassVar[str] = "Krumhansl key"
    source: ClassVar[str] = (
        "Krumhansl-Schmuckler with Krumhansl-Kessler profiles on the mean of librosa.feature.chroma_cqt; one key a song"
    )

    def judge(self) -> Head:
        """See `Baseline.judge`."""
        return Key(dim=1)

    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """The key of the song, also as the only local key; C major where all is silent."""
        mean_P = chroma(waveform_N).mean(axis=0)
        profiles_KP = np.stack([np.roll(profile, tonic) for profile in (_MAJOR, _MINOR) for tonic in range(12)])
        # Pearson's correlation, up to the spread of the chroma, which is the same for every key.
        centred_KP = profiles_KP - profiles_KP.mean(axis=1, keepdims=True)
        fit_K = (centred_KP / centred_KP.std(axis=1, keepdims=True)) @ (mean_P - mean_P.mean())
        key = KEYS[int(fit_K.argmax())]
        return Estimate(Spans.of([(0.0, len(waveform_N) / SAMPLE_RATE, key)]), whole=key)
