"""`musicfm curves` on logs that torch's own writer made."""

from __future__ import annotations

import csv
import os
import xml.etree.ElementTree
from pathlib import Path

import command
import pytest
from torch.utils.tensorboard import SummaryWriter

from musicfm_pl.curves import FIGURES, read_curves


def logged(run: Path, values: dict[str, dict[int, float]]) -> None:
    with SummaryWriter(str(run)) as writer:
        for name, curve in values.items():
            for step, value in curve.items():
                writer.add_scalar(name, value, step)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    root = tmp_path / "runs"
    use = {"val/perplexity": {10: 200.0, 20: 210.0}, "val/dead_codes": {10: 3.0, 20: 2.0}, "train/loss": {1: 6.0}}
    logged(root / "kmeans" / "seed0", {"val/loss_above_chance": {10: -0.5, 20: -1.25}, **use})
    logged(root / "random" / "seed0", {"val/loss_above_chance": {10: -0.25}})
    return root


def test_curves_are_those_of_the_logs(runs: Path) -> None:
    found = read_curves(runs)
    assert list(found) == ["kmeans/seed0", "random/seed0"]
    assert found["kmeans/seed0"]["loss_above_chance"] == {10: -0.5, 20: -1.25}
    assert found["kmeans/seed0"]["dead_codes"] == {10: 3.0, 20: 2.0}
    assert set(found["random/seed0"]) == {"loss_above_chance"}


def test_of_a_run_that_went_on_the_later_value_stands(runs: Path) -> None:
    first = next((runs / "random" / "seed0").glob("events.*"))
    first = first.rename(first.with_name("events.out.tfevents.1.first"))
    logged(runs / "random" / "seed0", {"val/loss_above_chance": {10: -0.3, 20: -0.5}})
    os.utime(first, (2**31, 2**31))  # as if copied last
    assert read_curves(runs)["random/seed0"]["loss_above_chance"] == pytest.approx({10: -0.3, 20: -0.5})


def test_names_of_runs_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logged(tmp_path / "runs" / "R&B [bold]", {"val/perplexity": {10: 200.0}})
    command.succeed("curves", "--runs", tmp_path / "runs")
    assert "R&B [bold]" in capsys.readouterr().out


def test_the_command_shows_and_writes_them(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed("curves", "--runs", runs, "--out", tmp_path / "out")
    told = capsys.readouterr().out
    assert "kmeans/seed0" in told and "-1.25" in told
    with (tmp_path / "out" / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["run"], row["step"]) for row in rows] == [
        ("kmeans/seed0", "10"), ("kmeans/seed0", "20"), ("random/seed0", "10"),
    ]  # fmt: skip
    assert float(rows[1]["loss_above_chance"]) == -1.25 and rows[2]["perplexity"] == ""
    svg = xml.etree.ElementTree.parse(tmp_path / "out" / "curves.svg").getroot()
    lines = svg.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert len(lines) == 4, "loss of both, perplexity and dead codes of one"
    # Of a panel from -1.25 to -0.25 and up to step 20, 300 wide and 170 high: -0.5 lies a quarter below its top.
    assert lines[0].get("points") == "150.0,42.5 300.0,170.0"
    texts = {text.text for text in svg.iter("{http://www.w3.org/2000/svg}text")}
    assert set(FIGURES.values()) | {"kmeans/seed0", "random/seed0"} <= texts


def test_nothing_to_show_is_said(tmp_path: Path) -> None:
    code, message = command.fail("curves", "--runs", tmp_path)
    assert code == 2 and f"no pretraining run below {tmp_path} has been validated" in message
