from pathlib import Path

import pytest
from sounds import write_text

from data_modules.corpora.audio_files import candidates, files_below, first_file
from data_modules.corpora.base import BadTrack


def test_the_first_that_is_there(tmp_path: Path) -> None:
    paths = candidates(tmp_path / "5061.LOFI")
    assert [path.name for path in paths[:3]] == ["5061.LOFI.mp3", "5061.LOFI.wav", "5061.LOFI.flac"]
    with pytest.raises(BadTrack, match=r"5061\.LOFI\.mp3: no such file, nor 5061\.LOFI\.wav or 6 other names"):
        first_file(paths)
    paths[1].touch()
    with pytest.raises(BadTrack, match=r"5061\.LOFI\.wav: an empty file"):
        first_file(paths)
    paths[1].write_bytes(b"x")
    assert first_file(paths) == paths[1]
    with pytest.raises(BadTrack, match=r"no such file$"):
        first_file([tmp_path / ("x" * 5000)])


def test_files_by_track(tmp_path: Path) -> None:
    for name in ("x/1.wav", "x/1.mp3", "y/2.MP3", "y/._2.wav", "y/2.jpg", "y/cover.wav"):
        write_text(tmp_path / name, "")
    (tmp_path / "y/loop").symlink_to(tmp_path)
    found = files_below(tmp_path, (".wav", ".mp3"), lambda name: name if name.isdigit() else None, "audio")
    assert found == {"1": tmp_path / "x/1.wav", "2": tmp_path / "y/2.MP3"}
    by_path = files_below(tmp_path, (".wav",), str, "audio", by_path=True)
    assert list(by_path) == ["x/1", "y/cover"]


def test_what_is_not_there_or_there_twice(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"set: audio: no folder .*absent; --corpus\.audio names"):
        files_below(tmp_path / "absent", (".wav",), str, "set: audio", "audio")
    with pytest.raises(FileNotFoundError, match=r"set: audio: none below .*, --corpus\.root"):
        files_below(tmp_path, (".wav",), str, "set: audio")
    write_text(tmp_path / "a/1.wav", "")
    write_text(tmp_path / "b/1.wav", "")
    with pytest.raises(ValueError, match=r"both .*a/1\.wav and .*b/1\.wav are for 1"):
        files_below(tmp_path, (".wav",), str, "set: audio")
