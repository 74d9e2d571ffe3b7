"""A real Slurm on this machine: runs that are preempted, that lose their node, and grids as arrays."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import command
import pytest
from one_slurm import PATIENCE_S, SCRIPT, ended, job_state, of_job, tool, until
from rich.console import Console
from same_run import assert_same, checkpoint

from musicfm_pl.cells import Cell, read_grid
from musicfm_pl.grid import all_statuses, grid, is_locked

# Where Slurm is installed, Lightning says that one might want to use it.
pytestmark = [pytest.mark.slurm, pytest.mark.filterwarnings("ignore:The `srun` command is available")]

STEPS = 8
SLOWLY = (
    *("--checkpoint.every_n_train_steps", "1"),
    *("--trainer.callbacks+=interruptions.Pause", "--trainer.callbacks.pause_s", "1"),
)


def test_two_tasks_are_preempted_and_go_on(slurm: Path, prepared: Path, run_of_two_ranks: Path, tmp_path: Path) -> None:
    """By the template: two ranks are told by Slurm, save, are queued anew, and end as if nothing had been."""
    run = tmp_path / "run"
    job = tool(
        *("sbatch", "--parsable", "--gpus-per-node=0", "--cpus-per-task=1", "--ntasks-per-node=2"),
        *(f"--output={tmp_path}/log.txt", command.EXPERIMENTS / "slurm" / "fit.sbatch"),
        *command.two_ranks(prepared, run, *SLOWLY),
    ).strip()
    until(lambda: (run / "checkpoints" / "last.ckpt").exists() or ended(job), "the first checkpoint")
    tool("scancel", "--signal=USR1", job)
    until(lambda: job_state(job)["Restarts"] == "1" or ended(job), "queued anew")
    log = (tmp_path / "log.txt").read_text()
    stopped = re.search(r"saved after step (\d+)", log)
    assert stopped, log
    assert checkpoint(run)["global_step"] == int(stopped[1]) < STEPS
    until(lambda: ended(job), "the end of the job")
    state = job_state(job)
    assert (state["JobState"], state["ExitCode"], state["Restarts"]) == ("COMPLETED", "0:0", "1")
    assert (run / "results.json").exists()
    assert_same(run, run_of_two_ranks)


def test_a_run_is_preempted_and_then_loses_its_node(slurm: Path, prepared: Path, tmp_path: Path) -> None:
    """A single run through submitit: told to stop, it is queued anew; its node gone and back, it is picked up again."""
    run, whole = tmp_path / "run", tmp_path / "whole"
    launch = ("--launch", "slurm", "--slurm.partition", "main")
    arguments = command.pretraining(prepared, run, STEPS, *SLOWLY)
    command.succeed("fit", *arguments, *launch)
    job = (run / ".slurm_job").read_text().strip()
    code, said = command.fail("fit", *arguments, *launch)
    assert code == 2
    assert f"was given to Slurm already, as job {job}" in said

    last = run / "checkpoints" / "last.ckpt"
    until(lambda: last.exists() or ended(job), "the first checkpoint")
    tool("scancel", "--signal=USR2", job)
    until(lambda: job_state(job)["Restarts"] == "1" or ended(job), "queued anew after it was preempted")
    stopped = checkpoint(run)["global_step"]
    assert 1 <= stopped < STEPS
    until(lambda: checkpoint(run)["global_step"] > stopped or ended(job), "on again")

    # As if the power had gone: Slurm's own processes, then the run, with no chance to say a word.
    node = int((slurm / "slurmd.pid").read_text())
    for pid in (node, *of_job(job)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    assert checkpoint(run)["global_step"] < STEPS
    until(lambda: job_state(job)["Restarts"] == "2", "queued anew after its node was lost")
    subprocess.run(["bash", str(SCRIPT), "slurmd", str(slurm)], check=True, timeout=120)
    until(lambda: ended(job), "the end of the job")
    assert job_state(job)["JobState"] == "COMPLETED"
    command.succeed("fit", *command.pretraining(prepared, whole, STEPS, *SLOWLY[:2]))
    assert_same(run, whole)
    assert json.loads((run / "results.json").read_text())["protocols"]


GRID = """\
root: runs
stages:
  - run: probe/{encoder}/seed{seed}
    axes: {encoder: [pretrained, random], seed: [0, 1]}
    needs: ["pretrain/seed{seed}"]
    commands: ["test {run_dir}"]
  - run: pretrain/seed{seed}
    axes: {seed: [0, 1]}
    commands: ["test {run_dir}"]
"""
ENTRY = """\
import os, sys, time
from pathlib import Path
from musicfm_pl.results import RunResult, write_result

def main(arguments):
    run = Path(arguments[-1])
    handle = os.open("ledger", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(handle, (f"{run} {os.environ.get('SLURM_JOB_ID', 'local')}\\n").encode())
    os.close(handle)
    time.sleep(1)
    if Path("bad").exists() and Path("bad").read_text() == run.as_posix():
        raise ValueError("no luck")
    write_result(run, RunResult(
        run.as_posix(), "Conformer", "encoder", "probe", "beat", "musicfm", "tiny", "", "CC0", "test",
        1, 0, None, 9, "00", {}, {}, 0.1, {"beat_f": 1.0}))
"""
LOCALLY = """\
from pathlib import Path
from rich.console import Console
from musicfm_pl.cells import read_grid
from musicfm_pl.launch import run_cells
if __name__ == "__main__":
    run_cells(read_grid(Path("grid.yaml")), 1, Console(), entry="tiny_entry:main", preload=["musicfm_pl.results"])
"""


@pytest.fixture
def cells(slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Cell]:
    """Of a grid whose commands take a second and need no torch; the present folder is where it lies."""
    (tmp_path / "grid.yaml").write_text(GRID)
    (tmp_path / "tiny_entry.py").write_text(ENTRY)
    (tmp_path / "locally.py").write_text(LOCALLY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]]))
    return read_grid(Path("grid.yaml"))


def submit(cells: list[Cell]) -> str:
    from musicfm_pl.slurm import submit_cells

    with Path("said").open("w") as file:
        submit_cells(cells, {"time": 60}, Console(file=file), entry="tiny_entry:main")
    return Path("said").read_text()


def ledger() -> Counter[str]:
    return Counter(line.split()[0] for line in Path("ledger").read_text().splitlines())


def jobs(cells: list[Cell]) -> dict[str, str]:
    return {cell.run: (cell.run_dir / ".slurm_job").read_text().strip() for cell in cells}


def test_a_grid_is_arrays_that_wait_for_one_another(cells: list[Cell], capsys: pytest.CaptureFixture[str]) -> None:
    said = submit(cells)
    given = jobs(cells)
    assert said.startswith("6 cells: 0 done, 0 given to Slurm before")
    arrays = {job.split("_")[0] for job in given.values()}
    assert len(arrays) == 3, "the pretraining runs, and for each the two probes of it"
    assert f"probe/random/seed1, after {given['pretrain/seed1']}" in said
    states = {found.state for found in all_statuses(cells).values()}
    assert states <= {"queued", "running", "done"}
    again = re.search(r"6 cells: (\d) done, (\d) given", submit(cells))
    assert again and int(again[1]) + int(again[2]) == 6
    assert jobs(cells) == given, "what Slurm has is not submitted again"

    # Another launcher at the same time: whoever comes first runs a cell, and the other leaves it alone.
    subprocess.run([sys.executable, "locally.py"], check=True, timeout=PATIENCE_S, stdout=subprocess.DEVNULL)
    until(lambda: all(ended(job) for job in given.values()), "the end of all jobs")
    assert {job_state(job)["JobState"] for job in given.values()} == {"COMPLETED"}
    assert ledger() == {cell.run_dir.as_posix(): 1 for cell in cells}
    order = [line.split()[0] for line in Path("ledger").read_text().splitlines()]
    for cell in cells:
        assert all(order.index(f"runs/{need}") < order.index(f"runs/{cell.run}") for need in cell.needs)
    grid(Path("grid.yaml"))
    assert "6 cells: 6 done" in capsys.readouterr().out
    assert "6 done" in submit(cells)
    assert jobs(cells) == given


def test_a_cell_that_fails_stops_only_what_needs_it(cells: list[Cell], capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad").write_text("runs/pretrain/seed1")
    submit(cells)
    first = jobs(cells)
    until(lambda: all(ended(job) for job in first.values()), "the end of all jobs")
    states = {run: job_state(job)["JobState"] for run, job in first.items()}
    assert states == {
        "pretrain/seed0": "COMPLETED",
        "pretrain/seed1": "FAILED",
        **{f"probe/{encoder}/seed0": "COMPLETED" for encoder in ("pretrained", "random")},
        **{f"probe/{encoder}/seed1": "CANCELLED" for encoder in ("pretrained", "random")},
    }
    found = {run: status.state for run, status in all_statuses(cells).items()}
    assert found["pretrain/seed1"] == "failed"
    assert found["probe/random/seed1"] == "waiting"
    log = Path("runs/pretrain/seed1/log.txt").read_text()
    assert "ValueError: no luck" in log
    assert log.splitlines()[-1] == "[grid] failed: no luck"

    Path("bad").unlink()
    submit(cells)
    second = jobs(cells)
    assert {run for run in second if second[run] != first[run]} == {run for run in states if run.endswith("seed1")}
    until(lambda: all(ended(job) for job in second.values()), "the end of all jobs")
    assert {status.state for status in all_statuses(cells).values()} == {"done"}
    assert ledger()["runs/pretrain/seed1"] == 2
    assert not any(is_locked(cell) for cell in cells)


def test_bad_parameters_are_told(slurm: Path, tmp_path: Path) -> None:
    config = textwrap.dedent("""\
        root: runs
        stages: [{run: a, commands: ["fit --config x.yaml"]}]
    """)
    (tmp_path / "grid.yaml").write_text(config)
    code, said = command.fail("grid", tmp_path / "grid.yaml", "--launch", "slurm", "--slurm.partitoin", "main")
    assert code == 2
    assert "partitoin" in said and "partition" in said
