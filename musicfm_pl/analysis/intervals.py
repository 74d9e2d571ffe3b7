"""How sure a figure is, and a difference between two: bootstrap over works and seeds, sign flips over works."""

from __future__ import annotations

import functools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from musicfm_pl.analysis.remake import Sample, sample
from musicfm_pl.results import RunResult, TrackResult

NUM_RESAMPLES = 4000
NUM_FLIPS = 9999
LEVEL = 0.95
ALPHA = 0.05
MIN_GROUPS = 6
"""With five groups even differences of one sign have p = 2 / 2^5 > 0.05: fewer than six say nothing surely."""
_SEED = 2311_03318
"""Of everything drawn here: the number of the study on arXiv."""


@dataclass(frozen=True)
class Interval:
    """Where a figure lies with 95 % confidence.

    Attributes:
        num_groups: Works or songs that were resampled.
        num_seeds: Seeds that were; one says nothing of the spread between seeds.
    """

    low: float
    high: float
    num_groups: int
    num_seeds: int


@dataclass(frozen=True)
class Effect:
    """A difference between two models in one figure on the same tracks, or a mean of such differences.

    Attributes:
        value: Second minus first, means over seeds.
        num_groups: The fewest that any part of it rests on.
        num_seeds: Likewise.
        groups: Of its shares.
        resamples_R: Of the value, over groups and seeds; None for figures that have none, such as published ones.
        shares_G: What each group adds to the value; None where it is no sum over groups.
    """

    value: float
    num_groups: int = 0
    num_seeds: int = 0
    groups: tuple[str, ...] = ()
    resamples_R: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)
    shares_G: NDArray[np.float64] | None = field(default=None, repr=False, compare=False)

    @functools.cached_property
    def interval(self) -> Interval | None:
        """Over groups and seeds; None below six groups."""
        return None if self.resamples_R is None else interval_of(self.resamples_R, self.num_groups, self.num_seeds)

    @functools.cached_property
    def p(self) -> float | None:
        """Two-sided, not corrected; None where there is no interval.

        The larger of two. Sign flips over groups, for models as they were trained: if two are alike, the difference
        of each group might as well have the other sign; figures that rank the whole set (mAP, ROC-AUC) are no sums
        over groups and have none. And the share of resamples over groups and seeds with the other sign, doubled.
        """
        if self.interval is None or self.resamples_R is None:
            return None
        both = resampled_p(self.resamples_R)
        return both if self.shares_G is None else max(both, sign_flip_p(self.shares_G))

    def holds(self, adjusted_p: float | None) -> bool:
        """Whether it differs from 0, corrected for many comparisons, and its interval says so."""
        interval = self.interval
        if adjusted_p is None or interval is None:
            return False
        return adjusted_p < ALPHA and not interval.low <= 0 <= interval.high


def mean_effect(effects: Sequence[Effect]) -> Effect:
    """The mean of several effects, resampled together: what rests on the same groups or seeds varies alike."""
    resamples = [e.resamples_R for e in effects if e.resamples_R is not None]
    shares = [e.shares_G for e in effects if e.shares_G is not None and e.groups == effects[0].groups]
    return Effect(
        value=float(np.mean([e.value for e in effects])),
        num_groups=min(e.num_groups for e in effects),
        num_seeds=min(e.num_seeds for e in effects),
        groups=effects[0].groups,
        resamples_R=np.mean(resamples, axis=0) if len(resamples) == len(effects) else None,
        shares_G=np.mean(shares, axis=0) if len(shares) == len(effects) else None,
    )


class Sampled:
    """A figure over seeds, with its resamples.

    Every row of a table is resampled alike: the same groups and, where two rows have the same seeds, the same
    seeds. So differences between rows are paired.

    Args:
        by_seed: The figure of each seed in a form that can be made again; on the same tracks.
    """

    def __init__(self, by_seed: Mapping[int | None, Sample]) -> None:
        self.seeds = tuple(sorted(by_seed, key=lambda seed: -1 if seed is None else seed))
        self.samples = tuple(by_seed[seed] for seed in self.seeds)
        first = self.samples[0]
        assert all(other.track_ids == first.track_ids for other in self.samples)
        self.groups, self.track_ids = first.groups, first.track_ids

    @functools.cached_property
    def value(self) -> float:
        """The mean over seeds."""
        return float(np.mean([sample.figure() for sample in self.samples]))

    @functools.cached_property
    def resamples(self) -> NDArray[np.float64]:
        """The mean over seeds (R,), over groups drawn with replacement and over seeds that might have been.

        Seeds are too few to be drawn with replacement: three drawn from three vary too little, and their percentiles
        are no better than the three. What the mean might be with other seeds is drawn from Student's t instead, with
        their own spread and one degree of freedom less than there are: its interval over seeds alone is that of the
        t-test. Each draw weighs the seeds' deviations, with the same weights in every row that has these seeds.
        """
        figures_SR = np.stack([sample.resamples(group_counts(self.groups)) for sample in self.samples])
        mean_R: NDArray[np.float64] = figures_SR.mean(axis=0)
        size = len(self.seeds)
        if size == 1:
            return mean_R
        draws = _generator("seeds", self.seeds)
        normal_RS, chi_R = draws.normal(size=(NUM_RESAMPLES, size)), draws.chisquare(size - 1, size=NUM_RESAMPLES)
        # A sum of normal draws times deviations has S - 1 variances; a mean of S seeds has one in S.
        weights_RS = normal_RS / np.sqrt(size * chi_R)[:, None]
        moved: NDArray[np.float64] = mean_R + (weights_RS * (figures_SR - mean_R).T).sum(axis=1)
        return moved

    @property
    def interval(self) -> Interval | None:
        """Of the mean over seeds; None below six groups."""
        return interval_of(self.resamples, len(self.groups), len(self.seeds))

    def shares(self) -> NDArray[np.float64] | None:
        """What each group adds to the mean over seeds, (G,); None for figures that are no sum over groups."""
        shares = [sample.shares() for sample in self.samples]
        return None if any(s is None for s in shares) else np.mean([s for s in shares if s is not None], axis=0)


def sampled(runs: Sequence[RunResult], metric: str) -> Sampled | None:
    """A figure of one row from its runs, a run a seed.

    Returns:
        None if a run lacks the figure, or it cannot be made again, or the runs are of different tracks.
    """
    return sampled_tracks({run.seed: (run.tracks, run.summary.get(metric)) for run in runs}, metric)


def sampled_tracks(
    tracks: Mapping[int | None, tuple[Sequence[TrackResult], float | None]], metric: str
) -> Sampled | None:
    """The same from the tracks of each seed, and the figure that they give."""
    by_seed = {seed: sample(of_seed, metric, figure) for seed, (of_seed, figure) in tracks.items()}
    known = {seed: found for seed, found in by_seed.items() if found is not None}
    same = len({(found.track_ids, found.groups) for found in known.values()}) == 1
    return Sampled(known) if same and len(known) == len(by_seed) else None


def apart(first: Sampled | None, second: Sampled | None) -> Interval | None:
    """The interval of second minus first where they are of other works, drawn each for itself; seeds are paired."""
    if first is None or second is None:
        return None
    fewest = min(len(first.groups), len(second.groups)), min(len(first.seeds), len(second.seeds))
    return interval_of(second.resamples - first.resamples, *fewest)


def effect(first: Sampled | None, second: Sampled | None) -> Effect | None:
    """Second minus first; None if a figure cannot be made again, or they are not of the same tracks."""
    if first is None or second is None or (first.track_ids, first.groups) != (second.track_ids, second.groups):
        return None
    ours, theirs = second.shares(), first.shares()
    drawn = [len(one.seeds) for one in (first, second) if None not in one.seeds]
    return Effect(
        value=second.value - first.value,
        num_groups=len(first.groups),
        # What draws nothing would be the same with every seed.
        num_seeds=min(drawn, default=1),
        groups=first.groups,
        resamples_R=second.resamples - first.resamples,
        shares_G=None if ours is None or theirs is None else ours - theirs,
    )


def interval_of(resamples_R: NDArray[np.float64], num_groups: int, num_seeds: int) -> Interval | None:
    """Percentiles of resamples; None below six groups, or where a tenth of the resamples has no figure."""
    known = resamples_R[np.isfinite(resamples_R)]
    if num_groups < MIN_GROUPS or len(known) < 0.9 * len(resamples_R):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high), num_groups, num_seeds)


def resampled_p(differences_R: NDArray[np.float64]) -> float:
    """Two-sided p-value of a difference from its resamples: how often it has the other sign, doubled."""
    known = differences_R[np.isfinite(differences_R)]
    smaller = min(int((known <= 0).sum()), int((known >= 0).sum()))
    return min(1.0, 2 * (smaller + 1) / (len(known) + 1))


def sign_flip_p(differences_G: NDArray[np.float64]) -> float:
    """Two-sided p-value of a sum of paired differences by flips of their signs.

    All flips up to 13 groups, beyond that 9999 at random (of `scipy.stats.permutation_test` the paired kind, with the
    flips drawn once for all comparisons of a table).
    """
    flips_RG = _flips(len(differences_G))
    sum_ = abs(differences_G.sum())
    # Sums in another order differ in the last digit.
    as_far = int((np.abs(flips_RG @ differences_G) >= sum_ - 1e-12 * np.abs(differences_G).sum()).sum())
    exact = len(flips_RG) == 2 ** len(differences_G)
    return as_far / len(flips_RG) if exact else (as_far + 1) / (len(flips_RG) + 1)


@functools.lru_cache(maxsize=4)
def _flips(size: int) -> NDArray[np.float64]:
    if 2**size <= NUM_FLIPS:
        bits_RG = (np.arange(2**size)[:, None] >> np.arange(size)) & 1
    else:
        bits_RG = _generator("flips", size).integers(2, size=(NUM_FLIPS, size))
    return 1.0 - 2.0 * bits_RG.astype(np.float64)


def adjusted(ps: Sequence[float]) -> list[float]:
    """p-values corrected for many comparisons by Benjamini and Hochberg: of what is below 0.05, 5 % may be wrong."""
    return [float(p) for p in stats.false_discovery_control(ps)] if ps else []


@functools.lru_cache(maxsize=8)
def group_counts(groups: tuple[str, ...]) -> NDArray[np.int64]:
    """How often each group is drawn in each resample, (R, G): the same for all rows that have these groups."""
    size = len(groups)
    return _generator("groups", groups).multinomial(size, np.full(size, 1 / size), size=NUM_RESAMPLES)


def _generator(*of: object) -> np.random.Generator:
    """Draws of its own for each purpose, the same in every process."""
    return np.random.default_rng([_SEED, zlib.crc32(repr(of).encode())])
