"""One Slurm on this machine for all tests of this folder."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
from one_slurm import SCRIPT

NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "scancel")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Path]:
    """The state of a Slurm of one node, which the clients of this process and of its children find."""
    if os.getuid() != 0:
        pytest.skip("a Slurm of one machine is started by root alone")
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        pytest.skip(f"Slurm is not installed ({', '.join(missing)}): apt-get install slurm-wlm munge")
    # Not below the folder of the tests: the name of a socket must be short.
    state = Path(tempfile.mkdtemp(prefix="slurm"))
    with socket.socket() as one, socket.socket() as other:
        for port in range(16_800, 17_800, 2):
            with contextlib.suppress(OSError):
                one.bind(("", port))
                other.bind(("", port + 1))
                break
    subprocess.run(["bash", str(SCRIPT), "up", str(state), str(port)], check=True, timeout=120)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(state / "slurm.conf"))
        # `musicfm` and `python` of this environment, before any other.
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        for name, value in command.environment().items():
            patch.setenv(name, value)
        yield state
    subprocess.run(
        ["bash", str(SCRIPT), "down", str(state)], env=os.environ | {"SLURM_CONF": f"{state}/slurm.conf"}, check=True
    )
    shutil.rmtree(state, ignore_errors=True)
