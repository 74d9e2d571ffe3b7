"""The leaderboard: averages, pairs, gaps, and the same bytes from the same results."""

from __future__ import annotations

import csv
import io
import random
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonargparse import auto_cli
from rich.console import Console

from musicfm_pl.leaderboard import build, leaderboard, published, under
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown, show
from musicfm_pl.results import Evaluation, Role, RunResult, Stage, Task, TrackResult, write_result
from musicfm_pl.standings import Cell, Table

METRICS: dict[Task, dict[str, float | None]] = {
    "beat": {"beat_f": 0.7, "downbeat_f": 0.4},
    "chord": {"chord_majmin": 0.5},
    "structure": {"frame_accuracy": None, "hr05_f": 0.2, "hr3_f": 0.45},
    "key": {"key_weighted": 0.55},
    "tagging": {"map": 0.4, "roc_auc": 0.7, "ap/waltz": 0.3},
}
ROWS: tuple[tuple[str, Role, float], ...] = (
    ("Conformer, pretrained", "encoder", 0.1),
    ("Conformer, random", "baseline", 0.0),
    ("plain mel", "baseline", -0.05),
)


def result(name: str, role: Role, task: Task, seed: int, summary: dict[str, float | None]) -> RunResult:
    return RunResult(
        run=f"probe/{name}/seed{seed}/{task}",
        name=name,
        role=role,
        stage="probe",
        task=task,
        protocol="musicfm",
        corpus="dcml",
        corpus_note="synthetic tempo",
        licence="CC BY-NC-SA 4.0",
        split="test",
        num_tracks=1,
        seed=seed,
        layer=2,
        num_parameters=812_345,
        config_digest="00",
        versions={"torch": "2.14.1", "commit": None},
        machine={"cpu_count": 2},
        seconds=1.0,
        summary=summary,
        notes=("sections are letters",) if task == "structure" else (),
        tracks=(TrackResult("a", "a", summary),),
    )


def study() -> list[RunResult]:
    """Three rows, three seeds, five tasks: key gains nothing, structure of plain mel is not run."""
    noise = random.Random(0)
    results = []
    for name, role, gain in ROWS:
        for seed in range(3):
            for task, metrics in METRICS.items():
                if (name, task) != ("plain mel", "structure"):
                    added = -0.1 if (task, role) == ("key", "encoder") else gain
                    summary = {m: None if v is None else v + added + noise.gauss(0, 0.01) for m, v in metrics.items()}
                    results.append(result(name, role, task, seed, summary))
    for seed in range(3):
        summary = {"val_loss": 5.1 + seed / 10, "masked_accuracy": 0.12, "chance_accuracy": 1 / 1024}
        summary |= {"commonest_accuracy": 0.03, "perplexity": 412.0, "dead_share": 0.1}
        pretraining = result("Conformer", "encoder", "pretrain", seed, summary | {"steps": 1500, "audio_hours": 33.3})
        results.append(replace(pretraining, stage="pretrain", split="val", layer=None, tracks=()))
    return results


def only_table(results: list[RunResult], stage: Stage = "probe") -> Table:
    board = build(results)
    (table,) = [table for table in (*board.tables, *board.pretraining) if table.stage == stage]
    return table


def text_of(board_page: str) -> str:
    class Reader(HTMLParser):
        seen = ""

        def handle_data(self, data: str) -> None:
            self.seen += data + "\n"

    reader = Reader()
    reader.feed(board_page)
    return reader.seen


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


def with_marble(runs: list[RunResult]) -> list[RunResult]:
    """Runs that were evaluated under MARBLE's protocol too, where there is one of the task."""
    return [
        replace(run, others={"marble": Evaluation(dict.fromkeys(run.summary, 0.125))})
        if run.task in ("beat", "chord", "key", "tagging")
        else run
        for run in runs
    ]


def test_another_protocol_has_its_own_tables() -> None:
    runs = with_marble(study())
    table = only_table(runs)
    assert (table.protocol, table.other_protocols) == ("musicfm", ("marble",))
    assert "0.125" not in markdown(build(runs))
    assert "(the same runs also under marble: --protocol NAME)" in markdown(build(runs))

    board = build(under(runs, "marble"))
    (table,) = board.tables
    assert table.protocol == "marble"
    assert {column.task for column in table.columns} == {"beat", "chord", "key", "tagging"}, "structure has no such"
    assert {value for row in table.rows for cell in row.cells for value in cell.values} == {0.125}
    assert [table.protocol for table in board.pretraining] == ["musicfm"]
    for text in (markdown(board), text_of(page(board))):
        assert "Probing on dcml, protocol marble" in text
    with pytest.raises(ValueError, match="--protocol: no result is under 'mirax'; there are musicfm, marble"):
        under(runs, "mirax")


def test_layers_of_one_name_are_rows_and_doubles_are_refused() -> None:
    runs = [replace(run, layer=layer, run=f"{run.run}/{layer}") for run in study()[:5] for layer in (1, 2, None)]
    labels = [row.label for row in only_table(runs).rows]
    assert labels == [f"Conformer, pretrained, {layer}" for layer in ("all layers", "layer 1", "layer 2")]
    with pytest.raises(ValueError, match=r"claim the same place of a table .*'Conformer, pretrained', beat, seed 0"):
        build([*study(), replace(study()[0], run="again")])


def test_the_same_bytes_whatever_the_order() -> None:
    runs = study()
    shuffled = random.Random(1).sample(runs, len(runs))
    for form in (markdown, comma_separated, page):
        assert form(build(runs)) == form(build(shuffled))


def test_published_and_ours_never_share_a_table() -> None:
    text = markdown(build(study()))
    ours, theirs = text.split("## Published")
    for row in published()[1]:
        assert row[0] not in ours
    for name, _, _ in ROWS:
        assert name not in theirs
    assert "arXiv 2311.03318" in theirs


def test_published_is_the_study() -> None:
    path = Path(__file__).parents[2].parent / "shared" / "study.md"
    if not path.exists():
        pytest.skip("the study's summary lies outside the repository and is not here")
    lines = [line for line in path.read_text().splitlines() if re.match(r"\| (FM\d|state of)", line)]
    expected = [[cell.strip() for cell in line.strip("| ").split("|")] for line in lines]
    ours = [[re.sub(r"^0\.", ".", cell) for cell in row] for row in published()[1]]
    assert [row[1:] for row in ours] == [row[1:] for row in expected]
    assert [row[0].lower() for row in ours] == [row[0].lower() for row in expected]


def test_every_form_says_what_a_table_is_of() -> None:
    board = build(study())
    console = Console(record=True, width=80, file=io.StringIO())
    show(board, console)
    for text in (markdown(board), text_of(page(board)), console.export_text()):
        flat = " ".join(text.split())
        for said in (
            "CC BY-NC-SA 4.0",
            "synthetic tempo",
            "structure of plain mel",
            "not run",
            "n/d",
            "3 (0, 1, 2)",
        ):
            assert said in flat
        assert "does not gain in Key acc" in flat
        for said in ("0.120", "0.0010", "0.030", "412.0", "1,500", "33.3"):
            assert said in flat
        assert "± 0.0000" not in flat, "chance has no spread"


def test_the_page_stands_alone() -> None:
    text = page(build(study()))
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", text)
    assert re.search('name="viewport"', text)
    drawings = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert len(drawings) == 3 * 8 - 2
    for drawing in drawings:
        places = [float(at.get("cx", "")[:-1]) for at in ElementTree.fromstring(drawing).iter("circle")]
        assert len(places) == 3
        assert all(0 <= place <= 100 for place in places)
    hostile = [replace(run, corpus_note="<b>&") for run in study()]
    assert "&lt;b&gt;&amp;" in page(build(hostile))


def test_the_csv_has_every_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(comma_separated(build(study())))))
    (waltz,) = [row for row in rows if row["metric"] == "ap/waltz" and row["name"] == "plain mel"]
    values = [r.summary["ap/waltz"] for r in study() if r.name == "plain mel" and r.task == "tagging"]
    assert float(waltz["mean"]) == pytest.approx(np.mean([v for v in values if v is not None]), rel=1e-15)
    assert waltz["seeds"] == "0 1 2"
    (undefined,) = [r for r in rows if r["metric"] == "frame_accuracy" and r["name"] == "Conformer, random"]
    assert (undefined["mean"], undefined["num_seeds"]) == ("", "0")


def test_a_cell_with_fewer_seeds_says_so() -> None:
    runs = [run for run in study() if not (run.name == "plain mel" and run.task == "key" and run.seed == 1)]
    assert "(2 seeds)" in markdown(build(runs))
    assert Cell({0: 0.5}).std is None


def test_the_command_writes_three_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for run in study():
        write_result(tmp_path / "runs" / run.run, run)
    out = tmp_path / "out"
    # A directory inside another one counts once.
    roots = f"[{tmp_path / 'runs'}, {tmp_path / 'runs' / 'probe'}]"
    auto_cli(leaderboard, args=["--results", roots, "--out", str(out)])
    printed = capsys.readouterr().out
    assert "Probing on dcml" in printed
    assert sorted(path.name for path in out.iterdir()) == [
        "LEADERBOARD.md",
        "leaderboard.csv",
        "leaderboard.html",
    ]
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    auto_cli(leaderboard, args=["--results", str(tmp_path / "runs"), "--out", str(out)])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first
    assert first["LEADERBOARD.md"].decode() == markdown(build(study()))
    for run in with_marble(study()):
        write_result(tmp_path / "runs" / run.run, run)
    auto_cli(leaderboard, args=["--results", str(tmp_path / "runs"), "--out", str(out), "--protocol", "marble"])
    assert "protocol marble" in (out / "LEADERBOARD.md").read_text()


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no results\.json under .*; run a grid first"):
        leaderboard(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
