"""Preparing that is killed, doubled or out of disk goes on later, and never leaves half a file."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import command
import pytest
from preparation import BEGIN, contents

from data_modules.shards import Prepared


def prepare_slowly(out: Path, delay_s: float) -> subprocess.Popen[bytes]:
    """`BEGIN` as a process group of its own, which takes so long for each track."""
    return subprocess.Popen(
        command.command(*BEGIN, "--out", out),
        env=command.environment() | {"MINIATURE_DELAY_S": str(delay_s)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(seen: Callable[[], object]) -> None:
    """Until it is seen, two minutes at most; what follows fails if it is not."""
    give_up = time.monotonic() + 120
    while not seen() and time.monotonic() < give_up:
        time.sleep(0.01)


def test_a_killed_one_goes_on_and_gives_the_same(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = prepare_slowly(out, delay_s=0.4)
    wait_for(lambda: (out / "shards" / "00000.parquet").exists())
    wait_for(lambda: list((out / "shards").glob(".0000[1-3].pcm.*.part")))
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert list((out / "shards").glob(".*.part")), "it was killed while it wrote a shard"
    assert not (out / "index.parquet").exists()
    with pytest.raises(FileNotFoundError, match="was not prepared to the end"):
        Prepared(out)
    finished = (out / "shards" / "00000.pcm").stat().st_mtime_ns
    command.succeed(*BEGIN, "--out", out)
    assert (out / "shards" / "00000.pcm").stat().st_mtime_ns == finished
    assert contents(out) == contents(whole)


def test_two_at_a_time(tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = prepare_slowly(out, delay_s=30)
    try:
        wait_for(lambda: (out / "corpus.json").exists())
        code, said = command.fail(*BEGIN, "--out", out)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert code == 2
    assert f"another `musicfm prepare` is at work on {out}" in said


def test_a_full_disk(whole: Path, tmp_path: Path) -> None:
    """A file system of a few megabytes: two shards fit, the third does not."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount the small file system that this test fills")
    out = disk / "data"
    try:
        code, said = command.fail(*BEGIN, "--out", out)
        assert code == 2
        assert f"the disk is full while writing to {out}" in said
        assert "give the same command again" in said
        assert "Traceback" not in said
        assert (out / "shards" / "00000.parquet").exists()
        assert not (out / "index.parquet").exists()
        assert not list(out.rglob("*.part"))
        finished = (out / "shards" / "00000.pcm").stat().st_mtime_ns
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        command.succeed(*BEGIN, "--out", out)
        assert (out / "shards" / "00000.pcm").stat().st_mtime_ns == finished
        assert contents(out) == contents(whole)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_fills_up_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "data"
    with monkeypatch.context() as patch:
        # The shards are written by other processes: it is the index here that finds the disk full.
        prepare_until_index = os.fsync
        patch.setattr(os, "fsync", lambda fd: full(fd) if (out / "shards").exists() else prepare_until_index(fd))
        code, said = command.fail(*BEGIN, "--out", out)
    assert code == 2
    assert "the disk is full" in said
    assert not list(out.rglob("*.part"))
    assert not (out / "index.parquet").exists()
    command.succeed(*BEGIN, "--out", out)
    assert len(Prepared(out).entries) == 8


def test_a_shard_cut_short(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "data")
    shard = tmp_path / "data" / "shards" / "00001.pcm"
    with shard.open("r+b") as file:
        file.truncate(shard.stat().st_size // 2)
    prepared = Prepared(tmp_path / "data")
    with pytest.raises(ValueError, match=r"track song3: \S+00001\.pcm is cut short") as raised:
        for entry in prepared.entries:
            prepared.read(entry)
    assert "run `musicfm prepare` again" in str(raised.value)
