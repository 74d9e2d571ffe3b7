"""Which of our jobs Slurm has, and which job a run was given to."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

JOB_NAME = ".slurm_job"
"""File in a run directory with the number of the job that the run was given to, such as 12, or 12_3 of an array."""


def queued_jobs() -> dict[str, str]:
    """States by number of all jobs of this user that wait or run; nothing where there is no Slurm.

    Raises:
        OSError: Slurm does not answer; the message is its own.
    """
    if shutil.which("squeue") is None:
        return {}
    command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i %T"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(f"Slurm does not say which jobs there are: {done.stderr.strip()}")
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.strip())


def job_of(run_dir: Path, queue: Mapping[str, str]) -> str | None:
    """The number of the job that a run was given to, while Slurm has it.

    Args:
        run_dir: Of the run.
        queue: See `queued_jobs`.
    """
    try:
        job = (run_dir / JOB_NAME).read_text().strip()
    except FileNotFoundError:
        return None
    return job if job in queue else None
