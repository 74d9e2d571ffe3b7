"""Learning curves of pretraining, from what runs logged: one a model, over its seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from musicfm_pl.analysis.factors import Level, Origin
from musicfm_pl.event_logs import logged_scalars
from musicfm_pl.results import RunResult

SCALARS = {
    "train/loss": "Training loss",
    "val/loss": "Validation loss",
    "val/masked_accuracy": "Masked accuracy (validation)",
    "val/loss_above_chance": "Loss above chance (validation loss - ln K)",
    "val/perplexity": "Perplexity of the tokens (validation)",
    "val/dead_codes": "Codes never a target (validation)",
}
"""What is drawn, by the name under which it is logged."""
_MOST_POINTS = 120
"""Of a curve: more cannot be told apart in a drawing of this size."""
_Line = tuple[float, ...]


@dataclass(frozen=True)
class ModelCurve:
    """One scalar of one model.

    Attributes:
        name: Of the model, as its runs call it.
        factors: Levels by factor; empty if the configurations are not there.
        runs: Of the model, a run a seed.
        steps: In rising order.
        mean: Over the runs, at each step.
        low: The lowest of the runs.
        high: The highest.
    """

    name: str
    factors: Mapping[str, Level]
    runs: tuple[str, ...]
    steps: tuple[int, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Curves:
    """One scalar of all models that logged it.

    Attributes:
        title: What it is.
        models: In the order of their first runs.
    """

    title: str
    models: tuple[ModelCurve, ...]


def curves(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> tuple[Curves, ...]:
    """The curves of every pretrained model whose logs are there; none if no run has any.

    Runs are of one model if they have one name and one configuration, but for what a seed draws.
    """
    groups: dict[tuple[str, str, str], list[tuple[str, Origin]]] = {}
    for run in sorted(results, key=lambda run: run.run):
        origin = origins.get(run.run)
        if run.stage == "pretrain" and origin:
            of = (run.name, repr(sorted(origin.factors.items())), repr(sorted(origin.others.items())))
            groups.setdefault(of, []).append((run.run, origin))
    found: dict[str, list[ModelCurve]] = {name: [] for name in SCALARS}
    for (name, _, _), of_model in groups.items():
        runs = tuple(run for run, _ in of_model)
        logged = [logged_scalars(origin.folder, SCALARS) for _, origin in of_model]
        for scalar in SCALARS:
            # A loss that was no number has no place in a drawing; how often that was, the table of runs says.
            finite = [{s: v for s, v in sorted(of.get(scalar, {}).items()) if math.isfinite(v)} for of in logged]
            if known := [curve for curve in finite if curve]:
                found[scalar].append(ModelCurve(name, of_model[0][1].factors, runs, *_over_seeds(known)))
    return tuple(Curves(title, tuple(found[name])) for name, title in SCALARS.items() if found[name])


def _over_seeds(found: Sequence[Mapping[int, float]]) -> tuple[tuple[int, ...], _Line, _Line, _Line]:
    """Steps that all seeds reached, with mean, lowest and highest; straight between what each of them logged."""
    first, last = max(min(curve) for curve in found), min(max(curve) for curve in found)
    every_step = sorted({step for curve in found for step in curve})
    steps = _thinned([step for step in every_step if first <= step <= last] or every_step)
    values_SN = np.stack([np.interp(steps, list(curve), list(curve.values())) for curve in found])
    mean, low, high = (tuple(map(float, line)) for line in (values_SN.mean(0), values_SN.min(0), values_SN.max(0)))
    return tuple(steps), mean, low, high


def _thinned(steps: Sequence[int]) -> list[int]:
    return [*steps[: -1 : max(1, len(steps) // _MOST_POINTS)], steps[-1]]
