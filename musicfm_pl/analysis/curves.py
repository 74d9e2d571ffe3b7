"""Learning curves of pretraining runs, from the TensorBoard logs in their directories."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from musicfm_pl.analysis.factors import Origin
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
        if run.stage == "pretrain" and origin and any(origin.folder.glob("events.out.tfevents*")):
            for name, points in _scalars(origin.folder).items():
                found[name][run.run] = points
    return tuple(Curves(title, found[name]) for name, title in SCALARS.items() if found[name])


def _scalars(folder: Path) -> dict[str, tuple[tuple[int, float], ...]]:
    # Its import takes a second, and only runs with logs need it.
    events = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    log = events.EventAccumulator(str(folder), size_guidance={"scalars": 0})
    log.Reload()
    logged = log.Tags()["scalars"]
    found = {}
    for name in SCALARS:
        if name in logged:
            # A run that goes on repeats steps: the later value is the one that counts.
            by_step = {event.step: event.value for event in log.Scalars(name)}
            points = tuple(sorted(by_step.items()))
            every = max(1, len(points) // _MOST_POINTS)
            found[name] = (*points[:-1:every], points[-1])
    return found
