"""Memory that training on a CPU frees is kept for its next step, where the C library can be told so."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Parameters of glibc's `mallopt` (its malloc.h)."""
_GROWTH = 64 << 20
"""Bytes that the heap grows by at least: a system call for many tensors."""


def keep_freed_memory(environment: Mapping[str, str] = os.environ) -> bool:
    """Has glibc keep what is freed instead of returning it to the system.

    By default it maps tensors of more than some MiB one by one and unmaps them when they are freed, and the system
    zeroes the pages of the next ones at their first touch: again in each step, in which shapes are the same. What is
    kept is as much as the largest step took, and a fifth more for gaps.

    Args:
        environment: Who sets `GLIBC_TUNABLES`, to nothing even, or a `MALLOC_…` chooses for himself.

    Returns:
        Whether it does; other C libraries are left as they are.
    """
    if any(name == "GLIBC_TUNABLES" or name.startswith("MALLOC_") for name in environment):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # no such function, or no library of the process itself (Windows)
        return False
    return all(mallopt(name, value) for name, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_TOP_PAD, _GROWTH)))
