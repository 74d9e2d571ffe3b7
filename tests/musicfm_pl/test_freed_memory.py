"""Training on a CPU keeps the memory of a step for the next one; who chose for himself is not overruled."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import command
import pytest

from musicfm_pl import experiment
from musicfm_pl.freed_memory import keep_freed_memory

on_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
PAGES_OF_A_TENSOR = (64 << 20) // resource.getpagesize()
ROUNDS = 20


def faults(statement: str) -> int:
    """Pages that the system had to give a process for filling a tensor of 64 MiB `ROUNDS` times, after as many."""
    script = f"""
        import resource, torch
        from musicfm_pl.freed_memory import keep_freed_memory
        {statement}
        for _ in range(2):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range({ROUNDS}):
                torch.ones({(64 << 20) // 4})
        print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True)
    return int(done.stdout)


@on_glibc
def test_what_was_freed_is_used_again() -> None:
    for left_alone in ("", "assert not keep_freed_memory({'GLIBC_TUNABLES': ''})"):
        assert faults(left_alone) > 0.9 * ROUNDS * PAGES_OF_A_TENSOR, "the system gives each tensor pages of its own"
    assert faults("assert keep_freed_memory({})") < PAGES_OF_A_TENSOR


@pytest.mark.parametrize("name", ["GLIBC_TUNABLES", "MALLOC_ARENA_MAX", "MALLOC_MMAP_THRESHOLD_"])
def test_who_chose_for_himself_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda library: pytest.fail("the C library was asked"))
    assert not keep_freed_memory({name: ""})


def test_a_library_without_the_function_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda name: object())
    assert not keep_freed_memory({})


def test_training_asks_for_it(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[None] = []
    monkeypatch.setattr(experiment, "keep_freed_memory", lambda: calls.append(None))
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "run", 1))
    assert len(calls) == 1
