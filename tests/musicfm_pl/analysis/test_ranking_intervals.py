"""Intervals of average precision in a world whose truth is known: a track that is drawn twice is no second track."""

from __future__ import annotations

import numpy as np
import pytest

from musicfm_pl.analysis.intervals import Sampled, effect
from musicfm_pl.analysis.remake import Ranked
from musicfm_pl.results import TrackResult

TAGS = tuple("abcdefgh")
NUM_WORKS = 30
WORLDS = 40


def drawn_set(rng: np.random.Generator, skill: float = 1.5) -> Ranked:
    """Works with rare tags, whose probabilities know something of them."""
    truth = rng.random((NUM_WORKS, len(TAGS))) < 0.1
    truth[0], truth[1] = True, False  # each tag is defined
    heard = skill * truth + rng.normal(size=truth.shape) + 0.3 * rng.normal(size=(NUM_WORKS, 1))
    probabilities = 1 / (1 + np.exp(-heard))
    tracks = [
        TrackResult(f"t{i}", f"w{i}", {}, {}, {t: (float(p), int(y)) for t, p, y in zip(TAGS, *of, strict=True)})
        for i, of in enumerate(zip(probabilities, truth, strict=True))
    ]
    return Ranked(tracks, TAGS, precision=True)


def test_an_interval_lies_about_the_truth_and_covers_it() -> None:
    """The truth is what test sets of so many works give on average; percentiles as drawn lie 0.04 above it."""
    rng = np.random.default_rng(1)
    truth = float(np.mean([drawn_set(rng).figure() for _ in range(400)]))
    found = [Sampled({0: drawn_set(rng)}).interval for _ in range(WORLDS)]
    bounds = np.array([(one.low, one.high) for one in found if one is not None])
    assert len(bounds) == WORLDS
    assert bounds.mean() == pytest.approx(truth, abs=0.02)
    covered = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
    assert covered >= 0.85


def test_resamples_of_a_difference_lie_about_the_difference() -> None:
    """The worse of two gains more by what is drawn twice: without correction their difference shrinks."""
    worse, better = (Sampled({0: drawn_set(np.random.default_rng(2), skill)}) for skill in (0.5, 3.0))
    found = effect(worse, better)
    assert found is not None and found.resamples_R is not None
    assert found.value > 0.2
    assert found.resamples_R.mean() == pytest.approx(found.value)
