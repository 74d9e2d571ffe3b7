"""Shards in both formats: any crop is what was written, and what was damaged is told, never played."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import command
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules import SAMPLE_RATE
from data_modules.blocks import BLOCK_N, BadRecord, Format
from data_modules.corpora.base import BadTrack, Corpus, Item, Track
from data_modules.shard_writer import Shape, merge_index, write_shard
from data_modules.shards import Prepared, written_aside

LENGTHS = (1, BLOCK_N - 1, BLOCK_N, BLOCK_N + 1, 3 * BLOCK_N + 7, 5000)


class Noises(Corpus):
    """Tracks of given lengths, one of them bad."""

    name = "noises"
    licence = "CC0"

    def items(self) -> list[Item]:
        return [Item(f"n{number}", f"n{number}", "train") for number in range(len(LENGTHS) + 1)]

    def load(self, item: Item) -> Track:
        number = int(item.track_id[1:])
        if number == len(LENGTHS):
            raise BadTrack("n6: not there")
        waveform_N = np.random.default_rng(number).normal(0, 0.1, LENGTHS[number]).astype(np.float32)
        return Track(item, waveform_N, origin="made up", licence="CC0")


def expected(number: int) -> np.ndarray:
    return np.round(np.clip(Noises().load(Noises().items()[number]).waveform_N, -1, 1) * 32767).astype(np.int16)


def write(folder: Path, format: Format, tracks_per_shard: int = 3, shard_mb: int = 1024) -> Path:
    corpus = Noises()
    items = corpus.items()
    groups = [items[at : at + tracks_per_shard] for at in range(0, len(items), tracks_per_shard)]
    for number, group in enumerate(groups):
        write_shard(corpus, group, folder, number, Shape(format, tracks_per_shard, shard_mb))
    merge_index(folder, len(groups))
    (folder / "corpus.json").write_text("{}")
    return folder


@pytest.fixture(scope="module", params=["int16", "flac"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp(request.param), request.param)


@given(st.data())
@settings(max_examples=60)
def test_any_crop_is_what_was_written(folder: Path, data: st.DataObject) -> None:
    prepared = Prepared(folder)
    number = data.draw(st.integers(0, len(LENGTHS) - 1))
    entry = prepared.entries[number]
    assert entry.num_samples == LENGTHS[number]
    first = data.draw(st.integers(0, LENGTHS[number]))
    length = data.draw(st.integers(0, 3 * BLOCK_N))
    np.testing.assert_array_equal(prepared.read(entry, first, length), expected(number)[first : first + length])


def test_a_crop_is_one_range_of_bytes_and_sums_fit(folder: Path) -> None:
    for entry in Prepared(folder).entries:
        ranges = entry.byte_ranges(0, -(-entry.num_samples // BLOCK_N))
        content = (folder / "shards" / entry.shard).read_bytes()
        assert ranges[0][0] == entry.first_byte
        assert [a for a, _ in ranges[1:]] == [b for _, b in ranges[:-1]]
        if entry.shard.endswith(".flacs"):
            for number, (a, b) in enumerate(ranges):  # each a file that other programs open
                part = folder / "part.flac"
                part.write_bytes(content[a:b])
                samples, rate = soundfile.read(part, dtype="int16")
                assert rate == SAMPLE_RATE
                whole = expected(int(entry.track_id[1:]))
                np.testing.assert_array_equal(samples, whole[number * BLOCK_N : (number + 1) * BLOCK_N])
            part.unlink()
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 3
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, check=False).returncode == 0


@pytest.mark.parametrize("format", ["int16", "flac"])
def test_a_shard_that_grows_too_large_goes_on_in_another_file(tmp_path: Path, format: Format) -> None:
    write(tmp_path, format, tracks_per_shard=7, shard_mb=1)
    names = sorted(path.name for path in (tmp_path / "shards").iterdir() if path.suffix != ".parquet")
    assert [name.split(".")[0] for name in names] == ["00000-1", "00000-2", "00000"]
    prepared = Prepared(tmp_path)
    for number, entry in enumerate(prepared.entries):
        np.testing.assert_array_equal(prepared.read(entry), expected(number))


def damaged(folder: Path, to: Path, shard: str, at: int | None) -> Prepared:
    """A copy with one bit flipped, or cut short at half its length."""
    shutil.copytree(folder, to)
    path = to / "shards" / shard
    content = bytearray(path.read_bytes())
    if at is None:
        del content[len(content) // 2 :]
    else:
        content[at] ^= 1
    path.write_bytes(content)
    return Prepared(to)


def test_one_bit(folder: Path, tmp_path: Path) -> None:
    entry = Prepared(folder).entries[4]
    at = entry.byte_ranges(0, 4)[2][0] + 1000
    prepared = damaged(folder, tmp_path / "copy", entry.shard, at)
    np.testing.assert_array_equal(prepared.read(entry, 0, 2 * BLOCK_N), expected(4)[: 2 * BLOCK_N])
    np.testing.assert_array_equal(prepared.read(entry, 3 * BLOCK_N), expected(4)[3 * BLOCK_N :])
    with pytest.raises(BadRecord, match=r"shard 00001\.\w+, track n4, 20 s: the checksum does not fit"):
        prepared.read(entry, BLOCK_N, BLOCK_N + 1)
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=tmp_path / "copy", capture_output=True, check=False)
    assert done.returncode == 1 and b"shards/00001" in done.stdout


def test_no_shard_stays_open(tmp_path: Path) -> None:
    """A large corpus has more of them than a process may have open files."""
    prepared = Prepared(write(tmp_path, "int16", tracks_per_shard=1))
    assert len({entry.shard for entry in prepared.entries}) == len(LENGTHS)
    for entry in prepared.entries:
        prepared.read(entry)
    # What other tests left open may be closed meanwhile.
    opened = [file.readlink() for file in Path("/proc/self/fd").iterdir() if file.exists()]
    assert not [file for file in opened if file.is_relative_to(tmp_path / "shards")]


def test_cut_short(folder: Path, tmp_path: Path) -> None:
    prepared = damaged(folder, tmp_path / "copy", Prepared(folder).entries[4].shard, None)
    with pytest.raises(BadRecord, match="is cut short"):
        prepared.read(prepared.entries[4])
    np.testing.assert_array_equal(prepared.read(prepared.entries[3], 0, BLOCK_N // 2), expected(3)[: BLOCK_N // 2])


def test_a_folder_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """Samples counted instead of bytes, and no checksums of blocks."""
    write(tmp_path, "int16")
    table = pq.read_table(tmp_path / "index.parquet")
    first = pa.array([place // 2 for place in table["first_byte"].to_pylist()])
    table = table.drop_columns(["first_byte", "block_bytes", "block_crc32", "origin", "licence"])
    pq.write_table(table.append_column("first_sample", first), tmp_path / "index.parquet")
    prepared = Prepared(tmp_path)
    for number, entry in enumerate(prepared.entries):
        np.testing.assert_array_equal(prepared.read(entry), expected(number))
        np.testing.assert_array_equal(prepared.read(entry, 100, 4000), expected(number)[100:4100])


@pytest.mark.parametrize(
    "shard", ["../../secret.pcm", "/etc/passwd", "/tmp/x.pcm", "..", "a/b.pcm", ".hidden.pcm", "x.txt", "", "a\n.pcm"]
)
def test_an_index_that_leads_elsewhere_is_refused(tmp_path: Path, shard: str) -> None:
    write(tmp_path, "int16")
    table = pq.read_table(tmp_path / "index.parquet")
    at = table.schema.get_field_index("shard")
    names = [shard, *table["shard"].to_pylist()[1:]]
    pq.write_table(table.set_column(at, "shard", pa.array(names)), tmp_path / "index.parquet")
    with pytest.raises(ValueError, match="not the name of a file in shards/"):
        Prepared(tmp_path).tracks("train")


@pytest.mark.parametrize("content", [b"", b"not parquet at all", None])
def test_an_index_that_is_none(tmp_path: Path, content: bytes | None) -> None:
    write(tmp_path, "int16")
    file = tmp_path / "index.parquet"
    if content is None:
        pq.write_table(pa.table({"a": [1]}), file)
    else:
        file.write_bytes(content)
    with pytest.raises(ValueError, match=r"is not the index of a prepared folder, or is damaged"):
        Prepared(tmp_path).tracks("train")


FOLDER = ("prepare", "--corpus", "folder", "--jobs", "1", "--format", "flac")


def test_parts_are_merged_to_what_one_makes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    music = tmp_path / "music"
    for number in range(9):
        noise = np.random.default_rng(number).normal(0, 0.1, 24000).astype(np.float32)
        (music / f"g{number}").mkdir(parents=True)
        soundfile.write(music / f"g{number}" / "a.wav", noise, 24000)
    (music / "g3" / "bad.mp3").write_text("no music")
    more = (*FOLDER, "--root", music, "--tracks_per_shard", "2")
    command.succeed(*more, "--out", tmp_path / "one")
    out = tmp_path / "parts"
    command.succeed(*more, "--out", out, "--part", "1/2")
    code, said = command.fail("merge", "--out", out)
    assert code == 2 and "2 of the 5 shards" in said and "00001, 00003" in said
    command.succeed(*more, "--out", out, "--part", "2/2")
    assert not (out / "index.parquet").exists()
    command.succeed("merge", "--out", out)
    assert {p.name: p.read_bytes() for p in out.iterdir() if p.is_file() and not p.name.startswith(".")} == {
        p.name: p.read_bytes() for p in (tmp_path / "one").iterdir() if p.is_file() and not p.name.startswith(".")
    }
    said = capsys.readouterr().out
    assert "set aside: 1 of 10 tracks" in said
    card = (out / "card.md").read_text()
    assert "| WAV, 24000 Hz, 1 channel | 9 |" in card
    assert "| cannot be read as audio, or is cut short | 1 |" in card
    assert json.loads((out / "corpus.json").read_text())["format"] == "flac"
    code, said = command.fail(*more[:-4], "--root", music, "--out", out, "--format", "int16")
    assert code == 2 and "--format" in said
    for wrong in ("0/2", "3/2", "x", "1"):
        code, said = command.fail(*more, "--out", out, "--part", wrong)
        assert code == 2 and "--part" in said


def test_what_became_shorter_is_prepared_again(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    for number in range(6):
        noise = np.random.default_rng(number).normal(0, 0.1, 24000).astype(np.float32)
        soundfile.write(music / f"{number}.wav", noise, 24000)
    out = tmp_path / "out"
    command.succeed(*FOLDER, "--root", music, "--out", out)
    before = {path.name: path.read_bytes() for path in (out / "shards").iterdir()}
    whole = (out / "shards" / "00000.flacs").stat().st_mtime_ns
    with (out / "shards" / "00001.flacs").open("r+b") as file:
        file.truncate(100)
    command.succeed(*FOLDER, "--root", music, "--out", out)
    assert {path.name: path.read_bytes() for path in (out / "shards").iterdir()} == before
    assert (out / "shards" / "00000.flacs").stat().st_mtime_ns == whole


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    """As processes of two machines may that share a folder: they can have the same number."""
    path = tmp_path / "file"
    with written_aside(path, "w") as first:
        first.write("first")
        with written_aside(path, "w") as second:
            second.write("second, and longer")
        assert path.read_text() == "second, and longer"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
