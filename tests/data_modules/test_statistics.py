"""Mel statistics where files are damaged, and where several processes ask for them at once."""

from __future__ import annotations

import fcntl
import json
import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import command
import numpy as np
import pytest
import soundfile

from data_modules.remote import Remote
from data_modules.shards import Prepared
from data_modules.statistics import MelStatistics, mel_statistics


def write(path: Path, seconds: int, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, seconds * 44100), 44100)
    return path


@pytest.fixture(params=["mp3", "ogg", "flac"])
def half(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder of files in which one for training, and one for validation, is cut in half."""
    for group in "abc":
        for number in range(4):
            write(tmp_path / "music" / group / f"{number}.wav", 8, number)
    by_split = {entry.split: entry.track_id for entry in Prepared(tmp_path / "music", Remote(tmp_path)).entries}
    for split in ("train", "val"):
        file = write((tmp_path / "music" / by_split[split]).with_name(f"half.{request.param}"), 40, 9)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return tmp_path / "music"


def test_a_file_cut_in_half_does_not_end_the_run(half: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    options = command.pretraining(half, tmp_path / "run", 4, "--data.remote.cache_dir", tmp_path / "cache")
    with caplog.at_level(logging.WARNING, "data_modules"):
        command.succeed("fit", *options, "--data.clip_s", "5", "--data.max_damaged", "0.5")
    said = [record.getMessage() for record in caplog.records]
    # What is left of an ogg says of itself that it is whole: there it is a shorter track.
    if not list(half.rglob("*.ogg")):
        assert any("the mel statistics do without it: " in line and "half." in line for line in said)
        assert "clips were set aside" in said[-1]
    found = mel_statistics(Prepared(half, Remote(tmp_path / "cache")))
    for file in half.rglob("half.*"):
        file.unlink()
    sound = mel_statistics(Prepared(half, Remote(tmp_path / "cache")))
    assert found.mean == pytest.approx(sound.mean, abs=1)
    assert found.std == pytest.approx(sound.std, abs=1)


def test_who_asks_while_another_measures_waits_for_it(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "data", ignore=shutil.ignore_patterns("mel"))
    data = Prepared(tmp_path / "data")
    file = tmp_path / "data" / "mel" / "hop320-mels128-fft2048.json"
    file.parent.mkdir()
    has_looked = Event()

    def nothing_there(name: str) -> Path:
        has_looked.set()
        raise FileNotFoundError(name)

    with (file.parent / ".lock").open("w") as lock, ThreadPoolExecutor(1) as pool:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(data.storage, "local_file", nothing_there)
            asked = pool.submit(mel_statistics, data, 320)
            assert has_looked.wait(60)
        with pytest.raises(TimeoutError):
            asked.result(timeout=1.0)
        file.write_text(json.dumps({"mean": 1.5, "std": 2.5}))
        fcntl.flock(lock, fcntl.LOCK_UN)
        assert asked.result() == MelStatistics(mean=1.5, std=2.5)
