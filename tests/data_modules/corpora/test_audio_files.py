from pathlib import Path

import pytest

from data_modules.corpora.audio_files import candidates, first_file, remarks
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


def test_remarks_name_what_is_missing_and_what_is_empty(tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("x")
    (tmp_path / "empty").touch()
    names = ["whole", "empty", *(f"absent{number:02d}" for number in range(14))]
    lines = remarks({name: [tmp_path / name] for name in names})
    assert lines[0].startswith("14 of 16 tracks have no audio: absent00, absent01,")
    assert lines[0].endswith("absent11 and 2 more")
    assert lines[1] == "1 of 16 tracks have audio files without content: empty"
    assert remarks({"whole": [tmp_path / "whole"]}) == []
