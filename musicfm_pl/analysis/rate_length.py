"""Scores by frame rate and clip length, where the runs form such a grid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from musicfm_pl.analysis.arms import Arm, arms
from musicfm_pl.analysis.factors import FACTORS, Level, Origin, level_text
from musicfm_pl.results import RunResult
from musicfm_pl.standings import FIGURES, Figure, tested_on


@dataclass(frozen=True)
class RateLengthMap:
    """One figure of models that differ in rate and length alone.

    Attributes:
        of: What they share: corpus, protocol, and their other factors.
        rates_hz: Rising.
        lengths_s: Rising.
        means: Over seeds, by rate and length; what was not run is not there.
    """

    of: str
    figure: Figure
    rates_hz: tuple[float, ...]
    lengths_s: tuple[float, ...]
    means: Mapping[tuple[float, float], float]


def rate_length_maps(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> tuple[RateLengthMap, ...]:
    """Maps of every figure for which models of at least two rates and two lengths were run."""
    groups: dict[tuple[str, ...], list[RunResult]] = {}
    for run in results:
        if run.is_task_at_home:
            of = (run.corpus, run.corpus_note, run.licence, run.split, run.protocol)
            groups.setdefault(of, []).append(run)
    found = []
    for (corpus, note, _, split, protocol), runs in sorted(groups.items()):
        alike: dict[tuple[tuple[str, Level], ...], list[Arm]] = {}
        for arm in arms(runs, origins):
            if {"rate", "length"} <= arm.factors.keys():
                shared = [f for f in (*FACTORS, "mode") if f in arm.factors and f not in ("rate", "length", "size")]
                codes = arm.others.get("model.tokenizer.codes")
                of_model = [*((f, arm.factors[f]) for f in shared), *([("codes", f"{codes} codes")] if codes else [])]
                alike.setdefault(tuple(of_model), []).append(arm)
        for levels, models in sorted(alike.items(), key=lambda item: str(item[0])):
            model = ", ".join(level_text(factor, level) for factor, level in levels)
            title = f"{model}; tested on {tested_on(corpus, note, split, protocol)}"
            found += [made for figure in FIGURES if (made := _map(title, figure, models)) is not None]
    return tuple(found)


def _map(of: str, figure: Figure, models: Iterable[Arm]) -> RateLengthMap | None:
    values: dict[tuple[float, float], list[float]] = {}
    for arm in models:
        if figure.metric in arm.figures:
            at = (float(arm.factors["rate"]), float(arm.factors["length"]))
            values.setdefault(at, []).append(arm.figures[figure.metric])
    rates, lengths = (tuple(sorted({at[i] for at in values})) for i in (0, 1))
    if len(rates) < 2 or len(lengths) < 2:
        return None
    # Models that differ in something else as well, such as their size, share a place by their mean.
    means = {at: sum(found) / len(found) for at, found in values.items()}
    return RateLengthMap(of, figure, rates, lengths, means)
