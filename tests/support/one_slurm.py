"""Asking the Slurm that `tests/slurm/conftest.py` starts."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

SCRIPT = Path(__file__).parents[1] / "slurm" / "one_machine.sh"
PATIENCE_S = float(os.environ.get("SLURM_TEST_PATIENCE_S", "240"))


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, f"it did not come to pass: {what}"
        time.sleep(0.1)


def tool(*arguments: str | Path) -> str:
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def job_state(job: str) -> dict[str, str]:
    """What Slurm says of a job, by key."""
    return dict(re.findall(r"(\S+?)=(\S*)", tool("scontrol", "show", "job", job)))


def ended(job: str) -> bool:
    return job_state(job)["JobState"] in ("COMPLETED", "FAILED", "CANCELLED", "NODE_FAIL", "TIMEOUT")


def of_job(job: str) -> list[int]:
    """The processes of a job on this machine, Slurm's own before those they watch."""
    found: dict[int, bool] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                own = (folder / "cmdline").read_bytes().startswith(f"slurmstepd: [{job}.".encode())
                if own or f"SLURM_JOB_ID={job}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = own
    return sorted(found, key=lambda pid: not found[pid])
