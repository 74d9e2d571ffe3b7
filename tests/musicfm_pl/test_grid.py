"""Grids: what a YAML expands to, and real launchers that are killed, interrupted, doubled and let down."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rich.console import Console

from musicfm_pl.cell_choice import chosen_cells, ready_cells
from musicfm_pl.cells import GridError, read_grid
from musicfm_pl.grid import Status, all_statuses, grid, is_locked, last_lines, show
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import RunResult, write_result

GRID = """\
root: {root}
stages:
  - run: probe/{{encoder}}/seed{{seed}}
    axes:
      encoder: [pretrained, random, plain mel]
      seed: [0, 1, 2]
    needs: ["pretrain/seed{{seed}}"]
    commands:
      - fit --encoder {{encoder}} --run_dir {{run_dir}}
      - test --run_dir {{run_dir}}
  - run: pretrain/seed{{seed}}
    axes: {{seed: [0, 1, 2]}}
    commands: ["test --seed_everything {{seed}} --run_dir {{run_dir}}"]
"""

ENTRY = """\
import os, sys, time
from pathlib import Path
from musicfm_pl.results import RunResult, write_result

def ledger(*words):
    handle = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (" ".join(words) + "\\n").encode())
    os.close(handle)

def main(arguments):
    run = Path(arguments[-1])
    assert sys.argv[1:] == arguments
    print("hello from", run)
    if arguments[0] == "fit":
        time.sleep(float(os.environ.get("FIT_S", "0")))
        return
    ledger("begin", str(run))
    time.sleep(0.15)
    if os.environ.get("FAIL") == run.as_posix():
        raise SystemExit("no luck")
    if os.environ.get("EMPTY") == run.as_posix():
        return
    write_result(run, RunResult(
        run.as_posix(), "Conformer", "encoder", "probe", "beat", "musicfm", "tiny", "", "CC0", "test",
        1, 0, None, 9, "00", {}, {}, 0.1, {"beat_f": 1.0}))
    ledger("end", str(run))
"""

LAUNCH = """\
import os, sys
from pathlib import Path
from rich.console import Console
from musicfm_pl.cell_choice import chosen_cells, ready_cells
from musicfm_pl.cells import read_grid
from musicfm_pl.grid import all_statuses
from musicfm_pl.launch import run_cells
if __name__ == "__main__":
    cells = read_grid(Path("grid.yaml"))
    cells = ready_cells(chosen_cells(cells, os.environ.get("ONLY", "*")), all_statuses(cells))
    jobs = int(sys.argv[1])
    sys.exit(run_cells(cells, jobs, Console(), entry="tiny_entry:main", preload=["musicfm_pl.results"]))
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "grid.yaml").write_text(GRID.format(root="runs"))
    (tmp_path / "tiny_entry.py").write_text(ENTRY)
    (tmp_path / "launch_tiny.py").write_text(LAUNCH)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def launcher(here: Path, jobs: int = 2, **environment: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "launch_tiny.py", str(jobs)],
        cwd=here,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(here), *sys.path])} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def launch(here: Path, jobs: int = 2, **environment: str) -> tuple[int, str]:
    with launcher(here, jobs, **environment) as process:
        output, _ = process.communicate(timeout=60)
        return process.returncode, output


def counts(here: Path, word: str) -> Counter[str]:
    ledger = here / "ledger"
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return Counter(line.split(" ", 1)[1] for line in lines if line.startswith(word))


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


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
