"""librosa from several processes at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from musicfm_pl.baselines import with_librosa

pytest.importorskip("librosa")

CALLS = """
import numpy as np
from musicfm_pl.baselines.with_librosa import librosa
print("begun", flush=True)
librosa().util.localmax(np.arange(10.0))
librosa().beat.beat_track(y=np.ones(24000, np.float32), sr=24000)
"""


@pytest.mark.slow
def test_one_process_compiles_while_the_others_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that compile at once may leave a cache that crashes both, and whatever comes after."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))  # of its own, so that nothing is compiled yet
    monkeypatch.setenv("NUMBA_OPT", "0")  # optimised it would take twice as long
    with FileLock(with_librosa._lock()):
        start = [sys.executable, "-c", CALLS]
        processes = [subprocess.Popen(start, env=os.environ, stdout=subprocess.PIPE) for _ in range(2)]
        for process in processes:
            assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        # Longer than it takes to compile the first of them.
        with pytest.raises(subprocess.TimeoutExpired):
            processes[0].wait(timeout=12)
        assert not list(cache.rglob("*.nbi"))
    assert [process.wait() for process in processes] == [0, 0]
    assert list(cache.rglob("*.nbi"))
    for process in processes:
        assert process.stdout is not None
        process.stdout.close()
