"""Real launchers of grids that are killed, interrupted, doubled and let down."""

from __future__ import annotations

import re
import signal
from collections import Counter
from pathlib import Path

import pytest
import tiny_grid
from rich.console import Console
from tiny_grid import counts, launch, launcher, until

from musicfm_pl.cells import GridError, read_grid
from musicfm_pl.grid import all_statuses, grid, is_locked, last_lines, show
from musicfm_pl.results import ResultError, read_result
from musicfm_pl.wall_time import duration, read_wall_time


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny_grid.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_killed_half_way_it_goes_on(here: Path) -> None:
    with launcher(here) as process:
        until(lambda: counts(here, "end").total() >= 5)
        process.send_signal(signal.SIGKILL)
        process.wait()
    cells = read_grid(here / "grid.yaml")
    # The cells stop with their launcher, and leave no lock behind.
    until(lambda: not any(is_locked(cell) for cell in cells))
    ended = counts(here, "end")
    assert 5 <= ended.total() < 12

    code, output = launch(here)
    assert code == 0, output
    assert f"12 cells, {ended.total()} done already" in output
    assert counts(here, "end") == {cell.run_dir.as_posix(): 1 for cell in cells}
    assert {found.state for found in all_statuses(cells).values()} == {"done"}

    code, output = launch(here)
    assert code == 0
    assert counts(here, "begin").total() < 12 + 3, "what is done is not repeated"
    assert "start" not in output


def test_two_launchers_share_a_grid(here: Path) -> None:
    with launcher(here) as first, launcher(here) as second:
        outputs = [process.communicate(timeout=60)[0] for process in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0], outputs
    assert counts(here, "begin") == {cell.run_dir.as_posix(): 1 for cell in read_grid(here / "grid.yaml")}


@pytest.mark.parametrize(
    ("variable", "reason"),
    [("FAIL", "no luck"), ("EMPTY", "left no valid results.json in runs/pretrain/seed1")],
)
def test_a_failing_cell_stops_only_what_needs_it(
    here: Path, variable: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, output = launch(here, **{variable: "runs/pretrain/seed1"})
    assert code == 1
    assert "FAILED  pretrain/seed1" in output
    assert "pretrain/seed1 failed; the last lines of runs/pretrain/seed1/log.txt:" in output
    assert reason in output
    assert "blocked probe/plain mel/seed1: needs pretrain/seed1" in output
    assert "8 of 12 cells are done, 1 failed" in output

    cells = read_grid(here / "grid.yaml")
    states = Counter(found.state for found in all_statuses(cells).values())
    assert states == {"done": 8, "failed": 1, "waiting": 3}
    show(all_statuses(cells), Console(width=300))
    shown = capsys.readouterr().out
    assert re.search(rf"after 0:\d\d: exit code 1: [^│]*{reason}; see runs/pretrain/seed1/log.txt", shown)
    assert "12 cells: 8 done, 1 failed, 3 waiting" in shown

    # What failed is tried again.
    code, output = launch(here)
    assert code == 0, output
    assert "12 of 12 cells are done" in output
    took = {cell.run: read_wall_time(cell.run_dir) for cell in cells}
    assert {run: found.starts for run, found in took.items() if found} == {
        cell.run: 2 if cell.run == "pretrain/seed1" else 1 for cell in cells
    }


def test_the_wall_time_is_of_all_commands_and_is_told(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A probe's `fit` takes a second here, its `test` next to nothing: what `results.json` knows."""
    launch(here, ONLY="pretrain/seed0")
    grid(here / "grid.yaml", only="probe/*")
    assert "took:" not in capsys.readouterr().out
    launch(here, ONLY="probe/random/seed0", FIT_S="1")
    cell = next(cell for cell in read_grid(here / "grid.yaml") if cell.run == "probe/random/seed0")
    took = read_wall_time(cell.run_dir)
    assert took is not None and took.seconds >= 1 > read_result(cell.run_dir).seconds
    grid(here / "grid.yaml", only="probe/*")
    shown = capsys.readouterr().out
    assert f"took: {duration(took.seconds)}, the wall times of 1 cells added up" in shown
    assert "--costs true adds what each cell takes" in shown
    (cell.run_dir / "wall_time.json").write_text("{")
    with pytest.raises(ResultError, match=r"probe/random/seed0/wall_time.json: no wall time of a cell .*; remove it"):
        grid(here / "grid.yaml")


def test_one_cell_is_tried_again_alone(here: Path) -> None:
    """What it needs was done before; the others that are left stay as they are."""
    launch(here, FAIL="runs/pretrain/seed1")
    with pytest.raises(GridError, match=r"--only: what the cells need is not done: pretrain/seed1 \(failed\); run it"):
        grid(here / "grid.yaml", launch="local", only="probe/*/seed1")
    code, output = launch(here, ONLY="pretrain/seed1")
    assert code == 0 and "1 of 1 cells are done" in output, output
    code, output = launch(here, ONLY="probe/plain*/seed1")
    assert code == 0 and "1 of 1 cells are done" in output, output
    states = {run: found.state for run, found in all_statuses(read_grid(here / "grid.yaml")).items()}
    assert states.pop("probe/random/seed1") == states.pop("probe/pretrained/seed1") == "to run"
    assert set(states.values()) == {"done"}


def test_interrupted_it_stops_its_cells(here: Path) -> None:
    with launcher(here, FIT_S="60") as process:
        fits = read_grid(here / "grid.yaml")[:2]
        until(lambda: all(cell.log.exists() and "hello" in cell.log.read_text() for cell in fits))
        assert all_statuses(read_grid(here / "grid.yaml"))[fits[0].run].state == "running"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM, output
    assert not any(is_locked(cell) for cell in fits)
    assert "of 12 are done, launch again to go on" in output
    assert last_lines(fits[0].log, 1).startswith("[grid] stopped")
    assert all_statuses(read_grid(here / "grid.yaml"))[fits[0].run].state == "to run"
    code, output = launch(here)
    assert code == 0, output


def test_a_cell_killed_by_the_system_is_named(here: Path) -> None:
    (here / "tiny_entry.py").write_text("import os, signal\ndef main(_): os.kill(os.getpid(), signal.SIGKILL)\n")
    code, output = launch(here, jobs=3)
    assert code == 1
    assert re.search("FAILED  pretrain/seed0  0:0.  killed by SIGKILL, perhaps for want of memory", output)
