"""librosa's beat tracker: dynamic programming over onset strength at one tempo."""

from __future__ import annotations

from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline, filled
from musicfm_pl.baselines.with_librosa import librosa
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat


@final
class LibrosaBeats(Baseline):
    """`librosa.beat.beat_track` with its own defaults (Ellis, Journal of New Music Research 36(1), 2007).

    It knows no downbeats.

    Args:
        start_bpm: The tempo it expects, in beats a minute (librosa's).
        tightness: How much it prefers a steady tempo (librosa's).
        earlier_s: By how much its beats are moved towards the start, in seconds. Its onset strength rises after
            a soft attack has begun: on training and validation excerpts of `dcml` its beats lie 46 ms
            (the median) behind those of the score, of the 70 ms that F allows.
    """

    head: ClassVar[type[Head]] = Beat
    name: ClassVar[str] = "librosa beat tracker"
    source: ClassVar[str] = "librosa.beat.beat_track (Ellis 2007), which knows no downbeats"
    not_estimated: ClassVar[tuple[str, ...]] = ("downbeat_",)

    def __init__(self, start_bpm: float = 120.0, tightness: float = 100.0, earlier_s: float = 0.0) -> None:
        if start_bpm <= 0 or tightness <= 0:
            raise ValueError(f"method: start_bpm and tightness must be positive, got {start_bpm} and {tightness}")
        self.start_bpm = start_bpm
        self.tightness = tightness
        self.earlier_s = earlier_s

    def judge(self) -> Head:
        """See `Baseline.judge`."""
        return Beat(dim=1)

    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """Beats whose position in the bar is "?"; none where it hears no onset."""
        # Its autocorrelation of onset strength warns of a signal without any.
        if not np.any(waveform_N):
            return Estimate(Spans.of([]))
        _, times_s = librosa().beat.beat_track(
            y=filled(waveform_N), sr=SAMPLE_RATE, start_bpm=self.start_bpm, tightness=self.tightness, units="time"
        )
        times_s = times_s - self.earlier_s
        times_s = times_s[(times_s >= 0) & (times_s <= len(waveform_N) / SAMPLE_RATE)]
        return Estimate(Spans.events(times_s, ["?"] * len(times_s)))
