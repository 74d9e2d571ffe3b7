"""librosa, imported by one process at a time: what it compiles then is cached in files that all processes share."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType

from filelock import FileLock

from musicfm_pl.baselines.base import imported

_COMPILING = ("librosa.util.utils", "librosa.core.audio", "librosa.core.pitch", "librosa.beat")
"""Its modules with functions for `numba.guvectorize`."""


@cache
def librosa() -> ModuleType:
    """librosa, imported when it is needed: the rest of the package does without.

    numba writes a function that is vectorised so in two files; two processes that compile at once can each leave one
    of them, and whatever loads the two is killed by a segmentation fault, for good (numba issue 10128).

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    with FileLock(_lock()):
        package = imported("librosa")
        for name in _COMPILING:
            imported(name)
    return package


def _lock() -> Path:
    """A file beside what numba caches of librosa: in its folder, or where that is not writable in the user's cache."""
    found = importlib.util.find_spec("librosa")
    package = Path(found.origin).parent if found and found.origin else Path(tempfile.gettempdir())
    folder = Path(os.environ.get("NUMBA_CACHE_DIR") or package)
    folder.mkdir(parents=True, exist_ok=True)
    if os.access(folder, os.W_OK):
        return folder / "musicfm_pl.lock"
    shared = Path.home() / ".cache" / "musicfm"
    with contextlib.suppress(OSError):
        shared.mkdir(parents=True, exist_ok=True)
    return (shared if os.access(shared, os.W_OK) else Path(tempfile.gettempdir())) / f"librosa_{os.getuid()}.lock"
