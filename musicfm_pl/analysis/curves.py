"""Learning curves of pretraining runs, from what they logged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from musicfm_pl.analysis.factors import Origin
from musicfm_pl.event_logs import logged_scalars
from musicfm_pl.results import RunResult

SCALARS = {
    "train/loss": "Training loss",
    "val/loss": "Validation loss",
    "val/masked_accuracy": "Masked accuracy (validation)",
}
"""What is drawn, by the name under which it is logged."""
_MOST_POINTS = 120
"""Of a curve: more cannot be told apart in a drawing of this size."""


@dataclass(frozen=True)
class Curves:
    """One scalar of all pretraining runs that logged it.

    Attributes:
        title: What it is.
        by_run: Steps and values of each, in the order of steps.
    """

    title: str
    by_run: Mapping[str, tuple[tuple[int, float], ...]]


def curves(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> tuple[Curves, ...]:
    """The curves of every pretraining run whose logs are there; none if no run has any."""
    found: dict[str, dict[str, tuple[tuple[int, float], ...]]] = {name: {} for name in SCALARS}
    for run in sorted(results, key=lambda run: run.run):
        origin = origins.get(run.run)
        if run.stage == "pretrain" and origin:
            for name, points in _scalars(origin.folder).items():
                found[name][run.run] = points
    return tuple(Curves(title, found[name]) for name, title in SCALARS.items() if found[name])


def _scalars(folder: Path) -> dict[str, tuple[tuple[int, float], ...]]:
    found = {}
    for name, curve in logged_scalars(folder, SCALARS).items():
        points = tuple(curve.items())
        every = max(1, len(points) // _MOST_POINTS)
        found[name] = (*points[:-1:every], points[-1])
    return found
