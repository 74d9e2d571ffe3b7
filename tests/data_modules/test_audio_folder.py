"""A folder of plain files as the root of a run: the clips are those of the prepared folder, decoded on the way."""

from __future__ import annotations

import pickle
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.blocks import BadRecord
from data_modules.remote import Remote
from data_modules.shards import Prepared


@pytest.fixture
def music(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for number, (name, rate) in enumerate(
        (("a/1.wav", 44100), ("b/2.flac", 24000), ("c/3.ogg", 48000), ("d/4.mp3", 44100), ("e/5.wav", 8000))
    ):
        # Slow noise, which survives every codec and rate.
        slow = np.convolve(rng.normal(0, 1, rate * (6 + number)), np.hanning(rate // 500), mode="same")
        path = tmp_path / "music" / name
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.stack([slow, slow], axis=1) / np.abs(slow).max() * 0.7, rate)
    (tmp_path / "music" / "c" / "broken.mp3").write_bytes(b"no music")
    return tmp_path / "music"


def test_clips_are_where_they_are_in_the_whole(music: Path, tmp_path: Path) -> None:
    prepared = Prepared(music, Remote(tmp_path / "cache"))
    assert [entry.track_id for entry in prepared.entries] == ["a/1.wav", "b/2.flac", "c/3.ogg", "d/4.mp3", "e/5.wav"]
    elsewhere = pickle.loads(pickle.dumps(prepared))
    for entry in prepared.entries:
        whole = np.round(np.clip(read_audio(music / entry.track_id), -1, 1) * 32767)
        assert entry.num_samples == pytest.approx(len(whole), abs=SAMPLE_RATE // 10)
        for first in (0, 12345, entry.num_samples - 2 * SAMPLE_RATE):
            crop = prepared.read(entry, first, SAMPLE_RATE)
            assert len(crop) == SAMPLE_RATE
            np.testing.assert_allclose(crop, whole[first : first + SAMPLE_RATE], atol=2)
            np.testing.assert_array_equal(elsewhere.read(entry, first, SAMPLE_RATE), crop)
        assert len(prepared.read(entry, entry.num_samples - 10, SAMPLE_RATE)) == 10


def test_what_changed_since_is_told(music: Path, tmp_path: Path) -> None:
    prepared = Prepared(music, Remote(tmp_path / "cache"))
    first = prepared.entries[0]
    samples, rate = soundfile.read(music / first.track_id)
    soundfile.write(music / first.track_id, samples[: rate // 2], rate)
    with pytest.raises(BadRecord, match=r"1\.wav: cut short"):
        prepared.read(first)
    assert Prepared(music, Remote(tmp_path / "cache")).entries[0].duration_s == pytest.approx(0.5)
    (music / first.track_id).write_bytes(b"gone")
    with pytest.raises(BadRecord, match=r"1\.wav: cannot be decoded"):
        prepared.read(first)


def test_a_run_takes_them_and_leaves_nothing_among_them(music: Path, tmp_path: Path) -> None:
    before = sorted(music.rglob("*"))
    options = command.pretraining(music, tmp_path / "run", 2, "--data.remote.cache_dir", tmp_path / "cache")
    command.succeed("fit", *options, "--data.clip_s", "2", "--data.batch_size", "2")
    assert sorted(music.rglob("*")) == before
    assert (tmp_path / "run" / "results.json").exists()
