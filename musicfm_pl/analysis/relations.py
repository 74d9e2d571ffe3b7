"""Whether the conclusions of a study hold among some runs: effect, interval and verdict of each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from musicfm_pl.analysis.arms import Arm, Pair, arms, pairs
from musicfm_pl.analysis.factors import Level, Origin, level_text
from musicfm_pl.analysis.intervals import Effect, adjusted, mean_effect
from musicfm_pl.analysis.relation_file import Claim, Relation
from musicfm_pl.results import RunResult, Task
from musicfm_pl.standings import FIGURES, tested_on

Verdict = Literal["holds", "does not hold", "not enough runs"]
MIN_SEEDS = 2
"""One seed says nothing of what another would have given."""
_OUTLIER = 1e-9
"""Sums of decimals miss their limit in the last digit: 0.689 - 0.714 is a little more than 0.025 apart."""


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim: for one figure, or the mean of several, and one pair of levels.

    Attributes:
        figure: Its title, or "mean of N figures".
        levels: What was compared, such as "5 s → 30 s".
        effect: Second minus first, over all pairs that differ in the factor alone.
        adjusted_p: Corrected for all findings of a report that are judged by it; None for the others.
        num_pairs: That it is the mean of.
        also: Other settings in which the models of a pair differ.
        verdict: See `judge`.
        because: Why there are not enough runs, else empty.
    """

    figure: str
    levels: str
    claim: Claim
    effect: Effect
    num_pairs: int
    also: tuple[str, ...]
    adjusted_p: float | None = None
    verdict: Verdict = "not enough runs"
    because: str = ""

    def margin(self) -> float:
        """How far the effect is from where its expectation ends to hold: small for `little` if the effect is large."""
        size = abs(self.effect.value)
        return -size if self.claim.expect == "little" else size

    @property
    def is_judged_by_p(self) -> bool:
        """Whether its verdict asks for the test: `little` goes by the interval alone, and one seed is none to test."""
        return self.claim.expect != "little" and self.effect.num_seeds >= MIN_SEEDS and self.effect.p is not None

    def __str__(self) -> str:
        """The figure with its effect and interval."""
        interval = self.effect.interval
        over = "" if interval is None else f" ({decimal(interval.low)} to {decimal(interval.high)})"
        return f"{self.figure} {decimal(self.effect.value)}{over}"


def decimal(value: float) -> str:
    """A difference with its sign."""
    text = f"{value:+.3f}".replace("-", "−")
    return "±0.000" if text[1:] == "0.000" else text


def p_text(p: float) -> str:
    """A p-value with as many digits as say something."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


@dataclass(frozen=True)
class Answer:
    """What the runs say of one relation: a finding for every claim, figure and pair of levels."""

    relation: Relation
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """It holds if all findings do, and does not if one does not."""
        verdicts = {finding.verdict for finding in self.findings}
        if "does not hold" in verdicts:
            return "does not hold"
        return "holds" if verdicts == {"holds"} else "not enough runs"

    @property
    def because(self) -> str:
        """Why, in words: which figures do not bear it out, or what is lacking."""
        if not self.findings:
            return f"no two models differ in {self.relation.vary} alone"
        named = [finding for finding in self.findings if finding.verdict == self.verdict]
        figures = ", ".join(dict.fromkeys(finding.figure for finding in named))
        # The one that is nearest to another verdict, or else decides.
        closest = min(named, key=Finding.margin)
        if self.verdict == "holds":
            all_ = f"in all {len(named)} findings, least surely" if len(named) > 1 else "in"
            return f"{all_} {closest}"
        if self.verdict == "does not hold":
            surest = max(named, key=lambda finding: abs(finding.effect.value))
            return f"not in {surest}" if len(named) == 1 else f"not in {figures}; most clearly {surest}"
        reasons = dict.fromkeys(finding.because for finding in named)
        return "; ".join(_lacking(reason, [f for f in named if f.because == reason]) for reason in reasons)


def _lacking(reason: str, findings: Sequence[Finding]) -> str:
    """Why some findings are not settled, with the one of them that is nearest to another verdict."""
    closest = min(findings, key=Finding.margin)
    if len(findings) == 1:
        return f"{reason}: {closest}"
    return f"{reason} ({', '.join(dict.fromkeys(f.figure for f in findings))}), such as {closest}"


@dataclass(frozen=True)
class Report:
    """All answers from the runs of one corpus, split and protocol, or from a published table."""

    title: str
    published: bool
    answers: tuple[Answer, ...]


def reports(
    results: Iterable[RunResult], origins: Mapping[str, Origin], relations: Sequence[Relation]
) -> tuple[Report, ...]:
    """A report for each corpus, split and protocol in which at least one model with known factors was run."""
    groups: dict[tuple[str, ...], list[RunResult]] = {}
    for run in results:
        if run.is_task_at_home:
            groups.setdefault((run.corpus, run.corpus_note, run.licence, run.split, run.protocol), []).append(run)
    found = []
    for (corpus, note, _, split, protocol), runs in sorted(groups.items()):
        if models := arms(runs, origins):
            found.append(report(tested_on(corpus, note, split, protocol), models, relations))
    return tuple(found)


def report(title: str, models: Sequence[Arm], relations: Sequence[Relation], published: bool = False) -> Report:
    """Answers all relations, with one correction for all findings that are judged by a test.

    Args:
        title: What it is of.
        models: To compare.
        relations: To answer.
        published: The figures are printed ones, without intervals: verdicts are about the printed numbers.
    """
    found = [(relation, list(_findings(relation, models))) for relation in relations]
    tested = [f for _, findings in found for f in findings if f.is_judged_by_p]
    ps = adjusted([f.effect.p for f in tested if f.effect.p is not None])
    corrected = dict(zip(map(id, tested), ps, strict=True))
    return Report(
        title,
        published,
        tuple(
            Answer(
                relation,
                tuple(
                    judge(replace(finding, adjusted_p=corrected.get(id(finding))), relation, published)
                    for finding in findings
                ),
            )
            for relation, findings in found
        ),
    )


def _findings(relation: Relation, models: Sequence[Arm]) -> Iterable[Finding]:
    known = [m for m in models if all(level_is(m.factors.get(f), level) for f, level in relation.where)]
    for first, second in _level_pairs(relation, known):
        matched = pairs(known, relation.vary, first, second)
        levels = f"{level_text(relation.vary, first)} → {level_text(relation.vary, second)}"
        for claim in relation.claims:
            by_figure: dict[str, list[tuple[Pair, Effect]]] = {}
            for figure in FIGURES:
                tried = [(pair, pair.effect(figure.metric)) for pair in matched]
                known_effects = [(pair, found) for pair, found in tried if found is not None]
                if known_effects and (not claim.figures or figure.metric in claim.figures):
                    by_figure[figure.title] = known_effects
            if claim.over == "mean" and by_figure:
                title = f"mean of {len(by_figure)} figures" if len(by_figure) > 1 else next(iter(by_figure))
                means = [mean_effect([e for _, e in effects]) for effects in by_figure.values()]
                pool = [p for effects in by_figure.values() for p, _ in effects]
                tasks = {_TASK_OF[each] for each in by_figure}
                yield _finding(title, levels, claim, mean_effect(means), pool, tasks)
            elif claim.over == "each":
                for title, effects in by_figure.items():
                    mean, pool = mean_effect([e for _, e in effects]), [p for p, _ in effects]
                    yield _finding(title, levels, claim, mean, pool, {_TASK_OF[title]})


_TASK_OF = {figure.title: figure.task for figure in FIGURES}


def _finding(
    title: str, levels: str, claim: Claim, effect: Effect, matched: Sequence[Pair], tasks: Iterable[Task]
) -> Finding:
    keys = {key for pair in matched for key in pair.also}
    keys |= {f"{task}: {key}" for pair in matched for task in tasks for key in pair.tasks.get(task, ())}
    also = tuple(sorted(keys))
    distinct = {(id(pair.first), id(pair.second)) for pair in matched}
    return Finding(title, levels, claim, effect, len(distinct), also)


def level_is(level: Level | None, text: str) -> bool:
    """Whether a level is the one that a file names: numbers count as numbers."""
    if isinstance(level, float):
        try:
            return level == float(text)
        except ValueError:
            return False
    return level == text


def _level_pairs(relation: Relation, models: Sequence[Arm]) -> list[tuple[Level, Level]]:
    levels: list[Level] = sorted(
        {m.factors[relation.vary] for m in models if relation.vary in m.factors}, key=lambda v: (str(type(v)), v)
    )
    if relation.from_level:
        firsts = [level for level in levels if level_is(level, relation.from_level)]
        seconds = [level for level in levels if level_is(level, relation.to_level)]
        return list(itertools.product(firsts, seconds))
    if len(levels) < 2:
        return []
    return [(levels[0], levels[-1])] if relation.pairs == "ends" else list(itertools.combinations(levels, 2))


def judge(finding: Finding, relation: Relation, published: bool) -> Finding:
    """The finding with its verdict.

    `more`, `less` and `some` hold where the interval and the corrected test exclude 0 in that direction, and do not
    hold where the interval lies below the least difference that counts. `little` holds where the interval lies within
    the tolerance, and does not where it lies wholly outside. Between them, the runs do not settle it. Of published
    figures the number itself is judged.
    """
    effect, expect = finding.effect, finding.claim.expect
    sign = -1.0 if expect == "less" else 1.0
    interval = effect.interval
    if published:
        low = high = effect.value
        significant = True
    elif interval is None:
        few = effect.num_groups > 0
        return replace(finding, because="too few works" if few else "no scores by track to resample")
    elif effect.num_seeds < MIN_SEEDS:
        return replace(finding, because="one seed")
    else:
        low, high = interval.low, interval.high
        significant = effect.holds(finding.adjusted_p)
    low, high = min(low * sign, high * sign), max(low * sign, high * sign)
    limit = relation.tolerance + _OUTLIER
    if expect == "little":
        verdict = _either(-limit <= low and high <= limit, low > limit or high < -limit)
    elif expect == "some":
        outside = low > 0 or high < 0
        verdict = _either(
            outside and significant and (not published or abs(low) >= relation.least),
            max(-low, high) < relation.least,
        )
    else:
        verdict = _either(low > 0 and significant, high < relation.least if not published else high <= 0)
    because = "the interval allows either" if verdict == "not enough runs" else ""
    # Where the interval alone would do.
    if because and finding.adjusted_p is not None and (low > 0 or (expect == "some" and high < 0)):
        because = f"the corrected test does not agree (p {p_text(finding.adjusted_p)})"
    return replace(finding, verdict=verdict, because=because)


def _either(holds: bool, fails: bool) -> Verdict:
    return "holds" if holds else "does not hold" if fails else "not enough runs"
