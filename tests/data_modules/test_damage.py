"""Training among damaged records: other clips take their places, the same everywhere; too many end the run."""

from __future__ import annotations

import logging
import pickle
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import command
import pytest
import torch
from torch import Tensor

from data_modules import SAMPLE_RATE
from data_modules.blocks import BadRecord
from data_modules.clips import GridClips, RandomClips
from data_modules.damage import Damage
from data_modules.index import Entry
from data_modules.shards import Prepared
from data_modules.statistics import mel_statistics


class Holed:
    """A source in which some tracks are damaged; values are times."""

    rate_hz: float = SAMPLE_RATE

    def __init__(self, *bad: str) -> None:
        self.bad = bad

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        if entry.track_id in self.bad:
            raise BadRecord(f"{entry.track_id} is damaged")
        return torch.tensor([start_s])

    def expect(self, crops: Sequence[tuple[Entry, float, float]]) -> None:
        pass


ENTRIES = [Entry(f"t{number}", "g", "train", "0.pcm", 0, 40 * SAMPLE_RATE) for number in range(10)]


def test_another_clip_takes_the_place_and_it_is_the_same_everywhere() -> None:
    clips = RandomClips(ENTRIES, Holed("t3", "t7"), 10.0, seed=0)
    sound = RandomClips(ENTRIES, Holed(), 10.0, seed=0)
    made, others = [clips[item] for item in range(40)], [sound[item] for item in range(40)]
    replaced = [clip for clip in made if clip.problems]
    assert len(replaced) == 8
    for clip, other in zip(made, others, strict=True):
        assert clip.track_id not in ("t3", "t7")
        assert clip.seed == other.seed
        assert bool(clip.problems) == (other.track_id in ("t3", "t7"))
        if not clip.problems:
            assert (clip.track_id, clip.start_s) == (other.track_id, other.start_s)
        else:
            assert clip.problems[0] == f"{other.track_id} is damaged"
    elsewhere = pickle.loads(pickle.dumps(clips))
    for item in (17, 3, 39):
        assert elsewhere[item][1:] == made[item][1:]


def test_validation_takes_the_next_sound_clip() -> None:
    clips = GridClips(ENTRIES, Holed("t3"), 10.0, seed=0)
    made = [clips[item] for item in range(len(clips))]
    assert [clip.track_id for clip in made[12:16]] == ["t4"] * 4
    assert [len(clip.problems) for clip in made[11:17]] == [0, 4, 3, 2, 1, 0]


def test_nothing_but_damage() -> None:
    everything = Holed(*(entry.track_id for entry in ENTRIES))
    for clips in (RandomClips(ENTRIES, everything, 10.0, seed=0), GridClips(ENTRIES, everything, 10.0, seed=0)):
        with pytest.raises(BadRecord, match="is damaged"):
            clips[0]


def test_the_share_counts_over_a_thousand_clips_at_least(caplog: pytest.LogCaptureFixture) -> None:
    damage = Damage(0.01)
    with caplog.at_level(logging.WARNING):
        for number in range(10):
            damage.count(1, [f"record {number % 3}"])
    assert len(caplog.records) == 3, "each record once"
    with pytest.raises(ValueError, match=r"data\.max_damaged: 11 of 11 clips .* more than 0\.01 .*the last: eleventh"):
        damage.count(1, ["eleventh"])
    later = Damage(0.01)
    later.count(5000, ["x"] * 50)
    with pytest.raises(ValueError, match="51 of 5000"):
        later.count(0, ["x"])
    with pytest.raises(ValueError, match="51 of 5000"):
        later.count(0, [])
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        Damage(1.5)
    Damage(1.0).count(1, ["x"] * 900)


@pytest.fixture(params=["int16", "flac"])
def flipped(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The miniature corpus with one bit flipped in the first ten seconds of its second track."""
    whole = request.getfixturevalue({"int16": "prepared", "flac": "prepared_flac"}[request.param])
    shutil.copytree(whole, tmp_path / "data")
    entry = Prepared(whole).entries[1]
    path = tmp_path / "data" / "shards" / entry.shard
    content = bytearray(path.read_bytes())
    content[entry.first_byte + 1000] ^= 1
    path.write_bytes(content)
    return tmp_path / "data"


def test_training_goes_on_and_says_so(flipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "data_modules"):
        command.succeed("fit", *command.pretraining(flipped, tmp_path / "run", 4))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("data_modules")]
    assert any("a clip was set aside" in line and "song1, 0 s: the checksum does not fit" in line for line in said)
    assert said[-1] == "2 of 24 clips were set aside, in 1 damaged records" or "clips were set aside" in said[-1]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_training_stops_beyond_the_share(flipped: Path, tmp_path: Path) -> None:
    options = command.pretraining(flipped, tmp_path / "run", 4, "--data.max_damaged", "0")
    code, said = command.fail("fit", *options)
    assert code == 2
    assert "data.max_damaged" in said and "the checksum does not fit" in said


@pytest.mark.parametrize("workers", ["0", "1"])
def test_training_stops_where_nothing_is_sound(prepared: Path, tmp_path: Path, workers: str) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    for shard in (tmp_path / "data" / "shards").glob("*.pcm"):
        shard.write_bytes(bytes(shard.stat().st_size))
    options = command.pretraining(tmp_path / "data", tmp_path / "run", 4, "--data.num_workers", workers)
    code, said = command.fail("fit", *options)
    assert code == 2
    assert f"musicfm fit: error: {tmp_path / 'data'}: shard 0000" in said
    assert "the checksum does not fit; the shard was damaged since it was written" in said
    assert "Traceback" not in said and "has died" not in said


def test_mel_statistics_are_measured_without_it(
    flipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = mel_statistics(Prepared(flipped))
    shutil.rmtree(flipped / "mel")
    code, said = command.fail("fit", *command.pretraining(flipped, tmp_path / "run", 1, "--data.max_damaged", "0"))
    assert code == 2
    assert "data.max_damaged: 1 of 2 clips were set aside" in said and "the checksum does not fit" in said
    assert not list((flipped / "mel").glob("*.json"))
    with caplog.at_level(logging.WARNING, "data_modules"):
        command.succeed("fit", *command.pretraining(flipped, tmp_path / "run", 1))
    said = " ".join(record.getMessage() for record in caplog.records)
    assert f"{flipped}: measuring mel statistics at hop 240" in said
    assert "a clip was set aside, the mel statistics do without it: " in said and "song1, 0 s: the checksum" in said
    three_of_four = mel_statistics(Prepared(flipped))
    assert three_of_four != whole
    assert three_of_four.mean == pytest.approx(whole.mean, abs=2)
    assert three_of_four.std == pytest.approx(whole.std, abs=2)


def test_mel_statistics_of_nothing_but_damage(prepared: Path, tmp_path: Path) -> None:
    shutil.copytree(prepared, tmp_path / "data", ignore=shutil.ignore_patterns("mel"))
    for shard in (tmp_path / "data" / "shards").glob("*.pcm"):
        shard.write_bytes(bytes(shard.stat().st_size))
    with pytest.raises(ValueError, match="the training split is damaged"):
        mel_statistics(Prepared(tmp_path / "data"))


def test_kmeans_goes_on_and_counts(flipped: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fit = ["kmeans", "--root", flipped, "--k", "16", "--passes", "1", "--batch_clips", "4", "--init_frames", "300"]
    with caplog.at_level(logging.WARNING, "data_modules"):
        command.succeed(*fit, "--out", tmp_path / "tokens.safetensors")
    said = [record.getMessage() for record in caplog.records]
    assert any("another takes its place" in line and "song1, 0 s: the checksum does not fit" in line for line in said)
    assert re.fullmatch(r"\d+ of \d+ clips were set aside, in 1 damaged records", said[-1])
    code, told = command.fail(*fit, "--out", tmp_path / "other.safetensors", "--max_damaged", "0")
    assert code == 2 and "--max_damaged: " in told and "the checksum does not fit" in told
    assert not (tmp_path / "other.safetensors").exists()
