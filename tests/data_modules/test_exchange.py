"""A corpus that was exported and taken in again is the same corpus; a tar from anyone leads nowhere else."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile

from data_modules.corpora.flac_tar import FlacTar
from data_modules.shards import Prepared


def test_there_and_back(prepared: Path, tmp_path: Path) -> None:
    command.succeed("export", "--root", prepared, "--out", tmp_path / "music.tar")
    again = ("prepare", "--corpus", "flac_tar", "--root", tmp_path / "music.tar", "--out", tmp_path / "data")
    command.succeed(*again, "--jobs", "1", "--format", "flac")
    before, after = Prepared(prepared), Prepared(tmp_path / "data")
    for one, other in zip(before.entries, after.entries, strict=True):
        assert (one.track_id, one.group, one.split, one.labels) == (
            other.track_id,
            other.group,
            other.split,
            other.labels,
        )
        np.testing.assert_array_equal(before.read(one), after.read(other))
    with tarfile.open(tmp_path / "music.tar") as tar:
        assert tar.getnames()[:3] == ["0000000.flac", "0000000.json", "0000001.flac"]
        samples, rate = soundfile.read(io.BytesIO(tar.extractfile("0000000.flac").read()), dtype="int16")  # type: ignore[union-attr]
    assert rate == 24_000
    np.testing.assert_array_equal(samples, before.read(before.entries[0]))


def write_tar(path: Path, *members: tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
        link = tarfile.TarInfo("0.flac")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


def about(track_id: str) -> bytes:
    return json.dumps({"track_id": track_id, "group": "g", "split": "train", "labels": {}}).encode()


def test_names_that_lead_elsewhere_write_nothing_there(tmp_path: Path) -> None:
    audio = io.BytesIO()
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000)
    soundfile.write(audio, noise, 24_000, format="FLAC")
    names = ("../../escaped", "/tmp/escaped", "a/../../../escaped", "0")
    members = [(f"{name}.flac", audio.getvalue()) for name in names[:3]]
    members += [(f"{name}.json", about(name)) for name in names]
    (tmp_path / "inbox").mkdir()
    tar = write_tar(tmp_path / "inbox" / "x.tar", *members)
    command.succeed("prepare", "--corpus", "flac_tar", "--root", tar, "--out", tmp_path / "out" / "data", "--jobs", "1")
    assert [entry.track_id for entry in Prepared(tmp_path / "out" / "data").entries] == sorted(names[:3])
    assert {path.name for path in tmp_path.iterdir()} == {"inbox", "out"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"data"}
    assert not list(tmp_path.parent.glob("*escaped*")) and not Path("/tmp/escaped").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[]", "lacks one of"),
        (b'{"track_id": "a", "group": "g", "split": "all", "labels": {}}', "another split"),
        (b"{", "is no tar that"),
    ],
)
def test_what_is_no_such_tar(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FlacTar(write_tar(tmp_path / "x.tar", ("1.json", content))).items()
    (tmp_path / "y.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(ValueError, match="is no tar that"):
        FlacTar(tmp_path / "y.tar").items()
    with pytest.raises(FileNotFoundError, match="no file"):
        FlacTar(tmp_path / "z.tar").items()
    with pytest.raises(ValueError, match="holds no track"):
        FlacTar(write_tar(tmp_path / "w.tar")).items()
