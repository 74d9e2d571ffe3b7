"""`musicfm bench_data` reads any root as training does, and says what it counted."""

from __future__ import annotations

import re
from pathlib import Path

import command
import pytest
import range_server
import sounds


def said(capsys: pytest.CaptureFixture[str], root: str | Path, *more: str | Path) -> str:
    command.succeed("bench_data", "--root", root, "--clip_s", "2", "--seconds", "0.3", *more)
    return " ".join(capsys.readouterr().out.split())


def test_every_source(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in "abc":
        sounds.write_sound(tmp_path / "music" / f"{name}.wav", 6.0)
    cache = ("--remote.cache_dir", str(tmp_path / "cache"))
    with range_server.serving(prepared) as server:
        for root, more in ((prepared, ()), (tmp_path / "music", cache), (server.address, cache)):
            text = said(capsys, root, *more)
            speed, per_core = (
                float(found.replace(",", "")) for found in re.findall(r"([\d,]+)(?: audio seconds)? per second", text)
            )
            assert speed > 0 and per_core > 0
            assert re.search(rf"{re.escape(str(root))}: \d tracks", text)
            assert "a GPU that trains on 3000" in text


def test_its_other_name(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed("bench", "data", "--root", prepared, "--clip_s", "2", "--seconds", "0.1")
    assert "audio seconds per second" in " ".join(capsys.readouterr().out.split())


def test_the_cores_that_a_gpu_needs(prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ": 1 core feeds" in said(capsys, prepared, "--gpu_speed", "0.001")
    text = said(capsys, prepared, "--gpu_speed", "1e9", "--num_workers", "1")
    cores = int(re.search(r": (\d+) cores feed", text)[1])  # type: ignore[index]
    per_core = int(re.search(r"([\d,]+) per second of a core", text)[1].replace(",", ""))  # type: ignore[index]
    assert cores == pytest.approx(1e9 / per_core, rel=0.1)
