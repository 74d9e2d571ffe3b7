"""What the cells of a grid are said to take, beside what `musicfm plan` says of one, and what is really there."""

from __future__ import annotations

import json
from pathlib import Path

import command
import pytest
from rich.console import Console

import musicfm_pl.costs.cell_costs
from musicfm_pl.cells import Cell, read_grid
from musicfm_pl.costs.cards import card_named
from musicfm_pl.costs.cell_costs import Costs, Estimator
from musicfm_pl.costs.grid_costs import show_costs
from musicfm_pl.grid import Status
from musicfm_pl.results import RunResult, write_result

GRID = """\
root: runs
stages:
  - run: pretrain/{{length}}/seed{{seed}}
    axes: {{length: [5, 30], seed: [0, 1]}}
    commands:
      - fit --config {here}/demo/pretrain.yaml --config {here}/axes/length/{{length}}s.yaml --seed_everything {{seed}}
        --trainer.precision bf16-mixed --run_dir {{run_dir}}
  - run: "{{kind}}/{{layer}}/seed{{seed}}"
    axes: {{kind: [pretrained, random], layer: [1, 2], seed: [0, 1]}}
    needs: ["pretrain/5/seed{{seed}}"]
    commands:
      - fit --config {here}/demo/beat.yaml --config {here}/demo/{{kind}}.yaml --model.layer {{layer}}
        --model.encoder.run runs/pretrain/5/seed{{seed}} --seed_everything {{seed}} --run_dir {{run_dir}}
      - test --run_dir {{run_dir}}
  - run: finetune
    commands:
      - fit --config {here}/demo/beat.yaml --config {here}/demo/pretrained.yaml --config {here}/modes/finetune.yaml
        --model.encoder.run runs/pretrain/30/seed0 --trainer.precision bf16-mixed --run_dir {{run_dir}}
  - run: exact
    commands:
      - fit --config {here}/demo/beat.yaml --config {here}/demo/pretrained.yaml --config {here}/modes/finetune.yaml
        --model.encoder.run runs/pretrain/30/seed0 --run_dir {{run_dir}}
  - run: mel
    commands: ["fit --config {here}/demo/key.yaml --config {here}/demo/mel.yaml --run_dir {{run_dir}}"]
  - run: stranger
    commands:
      - fit --config {here}/demo/key.yaml --config {here}/demo/pretrained.yaml --model.encoder.run runs/elsewhere
        --run_dir {{run_dir}}
  - run: endless
    commands: ["fit --config {here}/demo/pretrain.yaml --trainer.max_steps -1 --run_dir {{run_dir}}"]
  - run: kmeans
    commands:
      - kmeans --root data/dcml-demo --out {{run_dir}}/k.safetensors
      - fit --config {here}/demo/pretrain.yaml --config {here}/axes/tokens/kmeans.yaml
        --model.tokenizer.file {{run_dir}}/k.safetensors --run_dir {{run_dir}}
  - run: shelf
    commands: ["baseline --task beat --root data/dcml-demo --run_dir {{run_dir}}"]
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    file = tmp_path_factory.mktemp("grid") / "grid.yaml"
    file.write_text(GRID.format(here=command.EXPERIMENTS))
    return read_grid(file)


@pytest.fixture(scope="module")
def found(cells: list[Cell], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Costs]:
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(tmp_path_factory.mktemp("nothing prepared"))
        estimator = Estimator(cells, card_named("h100"))
        return {cell.run: estimator.costs(cell) for cell in cells}


def test_a_pretraining_takes_what_plan_says(found: dict[str, Costs], capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"--config={command.EXPERIMENTS}/{name}.yaml" for name in ("demo/pretrain", "axes/length/30s")]
    command.succeed("plan", *files, "--trainer.precision", "bf16-mixed", "--card", "h100", "--json")
    figures = json.loads(capsys.readouterr().out)
    costs = found["pretrain/30/seed0"]
    assert costs.parameters == figures["parameters"]["total"] - figures["parameters"]["prediction"]
    assert costs.gpu_hours == figures["gpu_hours"] and costs.memory == figures["memory"]["total"]
    assert costs.steps == 1000 and costs.audio_hours == pytest.approx(1000 * 8 * 30 / 3600)
    assert costs.tokens == 1000 * 8 * 30 * 25
    assert found["pretrain/30/seed1"] == costs, "a seed costs nothing"
    assert found["pretrain/5/seed0"].audio_hours == pytest.approx(1000 * 8 * 5 / 3600)


def test_a_task_takes_the_encoder_of_its_cell(found: dict[str, Costs]) -> None:
    probe, finetune = found["random/1/seed0"], found["finetune"]
    assert probe.parameters == finetune.parameters == found["pretrain/5/seed0"].parameters
    assert probe.steps == 300 and probe.audio_hours == pytest.approx(300 * 8 * 6 / 3600)
    assert probe.tokens == 300 * 8 * 6 * 25
    assert (probe.gpu_hours, probe.memory) == (None, None) and probe.remark == "hours once data/dcml-demo is prepared"
    # Of both, encoder and audio are the same: what is left is the prediction, which is small.
    alike = found["pretrain/5/seed0"]
    assert finetune.gpu_hours and finetune.audio_hours and alike.gpu_hours and alike.audio_hours
    assert finetune.gpu_hours / finetune.audio_hours == pytest.approx(alike.gpu_hours / alike.audio_hours, rel=0.2)
    assert finetune.memory and alike.memory and 0.5 < finetune.memory / alike.memory < 2
    assert found["mel"].parameters == 0
    # In float32 products have a fifteenth of the peak, convolutions half.
    exact = found["exact"].gpu_hours
    assert exact and 2 < exact / finetune.gpu_hours < 989.4 / 66.9


def test_what_cannot_be_told_says_why(found: dict[str, Costs]) -> None:
    stranger = found["stranger"]
    assert stranger.parameters is None and stranger.steps == 300 and stranger.remark == "after runs/elsewhere"
    assert found["endless"].gpu_hours is None and "the run has no end" in found["endless"].remark
    assert found["shelf"] == Costs()
    assert found["kmeans"].parameters == found["pretrain/5/seed0"].parameters and found["kmeans"].gpu_hours


def test_hidden_states_are_counted_where_they_are_first_wanted(
    cells: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two layers of one encoder share them; other weights do not."""
    estimator = Estimator(cells, card_named("h100"))
    monkeypatch.setattr(estimator, "_hours_of", lambda root: 100.0)
    hours = {cell.run: estimator.costs(cell).gpu_hours for cell in cells}
    first = hours["pretrained/1/seed0"]
    assert first and hours["pretrained/1/seed1"] == hours["random/1/seed0"] == hours["random/1/seed1"] == first
    assert hours["pretrained/2/seed0"] == hours["random/2/seed1"] == 0


def test_a_configuration_is_looked_at_once(cells: list[Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[str] = []
    plan = musicfm_pl.costs.cell_costs.plan
    monkeypatch.setattr(musicfm_pl.costs.cell_costs, "plan", lambda *given: planned.append("one") or plan(*given))
    estimator = Estimator(cells, card_named("h100"))
    for cell in cells[:4]:
        estimator.costs(cell)
    assert len(planned) == 2, "of four cells two differ in their seed alone"


def test_a_cell_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    lost = Cell("lost", tmp_path, (("fit", "--config", "nowhere.yaml"),), ())
    assert "there is no file nowhere.yaml" in Estimator([lost], card_named("h100")).costs(lost).remark


def test_the_table_has_a_total_and_what_was_taken(cells: list[Cell], tmp_path: Path) -> None:
    done = Cell("pretrain/5/seed0", tmp_path, cells[0].commands, ())
    of = ("Conformer", "encoder", "pretrain", "pretrain", "musicfm", "tiny", "", "CC0", "val", 1, 0, None, 9, "00")
    write_result(tmp_path, RunResult("pretrain/5/seed0", *of, {}, {}, 3725.0, {"val_loss": 1.0}))
    statuses = {done.run: Status("done"), cells[1].run: Status("to run")}
    console = Console(record=True, width=200)
    show_costs([done, *cells[1:]], [done, cells[1]], statuses, "h100", console)
    said = console.export_text()
    assert "1.83 M" in said and "≥ 1:02:05" in said
    assert "took: 1:02:05 in the last commands of 1 cells whose wall time was not counted" in said
    assert "2 cells: 1 done, 1 to run" in said
    assert "all:  2 cells, 22.2 h of audio heard, <0.01 hours of one H100" in said
    assert "left: 1 cells, 11.1 h of audio heard" in said
    # A launcher counts all commands.
    (tmp_path / "wall_time.json").write_text('{"seconds": 7384.2, "starts": 2}')
    show_costs([done, *cells[1:]], [done, cells[1]], statuses, "h100", console)
    said = console.export_text()
    assert "took: 2:03:04, the wall times of 1 cells added up" in said
    assert "≥" not in said and "last commands" not in said
