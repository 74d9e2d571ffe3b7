"""How much of what scores vary by is due to which factor: analysis of variance over the runs of a grid."""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicfm_pl.analysis.factors import FACTORS, Level, Origin, level_text
from musicfm_pl.results import RunResult
from musicfm_pl.standings import FIGURES, Figure, tested_on

MIN_RESIDUAL = 4
"""Runs beyond what the factors need; with fewer, what seeds do is not known."""


@dataclass(frozen=True)
class Share:
    """What one factor, or two together beyond what each does, explains.

    Attributes:
        of: Names of the factors, one or two.
        share: Of the sum of all squares (η²), from 0 to 1.
        p: Of its F-test, not corrected.
    """

    of: tuple[str, ...]
    share: float
    p: float


@dataclass(frozen=True)
class Attribution:
    """The variance of one figure over the runs of one corpus, split by factors.

    Attributes:
        corpus: With its note and protocol.
        shares: Factors, then pairs; empty if refused.
        residual: The share that no factor explains: seeds, and what pairs leave; None if refused.
        num_runs: That it rests on.
        levels: Of each factor that varies, as text.
        left_out: Pairs that the runs cannot tell, and why.
        refused: Why there is none, in words; empty if there is.
    """

    corpus: str
    figure: Figure
    shares: tuple[Share, ...]
    residual: float | None
    num_runs: int
    levels: Mapping[str, tuple[str, ...]]
    left_out: tuple[str, ...] = ()
    refused: str = ""


def attributions(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> tuple[Attribution, ...]:
    """One for each figure and corpus with runs of pretrained encoders among which a factor varies."""
    groups: dict[tuple[str, ...], list[RunResult]] = {}
    for run in sorted(results, key=lambda run: run.run):
        origin = origins.get(run.run)
        if run.is_task_at_home and run.role == "encoder" and origin and origin.factors:
            of = (run.corpus, run.corpus_note, run.licence, run.split, run.protocol)
            groups.setdefault(of, []).append(run)
    found = []
    for (corpus, note, _, split, protocol), runs in sorted(groups.items()):
        title = tested_on(corpus, note, split, protocol)
        for figure in FIGURES:
            of_task = [(origins[r.run].factors, r.summary.get(figure.metric)) for r in runs if r.task == figure.task]
            known = [(factors, value) for factors, value in of_task if value is not None]
            if any(_varies(known, factor) for factor in (*FACTORS, "mode")):
                found.append(attribution(title, figure, known))
    return tuple(found)


def attribution(corpus: str, figure: Figure, runs: Sequence[tuple[Mapping[str, Level], float]]) -> Attribution:
    """Splits the variance of a figure (type II: each factor after all others, pairs after both of their factors).

    Args:
        corpus: For the title.
        figure: What is explained.
        runs: Factors and value of each run.
    """
    varying = [factor for factor in (*FACTORS, "mode") if _varies(runs, factor)]
    codes = {f: _codes([factors.get(f, "") for factors, _ in runs]) for f in varying}
    levels = {f: tuple(level_text(f, level) for level in codes[f][0]) for f in varying}
    values = np.array([value for _, value in runs])

    def refuse(why: str) -> Attribution:
        return Attribution(corpus, figure, (), None, len(runs), levels, refused=why)

    if not varying:
        return refuse("no factor varies")
    if confounded := _confounded({f: code for f, (_, code) in codes.items()}):
        return refuse(f"{confounded}: the runs cannot tell which of them matters; run what is missing of the grid")
    needed = 1 + sum(len(codes[f][0]) - 1 for f in varying) + MIN_RESIDUAL
    if len(runs) < needed:
        return refuse(f"too few runs: {len(runs)}, but {', '.join(varying)} need at least {needed}; add seeds")
    if not np.ptp(values) > 0:
        return refuse("all runs have the same value")
    pairs, left_out = _pairs({f: code for f, (_, code) in codes.items()}, len(runs))
    try:
        table = _anova({f: code for f, (_, code) in codes.items()}, pairs, values)
    except ImportError as error:
        return refuse(str(error))
    total = float(((values - values.mean()) ** 2).sum())
    terms = [(f,) for f in varying] + pairs
    return Attribution(
        corpus,
        figure,
        tuple(Share(of, *_share(table, of, total)) for of in terms),
        float(table["Residual"][0]) / total,
        len(runs),
        levels,
        tuple(left_out),
    )


def _anova(
    codes: Mapping[str, NDArray[np.int64]], pairs: Sequence[tuple[str, ...]], values: NDArray[np.float64]
) -> dict[str, tuple[float, float]]:
    """Sum of squares and p-value by term of the formula, and of the residual."""
    try:
        frames = importlib.import_module("pandas")
        ols = importlib.import_module("statsmodels.formula.api").ols
        anova_lm = importlib.import_module("statsmodels.stats.anova").anova_lm
    except ImportError as error:
        raise ImportError("it takes statsmodels: pip install -e '.[study]'") from error
    frame = frames.DataFrame({"value": values} | {f"{f}_": code for f, code in codes.items()})
    terms = [f"C({f}_)" for f in codes] + [f"C({a}_):C({b}_)" for a, b in pairs]
    with warnings.catch_warnings():
        # A factor that explains everything leaves nothing to divide by.
        warnings.simplefilter("ignore", RuntimeWarning)
        table = anova_lm(ols(f"value ~ {' + '.join(terms)}", frame).fit(), typ=2)
    return {str(name): (float(row["sum_sq"]), float(row["PR(>F)"])) for name, row in table.iterrows()}


def _share(table: Mapping[str, tuple[float, float]], of: Sequence[str], total: float) -> tuple[float, float]:
    squares, p = table[":".join(f"C({f}_)" for f in of)]
    return squares / total, p


def _varies(runs: Sequence[tuple[Mapping[str, Level], Any]], factor: str) -> bool:
    return len({factors.get(factor, "") for factors, _ in runs}) > 1


def _codes(levels: Sequence[Level]) -> tuple[list[Level], NDArray[np.int64]]:
    distinct = sorted(set(levels), key=lambda level: (str(type(level)), level))
    return distinct, np.array([distinct.index(level) for level in levels], dtype=np.int64)


def _columns(code: NDArray[np.int64]) -> NDArray[np.float64]:
    return (code[:, None] == np.arange(1, code.max() + 1)).astype(np.float64)


def _confounded(codes: Mapping[str, NDArray[np.int64]]) -> str:
    """The factors that vary together, in words; empty if each can be told from the others."""
    constant = np.ones((len(next(iter(codes.values()))), 1))
    for number in range(2, len(codes) + 1):
        for some in itertools.combinations(codes, number):
            design = np.hstack([constant, *(_columns(codes[f]) for f in some)])
            if np.linalg.matrix_rank(design) < design.shape[1]:
                return f"{' and '.join([', '.join(some[:-1]), some[-1]])} vary together"
    return ""


def _pairs(codes: Mapping[str, NDArray[np.int64]], num_runs: int) -> tuple[list[tuple[str, ...]], list[str]]:
    """Pairs of factors whose joint effect the runs can tell, and in words those that they cannot."""
    design = np.hstack([np.ones((num_runs, 1)), *(_columns(code) for code in codes.values())])
    kept: list[tuple[str, ...]] = []
    left_out = []
    for a, b in itertools.combinations(codes, 2):
        one, other = _columns(codes[a]), _columns(codes[b])
        joint = (one[:, :, None] * other[:, None, :]).reshape(num_runs, -1)
        wider = np.hstack([design, joint])
        if np.linalg.matrix_rank(wider) < wider.shape[1]:
            left_out.append(f"{a} × {b}: not all combinations were run")
        elif num_runs - wider.shape[1] < MIN_RESIDUAL:
            left_out.append(f"{a} × {b}: too few runs")
        else:
            design = wider
            kept.append((a, b))
    return kept, left_out
