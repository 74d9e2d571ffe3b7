from pathlib import Path

import pytest
from sounds import write_text

from data_modules.corpora.track_files import files_below, listed, missing


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


def test_names_in_messages() -> None:
    assert missing(["a", "b"], {"b": Path("b"), "c": Path("c")}, "tracks have none") == ["1 tracks have none: a"]
    assert missing(["b"], {"b": Path("b")}, "tracks have none") == []
    assert listed([f"{number:02d}" for number in range(12)]).endswith("08, 09 and 2 more")
