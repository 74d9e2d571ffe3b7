"""The leaderboard: averages, pairs, gaps, and the same bytes from the same results."""

from __future__ import annotations

import csv
import io
import random
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from jsonargparse import auto_cli
from rich.console import Console
from study_results import ROWS, only_table, study, text_of, with_marble

from musicfm_pl.leaderboard import build, leaderboard, published, under
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import comma_separated, markdown, show
from musicfm_pl.results import write_result


def test_another_protocol_has_its_own_tables() -> None:
    runs = with_marble(study())
    table = only_table(runs)
    assert (table.protocol, table.other_protocols) == ("musicfm", ("marble",))
    assert "0.125" not in markdown(build(runs))
    assert "(the same runs also under marble: `--protocol NAME`)" in markdown(build(runs))
    # A browser would break a line after a hyphen, but not in code as the page's style has it.
    assert "under marble: <code>--protocol NAME</code>)" in page(build(runs))
    assert "code { white-space: nowrap; }" in page(build(runs))

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


def test_names_of_many_encoders_are_whole_on_a_narrow_console() -> None:
    """As those of the layers of an encoder, which differ in their last word."""
    runs = [
        replace(run, name=f"Conformer, 12 layers, pretrained, layer {layer}", run=f"{run.run}/{layer}")
        for run in study()
        if run.name == "plain mel"
        for layer in range(6)
    ]
    console = Console(record=True, width=80, file=io.StringIO())
    show(build(runs), console)
    said = console.export_text()
    table = said[said.index("Beat F1") :]
    assert "…" not in table and max(map(len, said.splitlines())) <= 80
    assert all(f"\nlayer {layer} " in table for layer in range(6))


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
    lines = first["LEADERBOARD.md"].decode().splitlines()
    unverified = [line for line in lines if line.startswith("- Unverified: the configuration, since no config.yaml")]
    assert len(unverified) == 2, "of probing and pretraining, whose results lie there alone"
    assert [line for line in lines if line not in unverified] == markdown(build(study())).splitlines()
    for run in with_marble(study()):
        write_result(tmp_path / "runs" / run.run, run)
    auto_cli(leaderboard, args=["--results", str(tmp_path / "runs"), "--out", str(out), "--protocol", "marble"])
    assert "protocol marble" in (out / "LEADERBOARD.md").read_text()


def test_no_results_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no results\.json under .*; run a grid first"):
        leaderboard(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
