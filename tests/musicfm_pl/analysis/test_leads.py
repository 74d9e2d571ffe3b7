"""Which row is ahead, how far, and why a lead does not count: on a study whose effects are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from study_results import text_of
from synthetic_study import write_model

from musicfm_pl.lead_table import LEADS_TITLE, lead_lines
from musicfm_pl.leaderboard import build, leaderboard, read_some
from musicfm_pl.results import RunResult
from musicfm_pl.standings import Table

GAINS = {"best": 0.3, "second": 0.1, "last": 0.0}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("leads") / "runs"
    for name, gain in GAINS.items():
        write_model(root, name, {"key_weighted": gain}, tasks=["beat", "key"])
    return root


def probes(results: list[RunResult]) -> Table:
    (table,) = build(results).tables
    return table


def line_of(table: Table, figure: str) -> list[str]:
    (line,) = [line for line in lead_lines(table) if line[0] == figure]
    return line


def bold(table: Table, figure: str) -> list[str]:
    index = next(i for i, column in enumerate(table.columns) if column.title == figure)
    return [row.label for place, row in enumerate(table.rows) if table.is_bold(place, index)]


def test_the_best_and_the_next_with_difference_interval_and_p(runs: Path) -> None:
    table = probes(read_some(runs)[0])
    lead = table.leads[[column.title for column in table.columns].index("Key acc")]
    assert lead is not None and lead.effect is not None and lead.effect.interval is not None and lead.holds
    line = line_of(table, "Key acc")
    assert line[1:3] == ["best", "second"] and float(line[3]) == pytest.approx(0.2, abs=0.02)
    low, high = (float(text) for text in line[4].split(" to "))
    assert (low, high) == pytest.approx((lead.effect.interval.low, lead.effect.interval.high), abs=0.001)
    assert 0 < low < float(line[3]) < high and 0 < lead.adjusted_p < 0.05 and line[6] == "2 of 2"
    assert bold(table, "Key acc") == ["best"]
    # Beats are alike in all three.
    of_beats = line_of(table, "Beat F1")
    assert of_beats[6] == "0 of 2" and float(of_beats[5]) > 0.05 and bold(table, "Beat F1") == []
    assert [line[0] for line in lead_lines(table)] == ["Beat F1", "Downbeat F1", "Key acc"], "what was run"


def test_page_and_markdown_have_it(runs: Path, tmp_path: Path) -> None:
    leaderboard(runs, tmp_path)
    line = line_of(probes(read_some(runs)[0]), "Key acc")
    text = (tmp_path / "LEADERBOARD.md").read_text()
    assert text.count(f"### {LEADS_TITLE}") == 1, "of probes, and not of pretraining"
    assert "| " + " | ".join(line) + " |" in text
    page = text_of((tmp_path / "leaderboard.html").read_text())
    assert "\n".join(line) in page


@pytest.mark.parametrize(("seeds", "few"), [({"best"}, 2), ({"last"}, 1), (set(GAINS), 2)])
def test_a_single_seed_settles_nothing(runs: Path, seeds: set[str], few: int) -> None:
    results = [run for run in read_some(runs)[0] if run.name not in seeds or run.seed == 0]
    table = probes(results)
    line = line_of(table, "Key acc")
    assert bold(table, "Key acc") == []
    assert line[6] == f"{2 - few} of 2; too few seeds for {few}" and line[4] != "–", "what is known is told"


def test_what_draws_nothing_needs_no_seeds(runs: Path) -> None:
    results = [
        replace(run, seed=None) if run.name != "best" else run
        for run in read_some(runs)[0]
        if run.name == "best" or run.seed == 0
    ]
    table = probes(results)
    assert bold(table, "Key acc") == ["best"] and line_of(table, "Key acc")[6] == "2 of 2"


def test_without_scores_by_track_the_difference_stands_alone(runs: Path) -> None:
    table = probes([replace(run, tracks=()) for run in read_some(runs)[0]])
    assert line_of(table, "Key acc")[4:] == ["–", "–", "0 of 2"] and line_of(table, "Key acc")[3].startswith("+0.2")
