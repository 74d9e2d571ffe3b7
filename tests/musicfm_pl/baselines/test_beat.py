"""librosa's beats on clicks whose tempo is known."""

from __future__ import annotations

import numpy as np
import pytest

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.beat import LibrosaBeats

DURATION_S = 30.0
BEATS_S = np.arange(0.5, DURATION_S, 0.5)


def clicks() -> np.ndarray:
    """120 beats a minute: bursts of noise of 50 ms."""
    rng = np.random.default_rng(0)
    waveform_N = 1e-3 * rng.standard_normal(round(DURATION_S * SAMPLE_RATE))
    burst_N = 0.5 * rng.standard_normal(1200) * np.exp(-np.arange(1200) / 240)
    for first in np.round(BEATS_S * SAMPLE_RATE).astype(int):
        waveform_N[first : first + 1200] += burst_N
    return waveform_N.astype(np.float32)


def test_finds_clicks_and_claims_no_downbeats() -> None:
    method = LibrosaBeats()
    found = method.estimate(clicks())
    reference = Spans.events(BEATS_S, [str(n % 4 + 1) for n in range(len(BEATS_S))])
    summary = method.judge().score([reference], [found], [DURATION_S]).summary
    assert summary["beat_f"] is not None and summary["beat_f"] > 0.95
    assert set(found.spans.labels) == {"?"}


def test_is_moved_by_what_one_says() -> None:
    waveform_N = clicks()
    late_s, early_s = (LibrosaBeats(earlier_s=s).estimate(waveform_N).spans.starts_s for s in (0.0, 0.045))
    assert early_s[-10:] == pytest.approx(late_s[-10:] - 0.045)
    assert (LibrosaBeats(earlier_s=10.0).estimate(waveform_N).spans.starts_s >= 0).all()


def test_refuses_what_is_no_tempo() -> None:
    with pytest.raises(ValueError, match="start_bpm and tightness must be positive, got 0 and 100"):
        LibrosaBeats(start_bpm=0)
