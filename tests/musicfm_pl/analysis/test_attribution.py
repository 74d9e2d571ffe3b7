"""Shares of variance: by hand where runs are balanced, and refused where the runs cannot tell."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest

from musicfm_pl.analysis.attribution import attribution
from musicfm_pl.analysis.factors import Level
from musicfm_pl.attribution_plot import plot
from musicfm_pl.standings import FIGURES

BEAT = FIGURES[0]
Runs = list[tuple[Mapping[str, Level], float]]


def grid(seeds: int = 3, joint: float = 0.0) -> Runs:
    """Three rates and two lengths; the length adds 0.2, and at 75 Hz `joint` more."""
    rng = np.random.default_rng(0)
    return [
        (
            {"rate": rate, "length": length, "encoder": "Conformer"},
            0.2 * (length == 30.0) + joint * (length == 30.0) * (rate == 75.0) + rng.normal(0, 0.02),
        )
        for rate, length, _ in itertools.product((25.0, 50.0, 75.0), (5.0, 30.0), range(seeds))
    ]


def test_shares_are_sums_of_squares() -> None:
    pytest.importorskip("statsmodels")
    runs = grid(joint=0.1)
    found = attribution("dcml", BEAT, runs)
    values = np.array([value for _, value in runs]).reshape(3, 2, 3)
    grand, total = values.mean(), ((values - values.mean()) ** 2).sum()
    by_rate, by_length = values.mean(axis=(1, 2)), values.mean(axis=(0, 2))
    joint = values.mean(axis=2) - by_rate[:, None] - by_length[None] + grand
    expected = {
        ("rate",): 6 * ((by_rate - grand) ** 2).sum() / total,
        ("length",): 9 * ((by_length - grand) ** 2).sum() / total,
        ("rate", "length"): 3 * (joint**2).sum() / total,
    }
    assert {share.of: share.share for share in found.shares} == pytest.approx(expected)
    assert found.residual == pytest.approx(1 - sum(expected.values()))
    assert found.levels == {"rate": ("25 Hz", "50 Hz", "75 Hz"), "length": ("5 s", "30 s")}
    assert {share.of: share.p < 0.01 for share in found.shares}[("length",)]
    assert not found.refused and not found.left_out
    assert "length" in plot([found]) and "rest" in plot([found])


def test_factors_that_vary_together_are_refused_by_name() -> None:
    runs: Runs = [({"rate": 25.0, "encoder": "A"} if i % 2 else {"rate": 50.0, "encoder": "B"}, i) for i in range(10)]
    found = attribution("dcml", BEAT, runs)
    assert "encoder and rate vary together" in found.refused
    assert found.shares == () and found.residual is None


def test_too_few_runs_are_refused() -> None:
    found = attribution("dcml", BEAT, grid(seeds=1))
    assert found.refused == "too few runs: 6, but rate, length need at least 8; add seeds"
    assert attribution("dcml", BEAT, [({"rate": 25.0}, 0.1)] * 9).refused == "no factor varies"
    same: Runs = [(factors, 0.5) for factors, _ in grid()]
    assert attribution("dcml", BEAT, same).refused == "all runs have the same value"


def test_pairs_that_were_not_all_run_are_left_out() -> None:
    pytest.importorskip("statsmodels")
    runs = [run for run in grid() if (run[0]["rate"], run[0]["length"]) != (75.0, 30.0)]
    found = attribution("dcml", BEAT, runs)
    assert [share.of for share in found.shares] == [("rate",), ("length",)]
    assert found.left_out == ("rate × length: not all combinations were run",)


def test_the_order_of_runs_does_not_count() -> None:
    pytest.importorskip("statsmodels")
    runs = grid(joint=0.1)
    mixed = [runs[i] for i in np.random.default_rng(1).permutation(len(runs))]
    one, other = attribution("dcml", BEAT, runs), attribution("dcml", BEAT, mixed)
    assert [s.share for s in one.shares] == pytest.approx([s.share for s in other.shares])
