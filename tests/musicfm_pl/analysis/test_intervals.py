"""Intervals and p-values: against scipy and torchmetrics, and in worlds whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from musicfm_pl.analysis.intervals import (
    Effect,
    Sampled,
    adjusted,
    effect,
    group_counts,
    interval_of,
    mean_effect,
    resampled_p,
    sign_flip_p,
)
from musicfm_pl.analysis.remake import Mean, Ranked, Sample, sample
from musicfm_pl.results import TrackResult


def mean_of(values: list[float], group_size: int = 1) -> Mean:
    tracks = [TrackResult(f"t{i}", f"g{i // group_size:03}", {"m": value}) for i, value in enumerate(values)]
    return Mean(tracks, "m", weighted=False)


def ones(found: Sample) -> float:
    return float(found.figures(np.ones((1, len(found.groups)), dtype=np.int64))[0])


def tagged(rng: np.random.Generator, number: int = 40, digits: int = 1) -> list[TrackResult]:
    """Tracks with two tags, whose probabilities are often tied."""
    return [
        TrackResult(
            f"t{i}", f"g{i // 2}", {}, {}, {tag: (round(rng.random(), digits), int(rng.random() < 0.4)) for tag in "xy"}
        )
        for i in range(number)
    ]


def test_rankings_are_torchmetrics_whatever_is_tied() -> None:
    tracks = tagged(np.random.default_rng(0))
    figures = (("map", "ap", binary_average_precision), ("roc_auc", "auc", binary_auroc))
    for mean, single, oracle in figures:
        expected = {
            tag: float(
                oracle(torch.tensor([t.tags[tag][0] for t in tracks]), torch.tensor([t.tags[tag][1] for t in tracks]))
            )
            for tag in "xy"
        }
        assert ones(Ranked(tracks, ["x", "y"], single == "ap")) == pytest.approx(np.mean(list(expected.values())), 1e-6)
        assert sample(tracks, f"{single}/x", expected["x"]) is not None
        assert sample(tracks, mean, sum(expected.values()) / 2) is not None
        assert sample(tracks, mean, 0.123) is None, "a figure that the tracks do not give again has no interval"


def test_a_group_that_counts_twice_is_there_twice() -> None:
    rng = np.random.default_rng(1)
    tracks = tagged(rng, 12)
    counts = rng.integers(0, 4, size=6)
    again = [
        TrackResult(f"{t.track_id}/{copy}", t.group, {}, {}, t.tags)
        for t in tracks
        for copy in range(counts[int(t.group[1:])])
    ]
    for precision in (True, False):
        (counted,) = Ranked(tracks, ["x", "y"], precision).figures(counts[None])
        assert counted == pytest.approx(ones(Ranked(again, ["x", "y"], precision)))


def test_a_tag_that_all_have_or_none_is_left_out_of_a_resample() -> None:
    tracks = [TrackResult(f"t{i}", f"g{i}", {}, {}, {"x": (i / 4, int(i == 3)), "y": (0.5, 1)}) for i in range(4)]
    found = Ranked(tracks, ["x", "y"], precision=True).figures(np.array([[1, 1, 1, 1], [1, 1, 1, 0]]))
    assert found[0] == 1.0
    assert np.isnan(found[1])


def test_pooled_figures_weigh_tracks() -> None:
    tracks = [
        TrackResult("a", "a", {"m": 0.5}, {"m": 30.0}),
        TrackResult("b", "b", {"m": 1.0}, {"m": 10.0}),
        TrackResult("c", "c", {"m": None}, {"m": 10.0}),
    ]
    found = sample(tracks, "m", 0.5)
    assert found is not None and ones(found) == 0.5
    assert found.figures(np.array([[0, 1, 0], [0, 0, 0]]))[0] == 1.0
    assert np.isnan(found.figures(np.array([[0, 0, 0]]))[0])
    assert found.shares() == pytest.approx([0.3, 0.2, 0.0])
    unweighted = [TrackResult(t.track_id, t.group, t.metrics) for t in tracks]
    assert sample(unweighted, "m", 0.5) is None, "pooled by seconds, but nobody kept the seconds"
    assert sample(unweighted, "m", 0.75) is not None, "a mean over the tracks that have it"


def test_an_interval_over_works_is_scipys() -> None:
    values = np.random.default_rng(2).gamma(2.0, size=60)
    found = Sampled({0: mean_of(values.tolist())}).interval
    oracle = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=0).confidence_interval
    assert found is not None and (found.num_groups, found.num_seeds) == (60, 1)
    assert found.low == pytest.approx(oracle.low, abs=0.05)
    assert found.high == pytest.approx(oracle.high, abs=0.05)


def test_works_are_drawn_and_not_excerpts() -> None:
    values = np.random.default_rng(3).normal(size=20)
    once = Sampled({0: mean_of(values.tolist())}).interval
    four_times = Sampled({0: mean_of(np.repeat(values, 4).tolist(), group_size=4)}).interval
    assert once is not None and four_times is not None
    assert four_times.high - four_times.low == pytest.approx(once.high - once.low, rel=0.1)
    as_if_independent = Sampled({0: mean_of(np.repeat(values, 4).tolist())}).interval
    assert as_if_independent is not None
    assert as_if_independent.high - as_if_independent.low < 0.6 * (once.high - once.low)


@pytest.mark.parametrize("number", [2, 3, 5])
def test_an_interval_over_seeds_alone_is_students(number: int) -> None:
    levels = np.random.default_rng(number).normal(0.5, 0.1, size=number)
    # Every work alike: nothing but seeds varies.
    found = Sampled({seed: mean_of([level] * 8) for seed, level in enumerate(levels)}).interval
    low, high = stats.t.interval(0.95, number - 1, levels.mean(), stats.sem(levels))
    assert found is not None
    assert found.high - found.low == pytest.approx(high - low, rel=0.25)
    assert (found.low + found.high) / 2 == pytest.approx(levels.mean(), abs=0.1 * (high - low))


def test_differences_are_paired_by_work_and_by_seed() -> None:
    rng = np.random.default_rng(4)
    ease, luck = rng.normal(size=30), rng.normal(size=3)
    one = Sampled({s: mean_of((ease + luck[s] + rng.normal(0, 0.01, 30)).tolist()) for s in range(3)})
    other = Sampled({s: mean_of((ease + luck[s] + 0.05 + rng.normal(0, 0.01, 30)).tolist()) for s in range(3)})
    found = effect(one, other)
    assert found is not None and found.interval is not None and one.interval is not None
    assert found.value == pytest.approx(0.05, abs=0.01)
    assert found.interval.high - found.interval.low < 0.05 * (one.interval.high - one.interval.low)
    assert found.p is not None and found.holds(found.p)
    back = effect(other, one)
    assert back is not None and back.value == -found.value and back.p == pytest.approx(found.p)


def test_rows_that_do_not_differ_are_seldom_said_to() -> None:
    rng = np.random.default_rng(5)
    claimed = 0
    for _ in range(60):
        ease = rng.normal(size=12)
        rows = [
            Sampled({s: mean_of((ease + rng.normal(0, 0.3) + rng.normal(0, 0.2, 12)).tolist()) for s in range(3)})
            for _ in range(2)
        ]
        found = effect(*rows)
        assert found is not None and found.p is not None
        claimed += found.p < 0.05
    # Sign flips alone, which know nothing of other seeds, would say so in half of them.
    assert claimed <= 6


def test_other_tracks_are_not_compared_and_few_works_say_nothing() -> None:
    assert effect(Sampled({0: mean_of([0.1] * 8)}), Sampled({0: mean_of([0.1] * 9)})) is None
    assert effect(None, Sampled({0: mean_of([0.1] * 8)})) is None
    five = Sampled({0: mean_of([0.1, 0.2, 0.3, 0.4, 0.5])})
    assert five.interval is None
    found = effect(five, Sampled({0: mean_of([0.2, 0.3, 0.4, 0.5, 0.6])}))
    assert found is not None and found.interval is None and found.p is None and not found.holds(None)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=6, max_size=9))
def test_exact_sign_flips_are_scipys(values: list[float]) -> None:
    differences = np.round(np.array(values), 3)
    oracle = stats.permutation_test(
        (differences,),
        lambda x, axis: x.sum(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert sign_flip_p(differences) == pytest.approx(min(1.0, float(oracle.pvalue)))


def test_random_sign_flips_are_near_the_t_test() -> None:
    differences = np.random.default_rng(6).normal(0.25, 1.0, size=80)
    assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)


def test_corrections_are_scipys_and_nothing_is_nothing() -> None:
    assert adjusted([]) == []
    assert adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])
    assert resampled_p(np.array([1.0, 2.0, np.nan, 3.0])) == pytest.approx(0.5)
    assert interval_of(np.full(10, np.nan), 20, 1) is None


def test_a_mean_of_effects_keeps_what_they_share() -> None:
    resamples = np.random.default_rng(7).normal(0.1, 0.02, size=500)
    one = Effect(0.1, 20, 3, ("a",), resamples, np.array([0.1]))
    both = mean_effect([one, one])
    assert both.value == pytest.approx(0.1) and both.interval == one.interval
    published = mean_effect([one, Effect(0.3)])
    assert published.value == pytest.approx(0.2) and published.interval is None and published.num_groups == 0


@given(st.permutations(range(12)))
@settings(max_examples=5, deadline=None)
def test_the_order_of_tracks_does_not_count(order: list[int]) -> None:
    values = np.linspace(0, 1, 12) ** 2
    tracks = [TrackResult(f"t{i:02}", f"g{i // 2}", {"m": float(values[i])}) for i in range(12)]
    straight = Sampled({0: Mean(tracks, "m", False)})
    mixed = Sampled({0: Mean([tracks[i] for i in order], "m", False)})
    assert mixed.track_ids == straight.track_ids
    np.testing.assert_allclose(mixed.resamples, straight.resamples)
    assert group_counts(mixed.groups) is group_counts(straight.groups)
