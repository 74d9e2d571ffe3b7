"""Grids: what a YAML expands to, where cells stand, and what is refused."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tiny_grid

from musicfm_pl.cell_choice import chosen_cells, ready_cells
from musicfm_pl.cells import GridError, read_grid
from musicfm_pl.grid import Status, all_statuses, grid, last_lines
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import RunResult, write_result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_grid.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_expands_to_cells(here: Path) -> None:
    cells = read_grid(here / "grid.yaml")
    assert len(cells) == 12
    assert cells[6].run == "probe/plain mel/seed0"
    assert cells[6].run_dir == Path("runs/probe/plain mel/seed0")
    # The space is in the value, so it does not divide the argument.
    assert cells[6].commands[0] == (
        "fit",
        "--encoder",
        "plain mel",
        "--run_dir",
        "runs/probe/plain mel/seed0",
    )
    assert cells[6].needs == ("pretrain/seed0",)
    assert cells[-1].needs == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("root: runs\n", "grid.yaml: missing stages"),
        ("- a\n", r"grid.yaml: needs the keys root, stages, but has \['a'\]"),
        ("root: [\n", "grid.yaml: no YAML"),
        ("root: runs\nstages: []\n", r"stages: \[\] is no list with something in it"),
        ("root: runs\nstages: [{run: a, command: [b]}]\n", r"stages\[0\]: unknown key command"),
        ("root: runs\nstages: [{run: a, commands: b}]\n", r"stages\[0\].commands: 'b' is no list"),
        (
            "root: runs\nstages: [{run: a, commands: ['b {sed}']}]\n",
            r"commands\[0\]: unknown placeholder \{sed\}",
        ),
        ("root: runs\nstages: [{run: a, commands: ['b {']}]\n", r"commands\[0\]: .*brace"),
        ("root: runs\nstages: [{run: a, commands: ['b \"']}]\n", r"commands\[0\]: No closing quotation"),
        ("root: runs\nstages: [{run: ../a, commands: [b]}]\n", r"stages\[0\].run: '../a' is no plain path"),
        (
            "root: runs\nstages: [{run: a, axes: [1], commands: [b]}]\n",
            r"stages\[0\].axes: \[1\] is no mapping",
        ),
        (
            "root: runs\nstages: [{run: a, axes: {s: 1}, commands: [b]}]\n",
            r"stages\[0\].axes.s: 1 is no list",
        ),
        ("root: runs\nstages: [{run: a, axes: {s: [1, 2]}, commands: [b]}]\n", r"\.run: a is there twice"),
        ("root: runs\nstages: [{run: a, commands: [b], needs: [c]}]\n", r"stages\[0\].needs: c is no run"),
        (
            "root: runs\nstages: [{run: a, commands: [x], needs: [b]}, {run: b, commands: [x], needs: [a]}]\n",
            "needs: a circle, (a needs b needs a|b needs a needs b)",
        ),
    ],
)
def test_says_what_is_wrong_with_a_grid(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "grid.yaml").write_text(text)
    with pytest.raises(GridError, match=message):
        read_grid(tmp_path / "grid.yaml")


def test_a_pattern_that_fits_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(GridError, match="--only: probe fits none of the 12 runs"):
        grid(here / "grid.yaml", only="probe")
    grid(here / "grid.yaml", only="*/seed2")
    assert "4 cells: 3 waiting, 1 to run" in capsys.readouterr().out


def test_a_stale_result_is_refused_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One pretraining was made with another seed than is asked for now; its probes were made from it."""
    (here / "grid.yaml").write_text((here / "grid.yaml").read_text().replace('["test --seed', '["fit --seed'))
    cells = read_grid(here / "grid.yaml")
    record = {"seed_everything": 5}
    for cell in cells:
        if cell.run in ("pretrain/seed1", "probe/random/seed1"):
            found = RunResult(
                *(cell.run, "Conformer", "encoder", "probe", "beat", "musicfm", "tiny", "", "CC0", "test"),
                *(1, 0, None, 9, config_digest(record), {}, {}, 0.1, {"beat_f": 1.0}),
            )
            write_result(cell.run_dir, found)
    (here / "runs/pretrain/seed1/config.yaml").write_text("seed_everything: 5\n")
    statuses = all_statuses(cells)
    assert statuses["pretrain/seed1"] == Status("stale", "seed_everything: 5, asked is 1")
    assert statuses["probe/random/seed1"].state == "stale"
    assert statuses["probe/pretrained/seed1"] == Status("waiting", "for pretrain/seed1")
    grid(here / "grid.yaml")
    assert "12 cells: 2 stale, 8 waiting, 2 to run" in capsys.readouterr().out
    for only in (None, "pretrain/seed1", "probe/pretrained/seed1"):
        with pytest.raises(GridError, match=r"pretrain/seed1: seed_everything: 5, asked is 1(.|\n)*Remove their"):
            grid(here / "grid.yaml", launch="local", only=only)
    assert len(ready_cells(chosen_cells(cells, "pretrain/seed[02]"), statuses)) == 2, "the others can be run"


def test_lists_without_running(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    grid(here / "grid.yaml")
    assert "12 cells: 9 waiting, 3 to run" in capsys.readouterr().out
    assert not (here / "runs").exists()


def test_a_result_that_is_none_does_not_count(here: Path) -> None:
    cells = read_grid(here / "grid.yaml")
    cells[-1].run_dir.mkdir(parents=True)
    (cells[-1].run_dir / "results.json").write_text("{}")
    found = all_statuses(cells)[cells[-1].run]
    assert found.state == "to run"
    assert "results.json: schema None" in found.detail


def test_no_jobs_and_costs_of_a_launch_are_refused(here: Path) -> None:
    with pytest.raises(ValueError, match="--jobs: 0"):
        grid(here / "grid.yaml", launch="local", jobs=0)
    with pytest.raises(ValueError, match="--costs tells what cells take before"):
        grid(here / "grid.yaml", launch="local", costs=True)


def test_the_end_of_a_log_has_no_overwritten_lines(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_bytes(b"one\ntwo 1%\rtwo 50%\rtwo 100%\n\x1b[A\x1b[32mthree\x1b[0m\r\n\n")
    assert last_lines(tmp_path / "log.txt", 2) == "two 100%\nthree"


def test_answers_without_torch(here: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        import musicfm_pl.leaderboard, musicfm_pl.launch
        from musicfm_pl.grid import grid
        grid(Path("grid.yaml"))
        heavy = {"torch", "lightning", "torchmetrics", "mir_eval"} & set(sys.modules)
        assert not heavy, heavy
        """
    )
    subprocess.run([sys.executable, "-c", code], cwd=here, check=True, capture_output=True)
