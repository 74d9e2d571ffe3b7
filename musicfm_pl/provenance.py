"""Where a figure comes from: the digest of its configuration, the versions and the machine that made it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

IGNORED_KEYS = frozenset(
    {
        # where things are put
        *("run_dir", "result_dir", "default_root_dir", "dirpath", "save_dir", "ckpt_path", "config"),
        # what is shown
        *("logger", "log_every_n_steps", "verbose", "profiler", "throughput"),
        *("enable_progress_bar", "enable_model_summary", "progress"),
        # how many processes load the same data
        *("num_workers", "prefetch_factor", "persistent_workers", "pin_memory"),
    }
)
"""Keys that `config_digest` leaves out at every depth: they change no figure."""

COMPUTED_KEYS = frozenset(
    {"model.compile_backend", "model.encoder.recomputed_blocks", "model.encoder.recomputed_layers"}
)
"""How something is computed, up to rounding: another machine may ask for another way."""

_PACKAGES = {
    "torch": "torch",
    "lightning": "lightning",
    "torchmetrics": "torchmetrics",
    "mir_eval": "mir_eval",
    "musicfm_pl": "musicfm-pl",
}


def config_digest(config: Mapping[str, Any]) -> str:
    """What tells two settings apart: SHA-256, in hexadecimal, of the configuration as canonical JSON.

    Args:
        config: Nested mappings, sequences, scalars and paths. The order of keys does not count, nor does any
            key in `IGNORED_KEYS`, at whatever depth.
    """
    text = json.dumps(_canonical(config), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _canonical(item) for key, item in value.items() if key not in IGNORED_KEYS}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    if isinstance(value, PurePath):
        return value.as_posix()
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def versions() -> dict[str, str | None]:
    """Versions of what makes the figures, and the commit of this code.

    Returns:
        Version by name, None for what is not installed; `commit` ends in "-dirty" if files have changed,
        and is None outside the repository.
    """
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name, distribution in _PACKAGES.items():
        try:
            found[name] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    found["commit"] = _commit()
    return found


def _commit() -> str | None:
    here = Path(__file__)
    # An installed copy may lie in somebody else's repository: the commit counts only if git knows this file.
    ours = _git(here.parent, "ls-files", "--error-unmatch", here.name)
    return None if ours is None else _git(here.parent, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def _git(directory: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(directory), *arguments], capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(accelerator: str) -> dict[str, str | int]:
    """What the run had: the cores it may use, and the accelerator.

    Args:
        accelerator: Its name as the caller knows it, such as "cpu" or "NVIDIA H200".
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {"cpu_count": cores, "accelerator": accelerator}
