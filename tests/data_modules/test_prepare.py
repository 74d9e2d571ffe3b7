"""Preparing a corpus: it stops and goes on, says what it leaves out, and never leaves half a file."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import command
import miniature
import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
from miniature import Miniature
from preparation import BEGIN

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import Item, Kind, Track
from data_modules.prepare import prepare
from data_modules.shards import Prepared


def test_what_was_loaded_is_what_is_read(whole: Path) -> None:
    prepared = Prepared(whole)
    corpus = Miniature()
    assert [entry.track_id for entry in prepared.entries] == [item.track_id for item in corpus.items()]
    for item, entry in zip(corpus.items(), prepared.entries, strict=True):
        track = corpus.load(item)
        assert (entry.split, entry.group) == (item.split, item.group)
        assert entry.labels == track.labels
        assert entry.duration_s == pytest.approx(miniature.DURATION_S)
        samples = prepared.read(entry)
        np.testing.assert_allclose(samples / 32767, track.waveform_N, atol=0.51 / 32767)
        np.testing.assert_array_equal(prepared.read(entry, 1000, 50), samples[1000:1050])
        np.testing.assert_array_equal(prepared.read(entry, len(samples) - 10, 50), samples[-10:])
    card = json.loads((whole / "corpus.json").read_text())
    assert (card["corpus"], card["licence"], card["num_items"]) == ("miniature", "CC0", 8)
    assert sorted(path.name for path in (whole / "shards").glob("*.pcm")) == [f"0000{n}.pcm" for n in range(4)]


def test_samples_are_checked_by_their_sums(whole: Path) -> None:
    prepared = Prepared(whole)
    rows = pq.read_table(whole / "index.parquet").to_pylist()
    for entry, row in zip(prepared.entries, rows, strict=True):
        assert zlib.crc32(prepared.read(entry).astype("<i2").tobytes()) == row["crc32"]


@pytest.mark.parametrize("hop_length", [240, 320])
def test_the_mel_statistics_are_those_of_all_values(whole: Path, hop_length: int) -> None:
    """Against a mel by numpy and torchaudio, over every frame of the training split."""
    import torch
    import torchaudio

    prepared = Prepared(whole)
    mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=2048, hop_length=hop_length, n_mels=128)
    values = [
        torchaudio.transforms.AmplitudeToDB()(mel(torch.from_numpy(prepared.read(entry).astype(np.float32) / 32768)))
        for entry in prepared.split("train")
    ]
    everything = torch.cat([value[:, :-1].double().flatten() for value in values])
    stored = json.loads((whole / "mel" / f"hop{hop_length}-mels128-fft2048.json").read_text())
    assert stored["mean"] == pytest.approx(everything.mean().item(), abs=1e-3)
    assert stored["std"] == pytest.approx(everything.std().item(), abs=1e-3)


def test_prepared_twice_is_prepared_once(whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.name != ".lock"}
    command.succeed(*BEGIN, "--out", whole)
    assert {path: path.stat().st_mtime_ns for path in before} == before
    said = " ".join(capsys.readouterr().out.split())
    assert "prepared already: nothing to do" in said
    assert "train: 4 tracks" in said
    assert "licence: CC0" in said


_SPEED = re.compile(
    r"speed: ([\d,]+) audio seconds per second, ([\d,]+) per process "
    r"\(([\d,]+) s in ([\d,.]+) s, (\d) process(?:es)?\)$"
)


def speed_of(said: str) -> list[float]:
    """Audio seconds per second, the same per process, audio seconds, seconds, processes: what is said at the end."""
    found = _SPEED.search(" ".join(said.split()))
    assert found, said
    return [float(value.replace(",", "")) for value in found.groups()]


def test_it_ends_with_its_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of what was prepared by this very command; with no more processes than had something to do."""
    two = ("--out", tmp_path, "--jobs", "2")
    command.succeed(*BEGIN[:3], *BEGIN[5:], *two)
    speed, per_process, audio_s, wall_s, processes = speed_of(capsys.readouterr().out)
    assert audio_s == round(8 * miniature.DURATION_S)
    assert processes == 2
    assert speed == pytest.approx(audio_s / wall_s, abs=1, rel=0.05)
    assert per_process == pytest.approx(speed / 2, abs=1)

    (tmp_path / "shards" / "00002.pcm").unlink()
    command.succeed(*BEGIN[:3], *BEGIN[5:], *two)
    speed, per_process, audio_s, _, processes = speed_of(capsys.readouterr().out)
    assert audio_s == round(2 * miniature.DURATION_S)
    assert (processes, per_process) == (1, speed)
    command.succeed(*BEGIN, "--out", tmp_path)
    assert "speed: " not in capsys.readouterr().out


def test_a_part_ends_with_its_speed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed(*BEGIN, "--out", tmp_path, "--part", "2/4")
    assert speed_of(capsys.readouterr().out)[2] == round(2 * miniature.DURATION_S)


def test_bad_tracks_are_set_aside_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed(*BEGIN, "--out", tmp_path, "--corpus.bad", "[song1, song6]")
    said = capsys.readouterr().out
    assert "set aside song1: song1: made up to be bad" in said
    assert "set aside: 2 of 8 tracks" in said
    assert (tmp_path / "set_aside.tsv").read_text() == (
        "song1\tsong1: made up to be bad\nsong6\tsong6: made up to be bad\n"
    )
    assert [entry.track_id for entry in Prepared(tmp_path).entries] == [f"song{n}" for n in (0, 2, 3, 4, 5, 7)]


def test_bad_files_among_good_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    music = tmp_path / "music"
    noise = np.random.default_rng(0).normal(0, 0.1, 44100 * 3).astype(np.float32)
    for name in ("a/1.mp3", "a/2.wav", "b/1.wav", "c/1.flac", "c/cut.mp3", "c/empty.wav"):
        (music / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(music / name, noise if "empty" not in name else noise[:0], 44100)
    cut = music / "c" / "cut.mp3"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 3])
    (music / "c" / "zero.wav").touch()
    (music / "c" / "cover.jpg").write_bytes(b"\xff\xd8")
    out = tmp_path / "data"
    command.succeed("prepare", "--corpus", "folder", "--root", music, "--out", out, "--jobs", "1")
    said = capsys.readouterr().out
    assert "set aside: 3 of 7 tracks" in said
    assert "folder: 1 files (1 .jpg) passed over: their names are not those of audio" in " ".join(said.split())
    aside = dict(line.split("\t") for line in (out / "set_aside.tsv").read_text().splitlines())
    assert set(aside) == {"c/cut.mp3", "c/empty.wav", "c/zero.wav"}
    assert "cut short" in aside["c/cut.mp3"]
    assert "holds no samples" in aside["c/empty.wav"]
    assert {entry.track_id for entry in Prepared(out).entries} == {"a/1.mp3", "a/2.wav", "b/1.wav", "c/1.flac"}


class _Patchy(Miniature.__base__):  # type: ignore[name-defined,misc]
    """A corpus with a gap, prepared in this process."""

    name = "patchy"
    licence = "CC0"

    def remarks(self) -> Sequence[str]:
        return ["two [old] files"]

    def items(self) -> Sequence[Item]:
        return Miniature().items()

    def load(self, item: Item) -> Track:
        track = Miniature().load(item)
        gaps = self.gaps(item)
        return Track(item, track.waveform_N, {kind: spans for kind, spans in track.labels.items() if kind not in gaps})

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        return {"key": "lost\nat sea"} if item.split == "train" else {}


def test_gaps_and_remarks_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    monkeypatch.setattr("data_modules.processes.ProcessPoolExecutor", lambda jobs, **_: ThreadPoolExecutor(jobs))
    prepare(_Patchy(), tmp_path / "data", jobs=1)
    said = capsys.readouterr().out
    assert "patchy: two [old] files" in said
    assert "without key labels: 4 tracks (why, with file and line: " in said
    lines = (tmp_path / "data" / "gaps.tsv").read_text().splitlines()
    assert lines == [f"song{number}\tkey\tlost at sea\tabsent" for number in range(4)]
    assert all("key" not in entry.labels for entry in Prepared(tmp_path / "data").split("train"))


def test_a_corpus_for_testing_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed(*BEGIN, "--out", tmp_path, "--corpus.test_only", "true")
    said = " ".join(capsys.readouterr().out.split())
    assert "test: 8 tracks" in said
    assert "mel statistics of" not in said and "no mel statistics" in said
    assert len(Prepared(tmp_path).split("test")) == 8
