"""Training among damaged records: other clips take their places, the same everywhere; too many end the run."""

from __future__ import annotations

import logging
import pickle
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
