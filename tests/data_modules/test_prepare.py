"""Preparing a corpus: it stops and goes on, says what it leaves out, and never leaves half a file."""

from __future__ import annotations

import errno
import importlib
import inspect
import json
import os
import pkgutil
import shutil
import signal
import subprocess
import time
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

from data_modules import SAMPLE_RATE, corpora
from data_modules.card import arguments_of
from data_modules.corpora.base import Corpus, Item, Kind, Track
from data_modules.corpora.folder import Folder
from data_modules.prepare import prepare, prepare_for_run
from data_modules.shards import Prepared

BEGIN = ("prepare", "--corpus", "miniature.Miniature", "--jobs", "1", "--tracks_per_shard", "2")


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "embeddings" not in path.parts
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "data"
    command.succeed(*BEGIN, "--out", out)
    return out


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


def test_the_mel_statistics_are_those_of_all_values(whole: Path) -> None:
    """Against a mel by numpy and torchaudio, over every frame of the training split."""
    import torch
    import torchaudio

    prepared = Prepared(whole)
    mel = torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, n_fft=2048, hop_length=240, n_mels=128)
    values = [
        torchaudio.transforms.AmplitudeToDB()(mel(torch.from_numpy(prepared.read(entry).astype(np.float32) / 32768)))
        for entry in prepared.split("train")
    ]
    everything = torch.cat([value[:, :-1].double().flatten() for value in values])
    stored = json.loads((whole / "mel" / "hop240-mels128-fft2048.json").read_text())
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


def test_a_killed_one_goes_on_and_gives_the_same(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    process = subprocess.Popen(
        command.command(*BEGIN, "--out", out),
        env=command.environment() | {"MINIATURE_DELAY_S": "0.4"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    give_up = time.monotonic() + 120
    while not (out / "shards" / "00000.parquet").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    while not list((out / "shards").glob(".0000[1-3].pcm.*.part")) and time.monotonic() < give_up:
        time.sleep(0.01)
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
    process = subprocess.Popen(
        command.command(*BEGIN, "--out", out),
        env=command.environment() | {"MINIATURE_DELAY_S": "30"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        give_up = time.monotonic() + 120
        while not (out / "corpus.json").exists() and time.monotonic() < give_up:
            time.sleep(0.05)
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
    assert "folder: 1 files passed over" in said
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

    monkeypatch.setattr("data_modules.processes.ProcessPoolExecutor", lambda jobs, mp_context: ThreadPoolExecutor(jobs))
    prepare(_Patchy(), tmp_path / "data", jobs=1)
    said = capsys.readouterr().out
    assert "patchy: two [old] files" in said
    assert "without key labels: 4 tracks" in said
    lines = (tmp_path / "data" / "gaps.tsv").read_text().splitlines()
    assert lines == [f"song{number}\tkey\tlost at sea" for number in range(4)]
    assert all("key" not in entry.labels for entry in Prepared(tmp_path / "data").split("train"))


def test_another_corpus_or_other_files_in_the_folder(whole: Path, tmp_path: Path) -> None:
    code, said = command.fail("prepare", "--corpus", "tiny", "--out", whole)
    assert code == 2
    assert f"--out: {whole} was prepared from miniature with 8 tracks, not from this tiny" in said
    (tmp_path / "thesis.tex").write_text("words")
    code, said = command.fail(*BEGIN, "--out", tmp_path)
    assert code == 2
    assert f"--out: {tmp_path} holds other files" in said
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    code, said = command.fail(*BEGIN[:-1], "3", "--out", whole)
    assert code == 2
    assert "--tracks_per_shard" in said


def test_other_arguments_of_the_corpus(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracks have the same names and splits: only the record tells."""
    code, said = command.fail(*BEGIN, "--out", whole, "--corpus.bad", "[song1]")
    assert code == 2
    assert f"corpus.bad: {whole} was prepared with [], not ['song1']; give the same again" in said
    music = tmp_path / "music"
    music.mkdir()
    soundfile.write(music / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32), 44100)
    folder = ("prepare", "--corpus", "folder", "--out", tmp_path / "data", "--jobs", "1", "--root")
    command.succeed(*folder, music)
    monkeypatch.chdir(tmp_path)
    command.succeed(*folder, "music")
    music.rename(tmp_path / "moved")
    code, said = command.fail(*folder, "moved")
    assert code == 2
    assert f"corpus.root: {tmp_path / 'data'} was prepared with '{music}', not '{tmp_path / 'moved'}'" in said
    card = json.loads((tmp_path / "data" / "corpus.json").read_text())
    assert card.pop("arguments") == {"root": str(music)}
    (tmp_path / "data" / "corpus.json").write_text(json.dumps(card))
    command.succeed(*folder, "moved")


def test_a_run_does_without_the_data_set_once_it_is_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music, out = tmp_path / "music", tmp_path / "data"
    music.mkdir()
    soundfile.write(music / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32), 44100)
    command.succeed("prepare", "--corpus", "folder", "--root", music, "--out", out, "--jobs", "1")
    shutil.rmtree(music)
    capsys.readouterr()
    prepare_for_run(Folder(music), out)
    assert "is prepared already: nothing to do" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(FileNotFoundError, match="no folder"):
        prepare_for_run(Folder(tmp_path / "other"), out)
    (out / "index.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="no folder"):
        prepare_for_run(Folder(music), out)


def test_every_corpus_keeps_its_arguments() -> None:
    """Found by discovery; what a constructor needs is a path."""
    found = 0
    for module in pkgutil.iter_modules(corpora.__path__):
        for member in vars(importlib.import_module(f"data_modules.corpora.{module.name}")).values():
            if inspect.isclass(member) and issubclass(member, Corpus) and not inspect.isabstract(member):
                parameters = inspect.signature(member).parameters.values()
                corpus = member(**{p.name: Path("x") for p in parameters if p.default is inspect.Parameter.empty})
                assert list(arguments_of(corpus)) == [p.name for p in parameters]
                found += 1
    assert found >= 4
    assert arguments_of(Folder(Path("~/music"))) == {"root": str(Path.home() / "music")}


def test_a_corpus_for_testing_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed(*BEGIN, "--out", tmp_path, "--corpus.test_only", "true")
    said = " ".join(capsys.readouterr().out.split())
    assert "test: 8 tracks" in said
    assert "mel statistics of" not in said and "no mel statistics" in said
    assert len(Prepared(tmp_path).split("test")) == 8


@pytest.mark.parametrize("name", ["prepare", "doctor"])
def test_the_help_says_how_to_find_a_corpus(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.succeed(name, "--help")
    assert "an unknown name lists all" in " ".join(capsys.readouterr().out.split())
    _, said = command.fail(name, "--corpus", "which")
    modules = {module.name for module in pkgutil.iter_modules(corpora.__path__)}
    known = said.split("known are ")[1].split(", or give")[0].split(", ")
    assert set(known) <= modules and len(known) > 15, said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "tyni"], "tyni"),
        (["--corpus", "folder", "--root", "absent/music"], "absent/music"),
        (["--corpus", "pop909", "--root", "absent"], "no folder absent"),
        (["--corpus", "folder"], "root"),
        (["--corpus", "tiny", "--jobz", "2"], "jobz"),
        ([], "corpus"),
    ],
)
def test_corpora_that_are_not_there(arguments: list[str], message: str, tmp_path: Path) -> None:
    code, said = command.fail("prepare", *arguments, "--out", tmp_path / "data")
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()


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


def test_ignored_files_of_a_folder_are_remarked_upon(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    assert Folder(tmp_path).remarks() == ["1 files passed over: their names are not those of audio"]
    (tmp_path / "notes.txt").unlink()
    assert Folder(tmp_path).remarks() == []
