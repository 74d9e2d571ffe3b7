"""Conclusions of the study and shares of variance as text, and the command that says whether conclusions hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from musicfm_pl.analysis.attribution import Attribution
from musicfm_pl.analysis.factors import read_runs
from musicfm_pl.analysis.published import published_arms
from musicfm_pl.analysis.relation_file import read_relations
from musicfm_pl.analysis.relations import Answer, Finding, Report, decimal, p_text, report, reports
from musicfm_pl.standings import PUBLISHED_SOURCE

RELATIONS_TITLE = "Do the study's conclusions hold?"
RELATIONS_NOTE = (
    "Models are compared that differ in one factor, as their configurations say. “more”, “less” and “some” "
    "(difference) hold where the 95 % interval over works and seeds leaves out zero and the paired test, corrected for "
    "all findings that it judges, agrees; “little” holds where the interval lies within the tolerance, without a test. "
    "“Not enough runs”: they do not settle it."
)
PUBLISHED_RELATIONS_NOTE = "Of the published figures the numbers themselves are judged: they come without intervals."
ATTRIBUTION_TITLE = "What scores depend on"
ATTRIBUTION_NOTE = (
    "Share of the variance over runs that each factor explains, and each pair beyond its two factors (analysis of "
    "variance, type II; η²). The rest is what seeds do. Shares add up to one where every combination has as many runs. "
    "p-values are not corrected."
)
FINDING_TITLES = ("Figure", "Levels", "Expected", "Effect", "95 % interval", "p", "Pairs", "Verdict")


def relations(results: list[Path] | Path | None = None, relations: Path | None = None, published: bool = False) -> None:
    """Says whether the study's conclusions hold among the results of runs, with effects and intervals.

    Args:
        results: Directories in which every `results.json` counts, at whatever depth; `runs` by default.
        relations: YAML of the conclusions; by default the study's.
        published: Check them on the study's own published table, rather than on results.

    Raises:
        FileNotFoundError: A directory does not exist.
        ResultError: A `results.json` cannot be used, or was made with another configuration than lies beside it.
        RelationError: The file of relations cannot be used.
        ValueError: No result is of a pretrained encoder whose configuration is known.
    """
    known = read_relations(relations)
    console = Console()
    if published:
        show_relations([report(PUBLISHED_SOURCE, published_arms(), known, published=True)], console, findings=True)
        return
    roots = [Path("runs")] if results is None else [results] if isinstance(results, Path) else results
    found = reports(*read_runs(roots), known)
    if not found:
        raise ValueError(
            f"--results: no result under {', '.join(map(str, roots))} is of a pretrained encoder whose config.yaml, "
            "and that of its pretraining, are there"
        )
    show_relations(found, console, findings=True)


def finding_cells(finding: Finding) -> list[str]:
    """A finding as text, under `FINDING_TITLES`."""
    interval = finding.effect.interval
    verdict = f"{finding.verdict}: {finding.because}" if finding.because else finding.verdict
    return [
        finding.figure,
        finding.levels,
        finding.claim.expect,
        decimal(finding.effect.value),
        "–" if interval is None else f"{decimal(interval.low)} to {decimal(interval.high)}",
        "–" if finding.adjusted_p is None else p_text(finding.adjusted_p),
        str(finding.num_pairs) + (f" (also differ in {', '.join(finding.also)})" if finding.also else ""),
        verdict,
    ]


def limits_text(answer: Answer) -> str:
    """The limits under which a relation was judged."""
    relation = answer.relation
    expected = {claim.expect for claim in relation.claims}
    little = f"little: within ±{relation.tolerance:g}" if "little" in expected else ""
    least = f"none: below {relation.least:g}" if expected - {"little"} else ""
    return "; ".join(text for text in (little, least) if text)


def relations_markdown(found: Sequence[Report]) -> list[str]:
    """The verdicts of each report, as paragraphs of Markdown."""
    parts = [f"## {RELATIONS_TITLE}", RELATIONS_NOTE] if found else []
    for one in found:
        rows = [[a.relation.name, a.relation.says, f"**{a.verdict}**", a.because] for a in one.answers]
        parts += [f"### {one.title[0].upper()}{one.title[1:]}"]
        parts += [PUBLISHED_RELATIONS_NOTE] if one.published else []
        parts += [pipes(["", "Conclusion", "Verdict", "Because"], rows)]
        details = [[a.relation.name, *finding_cells(f)] for a in one.answers for f in a.findings]
        if details and not one.published:
            parts += [pipes(["", *FINDING_TITLES], details)]
    return parts


def attributions_markdown(found: Sequence[Attribution]) -> list[str]:
    """Shares of variance, as paragraphs of Markdown."""
    parts = [f"## {ATTRIBUTION_TITLE}", ATTRIBUTION_NOTE] if found else []
    for corpus in dict.fromkeys(one.corpus for one in found):
        rows = []
        for one in found:
            if one.corpus == corpus:
                rows += [[one.figure.title, *line] for line in share_lines(one)]
        parts += [f"### {corpus}", pipes(["Figure", "Factor", "Share", "p"], rows)]
    return parts


def share_lines(one: Attribution) -> list[tuple[str, str, str]]:
    """Factor, share and p-value of each term; or why there is none."""
    if one.refused:
        return [("–", f"not attributed: {one.refused}", "")]
    lines = [(" × ".join(s.of), f"{s.share:.1%}", p_text(s.p)) for s in one.shares]
    assert one.residual is not None
    return [*lines, (f"rest ({one.num_runs} runs)", f"{one.residual:.1%}", "")] + [("–", w, "") for w in one.left_out]


def show_relations(found: Sequence[Report], console: Console, findings: bool = False) -> None:
    """Prints verdicts, and with `findings` what they rest on."""
    for one in found:
        console.print(f"\n{RELATIONS_TITLE} {one.title}", style="bold", markup=False, highlight=False)
        for answer in one.answers:
            colour = {"holds": "green", "does not hold": "red"}.get(answer.verdict, "yellow")
            console.print(f"[{colour}]{answer.verdict}[/]: {answer.relation.says}", highlight=False)
            limits = f"; {limits_text(answer)}" if findings else ""
            console.print(f"  {answer.because}{limits}", style="dim", markup=False, highlight=False)
            for finding in answer.findings if findings else ():
                figure, levels, expected, size, interval, p, num_pairs, verdict = finding_cells(finding)
                of = f"  {figure}, {levels}: {size} ({interval}), p {p}"
                said = f"{of}, expected {expected}, pairs {num_pairs}: {verdict}"
                console.print(said, markup=False, highlight=False)


def pipes(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [titles, ["---", *["---:"] * (len(titles) - 1)], *rows]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines)
