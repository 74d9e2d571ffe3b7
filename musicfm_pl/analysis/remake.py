"""Figures of a test set made again from its tracks, with some groups counted more often than others."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from musicfm_pl.results import TrackResult

_TOLERANCE = 1e-5
"""How far a figure that is made again may be from the recorded one: tagging is scored in single precision."""
_AT_ONCE = 4_000_000
"""Numbers in the largest array, so that thousands of tracks fit into memory."""


class Sample(abc.ABC):
    """One figure of one run, by the groups (works, songs) of its tracks.

    Attributes:
        groups: Names, sorted; G of them.
        track_ids: Of all tracks, sorted.
    """

    def __init__(self, tracks: Sequence[TrackResult]) -> None:
        self.groups = tuple(sorted({track.group for track in tracks}))
        self.track_ids = tuple(sorted(track.track_id for track in tracks))
        at = {group: index for index, group in enumerate(self.groups)}
        self._group_N = np.array([at[track.group] for track in tracks], dtype=np.int64)

    @abc.abstractmethod
    def figures(self, counts_RG: NDArray[np.int64]) -> NDArray[np.float64]:
        """The figure (R,) where group g counts as often as each row says; NaN where it is not defined."""

    @abc.abstractmethod
    def shares(self) -> NDArray[np.float64] | None:
        """What each group adds to the figure, (G,), in sum the figure; None if it is no sum over groups."""

    def figure(self) -> float:
        """The figure itself, where each group counts once."""
        return float(self.figures(np.ones((1, len(self.groups)), dtype=np.int64))[0])

    def resamples(self, counts_RG: NDArray[np.int64]) -> NDArray[np.float64]:
        """`figures` of groups drawn with replacement, about the figure itself.

        A ranking of such a draw is too good: a track that is drawn twice is ranked right beside itself, and average
        precision with rare tags is 0.05 higher than of as many different tracks. So all are moved by what their mean
        is off.
        """
        figures_R = self.figures(counts_RG)
        known_R = np.isfinite(figures_R)
        if self.shares() is None and known_R.any():
            figures_R = figures_R + (self.figure() - figures_R[known_R].mean())
        return figures_R


@final
class Mean(Sample):
    """A mean over tracks, weighted where tracks are pooled by seconds or by beats.

    Args:
        tracks: Of the run.
        metric: Its name.
        weighted: By the tracks' own weights, rather than one for each track that has the figure.
    """

    def __init__(self, tracks: Sequence[TrackResult], metric: str, weighted: bool) -> None:
        super().__init__(tracks)
        values_N = np.array([track.metrics.get(metric) for track in tracks], dtype=np.float64)
        weights_N = np.isfinite(values_N).astype(np.float64)
        if weighted:
            weights_N = np.array([track.weights.get(metric, 0.0) for track in tracks])
        values_N = np.nan_to_num(values_N)
        size = len(self.groups)
        self._sums_G = np.bincount(self._group_N, values_N * weights_N, size)
        self._weights_G = np.bincount(self._group_N, weights_N, size)

    def figures(self, counts_RG: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Sample.figures`."""
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = (counts_RG @ self._sums_G) / (counts_RG @ self._weights_G)
        return found

    def shares(self) -> NDArray[np.float64]:
        """See `Sample.shares`."""
        return self._sums_G / self._weights_G.sum()


@final
class Ranked(Sample):
    """Average precision or ROC-AUC of tags, each by itself or their mean; ties count as in scikit-learn.

    A tag that all tracks have, or none, is left out, as `heads.tagging` does.

    Args:
        tracks: Of the run, with `tags`.
        tags: Those that count.
        precision: Average precision, rather than ROC-AUC.
    """

    def __init__(self, tracks: Sequence[TrackResult], tags: Sequence[str], precision: bool) -> None:
        super().__init__(tracks)
        pairs_NK2 = np.array([[track.tags[tag] for tag in tags] for track in tracks], dtype=np.float64)
        self._probabilities_NK, self._truth_NK = pairs_NK2[..., 0], pairs_NK2[..., 1]
        self._precision = precision

    def figures(self, counts_RG: NDArray[np.int64]) -> NDArray[np.float64]:
        """See `Sample.figures`."""
        rows = max(1, _AT_ONCE // len(self._group_N))
        parts = [self._part(counts_RG[start : start + rows]) for start in range(0, len(counts_RG), rows)]
        return np.concatenate(parts)

    def _part(self, counts_RG: NDArray[np.int64]) -> NDArray[np.float64]:
        total_R, defined_R = np.zeros(len(counts_RG)), np.zeros(len(counts_RG))
        for probability_N, truth_N in zip(self._probabilities_NK.T, self._truth_NK.T, strict=True):
            order_N = np.argsort(-probability_N, kind="stable")
            sorted_N = probability_N[order_N]
            counts_RN = counts_RG[:, self._group_N[order_N]]
            # Where the block of equal probabilities of each place begins and ends.
            ends_N = np.searchsorted(-sorted_N, -sorted_N, side="right") - 1
            starts_N = np.searchsorted(-sorted_N, -sorted_N, side="left")
            hits_RN = counts_RN * truth_N[order_N]
            right_RN, all_RN = hits_RN.cumsum(axis=1), counts_RN.cumsum(axis=1)
            right_R, wrong_R = right_RN[:, -1], all_RN[:, -1] - right_RN[:, -1]
            with np.errstate(invalid="ignore", divide="ignore"):
                if self._precision:
                    precision_RN = np.nan_to_num(right_RN[:, ends_N] / all_RN[:, ends_N])
                    value_R = (hits_RN * precision_RN).sum(axis=1) / right_R
                else:
                    wrong_RN = np.pad(all_RN - right_RN, ((0, 0), (1, 0)))
                    below_RN = wrong_R[:, None] - (wrong_RN[:, ends_N + 1] + wrong_RN[:, starts_N]) / 2
                    value_R = (hits_RN * below_RN).sum(axis=1) / (right_R * wrong_R)
            known_R = (right_R > 0) & (wrong_R > 0)
            total_R += np.where(known_R, value_R, 0.0)
            defined_R += known_R
        with np.errstate(invalid="ignore"):
            return total_R / defined_R

    def shares(self) -> None:
        """A ranking is no sum over groups."""
        return


def sample(tracks: Sequence[TrackResult], metric: str, figure: float | None) -> Sample | None:
    """The form of a figure in which it can be made again.

    Args:
        tracks: Of the run; may be empty.
        metric: Name of the figure.
        figure: As it is recorded.

    Returns:
        None if the tracks do not give the recorded figure again: what was pooled over the set without a record of
        what each track weighs has no interval.
    """
    if figure is None or not tracks:
        return None
    candidates: list[Sample] = []
    # Of a pooled figure there is a mean over tracks, too, which weighs nothing.
    by_track = metric.removesuffix("_by_track")
    if by_track != metric and any(track.metrics.get(by_track) is not None for track in tracks):
        candidates.append(Mean(tracks, by_track, weighted=False))
    if any(track.metrics.get(metric) is not None for track in tracks):
        weighted = any(metric in track.weights for track in tracks)
        candidates.append(Mean(tracks, metric, weighted))
    kind, _, tag = metric.partition("/")
    tags = [tag] if tag else sorted(tracks[0].tags)
    if kind in ("map", "roc_auc", "ap", "auc") and all(track.tags.keys() >= set(tags) for track in tracks) and tags:
        candidates.append(Ranked(tracks, tags, precision=kind in ("map", "ap")))
    for candidate in candidates:
        if abs(candidate.figure() - figure) <= _TOLERANCE:
            return candidate
    return None
