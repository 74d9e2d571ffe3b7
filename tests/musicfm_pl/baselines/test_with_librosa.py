"""librosa from several processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("librosa")

CALLS = """
import numpy as np
from musicfm_pl.baselines.with_librosa import librosa
librosa().util.localmax(np.arange(10.0))
librosa().beat.beat_track(y=np.ones(24000, np.float32), sr=24000)
"""


def test_processes_that_start_together_leave_a_cache_that_works(tmp_path: Path) -> None:
    """Without the lock about every third such pair is killed by a segmentation fault, and whatever comes after."""
    # A cache of its own, so that nothing is compiled yet; not optimised, which would take twice as long.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "NUMBA_OPT": "0"}
    for _ in range(2):
        processes = [subprocess.Popen([sys.executable, "-c", CALLS], env=environment) for _ in range(2)]
        assert [process.wait() for process in processes] == [0, 0]
