"""What a leaderboard consists of: averages over seeds, pairs, verdicts, and what never shares a table."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from study_results import only_table, result, study

from musicfm_pl.leaderboard import build
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown
from musicfm_pl.standings import Cell


def test_means_and_spread_over_seeds() -> None:
    table = only_table(study())
    assert [row.label for row in table.rows] == ["Conformer, pretrained", "Conformer, random", "plain mel"]
    for row in table.rows:
        for column, cell in zip(table.columns, row.cells, strict=True):
            values = [
                r.summary[column.metric] for r in study() if r.name == row.name and r.task == column.task != "pretrain"
            ]
            known = [value for value in values if value is not None]
            if known:
                assert cell.mean == pytest.approx(np.mean(known))
                assert cell.std == pytest.approx(np.std(known, ddof=1))
    assert table.seeds == (0, 1, 2)
    assert table.not_run == ("structure of plain mel",)
    assert table.notes == ("structure: sections are letters",)


def test_says_whether_pretraining_helps() -> None:
    random_baseline, plain_mel = only_table(study()).comparisons
    verdicts = {gain.figure.metric: gain.verdict for gain in random_baseline.gains}
    assert verdicts.pop("key_weighted") == "no gain"
    assert set(verdicts.values()) == {"gain"}
    assert "frame_accuracy" not in verdicts, "what is not defined is not compared"
    assert "in 7 of 8 figures; by the first figure of each task, in 4 of 5 tasks." in random_baseline.verdict
    assert re.search(r"It does not gain in Key acc \(−0\.\d{3}\)\.$", random_baseline.verdict)
    assert {gain.figure.task for gain in plain_mel.gains} == {"beat", "chord", "key", "tagging"}


def test_pairs_by_seed() -> None:
    encoder = [result("C, pretrained", "encoder", "beat", seed, {"beat_f": 0.5 + seed / 10}) for seed in (0, 1, 2)]
    baseline = [result("C, random", "baseline", "beat", seed, {"beat_f": 0.45 + seed / 8}) for seed in (1, 2, 3)]
    ((gain,),) = [comparison.gains for comparison in only_table(encoder + baseline).comparisons]
    assert gain.by_seed == pytest.approx({1: 0.025, 2: 0.0})
    text = only_table(encoder + baseline).comparisons[0].verdict
    assert "Unclear" in text or gain.num_ahead == 2
    # A baseline of another model is no baseline of this one.
    other = [replace(run, name="BERT, random") for run in baseline]
    assert only_table(encoder + other).comparisons == ()


def test_a_baseline_that_draws_nothing_is_compared_with_every_seed() -> None:
    encoder = [result("C, pretrained", "encoder", "beat", seed, {"beat_f": 0.5 + seed / 10}) for seed in (0, 1, 2)]
    fixed = replace(result("shelf", "baseline", "beat", 0, {"beat_f": 0.6, "downbeat_f": None}), seed=None)
    board = build([*encoder, fixed])
    ((gain,),) = [comparison.gains for comparison in board.tables[0].comparisons]
    assert gain.by_seed == pytest.approx({0: -0.1, 1: 0.0, 2: 0.1})
    assert board.tables[0].seeds == (0, 1, 2)
    text = markdown(board)
    (shelf,) = [line for line in text.splitlines() if line.startswith("| shelf")]
    assert "0.600" in shelf and "n/d" in shelf and "seed" not in shelf
    rows = {
        row["name"]: row for row in csv.DictReader(io.StringIO(comma_separated(board))) if row["metric"] == "beat_f"
    }
    assert (rows["shelf"]["seeds"], rows["C, pretrained"]["seeds"]) == ("", "0 1 2")
    assert "shelf" in page(board)
    alone = build([fixed])
    assert alone.tables[0].seeds == () and "- Seeds: none: nothing is drawn" in markdown(alone)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_every_comparison_has_one_verdict(differences: list[float]) -> None:
    runs = [result("plain", "baseline", "key", seed, {"key_weighted": 0.0}) for seed in range(len(differences))]
    runs += [result("C", "encoder", "key", seed, {"key_weighted": d}) for seed, d in enumerate(differences)]
    (comparison,) = only_table(runs).comparisons
    (gain,) = comparison.gains
    if min(differences) > 0:
        assert gain.verdict == "gain"
    elif np.mean(differences) > 1e-9:
        assert gain.verdict == "unclear"
    elif np.mean(differences) < -1e-9:
        assert gain.verdict == "no gain"
    assert ("does not gain" in comparison.verdict) == (gain.verdict == "no gain")


def test_corpora_splits_and_protocols_never_share_a_table() -> None:
    runs = study()
    others = [replace(run, corpus="tiny", run=f"x/{run.run}") for run in runs]
    others += [replace(run, protocol="marble", run=f"y/{run.run}") for run in runs if run.stage == "probe"]
    others += [replace(run, stage="finetune", run=f"z/{run.run}") for run in runs if run.stage == "probe"]
    board = build(runs + others)
    assert [(t.stage, t.corpus, t.protocol) for t in board.tables] == [
        ("probe", "dcml", "marble"),
        ("probe", "dcml", "musicfm"),
        ("probe", "tiny", "musicfm"),
        ("finetune", "dcml", "musicfm"),
    ]
    assert [table.corpus for table in board.pretraining] == ["dcml", "tiny"]


def test_layers_of_one_name_are_rows_and_doubles_are_refused() -> None:
    runs = [replace(run, layer=layer, run=f"{run.run}/{layer}") for run in study()[:5] for layer in (1, 2, None)]
    labels = [row.label for row in only_table(runs).rows]
    assert labels == [f"Conformer, pretrained, {layer}" for layer in ("all layers", "layer 1", "layer 2")]
    with pytest.raises(ValueError, match=r"claim the same place of a table .*'Conformer, pretrained', beat, seed 0"):
        build([*study(), replace(study()[0], run="again")])


def test_a_cell_with_fewer_seeds_says_so() -> None:
    runs = [run for run in study() if not (run.name == "plain mel" and run.task == "key" and run.seed == 1)]
    assert "(2 seeds)" in markdown(build(runs))
    assert Cell({0: 0.5}).std is None
