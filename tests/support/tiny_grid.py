"""A grid of twelve cells that take a moment, and its launchers as processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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


def write(folder: Path) -> None:
    """The grid, what its cells run, and a program that launches them."""
    (folder / "grid.yaml").write_text(GRID.format(root="runs"))
    (folder / "tiny_entry.py").write_text(ENTRY)
    (folder / "launch_tiny.py").write_text(LAUNCH)


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
