"""Where a loss on new music arises: figures and intervals of losses that were put there."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import command
import numpy as np
import pytest
import study_results

from musicfm_pl.analysis.generalisation import generalisation
from musicfm_pl.codebook_file import FIGURES, CodebookReport, Heard, read_reports, write_report
from musicfm_pl.generalisation_text import generalisation_markdown, generalisation_section
from musicfm_pl.leaderboard import build
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown
from musicfm_pl.results import ResultError, RunResult, TrackResult, write_result

LEVELS = {("", "pop"): 0.8, ("pop", "classic"): 0.5, ("", "classic"): 0.7}
"""Chord accuracy of one encoder by the corpus that the head was trained on (its own if empty) and that of the test."""


PARTS = ("lost", "regained", "remaining")


def tracks(corpus: str, level: float, seed: int) -> tuple[TrackResult, ...]:
    """Works differ much, and alike for all models; what is left is little."""
    ease = np.random.default_rng([*corpus.encode()]).normal(0, 0.1, 12)
    noise = np.random.default_rng([seed, *corpus.encode(), round(level * 100)]).normal(0, 0.005, 12)
    values = level + ease - ease.mean() + noise - noise.mean() + (seed - 1) * 0.01
    return tuple(
        TrackResult(f"{corpus}{work}", f"{corpus}{work}", {"chord_majmin": float(value)})
        for work, value in enumerate(values)
    )


def runs(name: str = "Conformer, pretrained") -> Iterable[RunResult]:
    for (trained_on, corpus), level in LEVELS.items():
        for seed in range(3):
            of = tracks(corpus, level, seed)
            summary = {"chord_majmin": float(np.mean([track.metrics["chord_majmin"] for track in of]))}
            made = study_results.result(name, "encoder", "chord", seed, dict(summary))
            run = f"{name}/{trained_on or corpus}/{corpus}/{seed}"
            yield replace(made, run=run, corpus=corpus, trained_on=trained_on, tracks=of, num_tracks=len(of))


def report(seed: int = 0) -> CodebookReport:
    def heard(corpus: str, accuracy: float, above: float) -> Heard:
        overall = dict.fromkeys(FIGURES, 1.0) | {"masked_accuracy": accuracy, "loss_above_unigram": above}
        wobble = np.linspace(-0.02, 0.02, 8)
        of = [
            TrackResult(
                f"{corpus}{work}",
                f"{corpus}{work}",
                {"masked_accuracy": accuracy + float(off), "loss": 4.0, "loss_above_unigram": above + float(off)},
                {"masked_accuracy": 50.0, "loss": 50.0, "loss_above_unigram": 50.0},
            )
            for work, off in enumerate(wobble)
        ]
        mel = {"mean": 0.0, "std": 1.0, "mean_db": 7.0, "std_db": 18.0}
        return Heard(
            f"data/{corpus}", corpus, "", "val", 8, mel, overall, [overall], of, ["off"] * (corpus == "classic")
        )

    return CodebookReport(
        f"pretrain/seed{seed}",
        *("Conformer", "pop", "RandomProjection", seed),
        {"clip_s": 5.0, "seed": 0.0},
        {"mean": 7.0, "std": 18.0},
        {"loss_spikes": 0.0},
        (heard("classic", 0.2, 0.5), heard("pop", 0.3, -0.4)),
    )


def test_losses_that_were_put_there_are_found() -> None:
    found = generalisation(runs(), {}, [])
    assert found is not None and not found.music
    (moved,) = found.moved
    assert (moved.model, moved.trained_on, moved.corpus) == ("Conformer, pretrained", "pop", "classic")
    for cell, expected in ((moved.home, 0.8), (moved.transferred, 0.5), (moved.retrained, 0.7)):
        assert cell.mean == pytest.approx(expected) and cell.std == pytest.approx(0.01)
    for cell, expected in ((moved.lost, -0.3), (moved.regained, 0.2), (moved.remaining, -0.1)):
        assert cell.mean == pytest.approx(expected)
        assert cell.interval is not None and cell.interval.low < expected < cell.interval.high
    width = {name: cell.interval.high - cell.interval.low for name, cell in vars(moved).items() if name in PARTS}
    assert width["regained"] < width["lost"] / 3, "on the same works, how hard they are falls out"


def test_heads_that_nobody_trained_or_tested_are_not_run() -> None:
    some = [run for run in runs() if run.trained_on]
    (moved,) = generalisation(some, {}, []).moved  # type: ignore[union-attr]
    assert moved.transferred.mean == pytest.approx(0.5)
    assert moved.home.mean is moved.retrained.mean is moved.regained.mean is None
    assert "not run" in generalisation_markdown(generalisation(some, {}, []))[-1]
    assert generalisation([run for run in runs() if not run.trained_on], {}, []) is None


def test_a_test_on_all_tracks_is_told_from_that_on_the_test_split() -> None:
    """A head is never tested on all tracks at home: what it loses there is not run."""
    whole = [replace(run, run=f"all/{run.run}", split="all") for run in runs() if run.trained_on]
    found = generalisation([*runs(), *whole], {}, [])
    assert found is not None
    all_tracks, test = found.moved
    assert (all_tracks.split, test.split) == ("all", "test")
    assert all_tracks.transferred.mean == test.transferred.mean
    assert all_tracks.lost.mean is None and test.lost.mean is not None
    text = generalisation_markdown(found)[-1]
    assert text.count("| classic |") == text.count("| classic, split all |") == 1


def test_two_runs_for_one_place_are_refused() -> None:
    double = [*runs(), *(replace(run, run=f"again/{run.run}") for run in runs())]
    with pytest.raises(ValueError, match="claim the same place"):
        generalisation(double, {}, [])
    with pytest.raises(ValueError, match=r"were both examined on classic \('Conformer', seed 0\)"):
        generalisation([], {}, [report(), replace(report(), run="again")])


def test_what_was_made_of_a_run_before_it_was_made_anew_is_refused() -> None:
    """Its head, its encoder, or the tokens that were examined."""
    pretraining = replace(next(iter(runs())), run="pretrain/seed0", stage="pretrain", config_digest="ab")
    for digest in ("", "ab"):
        assert generalisation([pretraining], {}, [replace(report(), config_digest=digest)]) is not None
    with pytest.raises(ResultError, match=r"codebook.json of pretrain/seed0: config_digest: the run was made anew"):
        generalisation([pretraining], {}, [replace(report(), config_digest="cd")])
    for key in ("config_digest", "encoder_digest"):
        marked = [replace(run, **{key: "cd" if run.trained_on and run.seed == 2 else "ab"}) for run in runs()]
        with pytest.raises(ResultError, match=rf"pop/classic/2: {key}: it is a test of another model than .*pop/pop/2"):
            generalisation(marked, {}, [])


def test_tokens_and_encoder_by_music() -> None:
    found = generalisation([], {}, [report(1), report(0)])
    assert found is not None
    home, new = found.music
    assert (home.corpus, new.corpus) == ("pop", "classic"), "home first"
    assert home.lost == {} and new.num_alarms == 2
    assert new.lost["masked_accuracy"].mean == pytest.approx(-0.1)
    assert new.lost["loss_above_unigram"].mean == pytest.approx(0.9)
    interval = new.lost["masked_accuracy"].interval
    assert interval is not None and interval.low < -0.1 < interval.high < 0
    assert home.figures["masked_accuracy"].interval is not None
    only_home = replace(report(), music=report().music[1:])
    assert generalisation([], {}, [only_home]) is None


def test_every_form_shows_it_and_names_are_escaped() -> None:
    board = build(runs("<b>, pretrained"), codebooks=[report()])
    text, html = markdown(board), page(board)
    for wanted in ("Where does the loss on new music arise?", "Regained by a new head", "−0.300", "+0.200", "−0.1000"):
        assert wanted in text and wanted in html
    assert "&lt;b&gt;, pretrained (probe, musicfm)" in html and "<b>, pretrained" not in html
    assert generalisation_section(None) == "" and generalisation_markdown(None) == []
    assert "Where does the loss" not in page(build(run for run in runs() if not run.trained_on))
    headings = [line for line in text.splitlines() if line.startswith("## Probing")]
    assert headings == [
        "## Probing on classic, protocol musicfm",
        "## Probing on classic, trained on pop, protocol musicfm",
        "## Probing on pop, protocol musicfm",
    ]
    rows = [line.split(",") for line in comma_separated(board).splitlines()]
    assert rows[0][:3] == ["stage", "corpus", "trained_on"]
    assert {(row[1], row[2]) for row in rows[1:]} == {("classic", ""), ("classic", "pop"), ("pop", "")}


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "runs"
    for run in runs():
        write_result(root / run.run, run)
    write_report(root / "pretrain" / "codebook.json", report())
    assert len(read_reports([root, root / "pretrain"])) == 1, "once, though it was found twice"
    command.succeed("generalisation", "--results", root, "--out", tmp_path / "out")
    said = capsys.readouterr().out
    assert "Model: " in said and "A → B" in said and "+0.200" in said
    data = json.loads((tmp_path / "out" / "generalisation.json").read_text())
    assert data["moved"][0]["regained"]["mean"] == pytest.approx(0.2)
    assert len(data["moved"][0]["regained"]["interval"]) == 2
    assert [one["corpus"] for one in data["music"]] == ["pop", "classic"]
    assert (tmp_path / "out" / "GENERALISATION.md").read_text().startswith("# Where does the loss")
    (tmp_path / "bare").mkdir()
    code, said = command.fail("generalisation", "--results", tmp_path / "bare")
    assert code == 2 and "was tested on other music than it was trained on" in said
