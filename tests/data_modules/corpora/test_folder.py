import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_modules.corpora.base import BadTrack
from data_modules.corpora.folder import Folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    for name in ("a/1.wav", "a/2.FLAC", "b/disc 1/1.wav", "b/disc 2/1.aiff", "single.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, 16000)
    (tmp_path / "a/cover.jpg").write_bytes(b"\xff\xd8")
    (tmp_path / "a/._1.wav").write_bytes(b"resource fork")
    return tmp_path


def test_items_and_load(tree: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Folder(tree)))
    items = corpus.items()
    assert [item.track_id for item in items] == [
        "a/1.wav",
        "a/2.FLAC",
        "b/disc 1/1.wav",
        "b/disc 2/1.aiff",
        "single.wav",
    ]
    assert [item.group for item in items] == ["a", "a", "b/disc 1", "b/disc 2", "single.wav"]
    assert {item.split for item in items} == {"train", "val", "test"}
    assert len({item.split for item in items if item.group == "a"}) == 1
    assert Folder(tree).remarks() == [
        "2 files (1 .jpg, 1 hidden) passed over: their names are not those of audio",
    ]
    for item in items:
        track = corpus.load(item)
        assert len(track.waveform_N) == 12000
        assert track.labels == {}


def test_a_bad_file_among_good_ones_is_named(tree: Path) -> None:
    (tree / "a/bad.mp3").write_bytes(b"no music")
    corpus = Folder(tree)
    bad = next(item for item in corpus.items() if item.track_id == "a/bad.mp3")
    with pytest.raises(BadTrack, match=r"a/bad\.mp3"):
        corpus.load(bad)


def test_loops_of_links_end(tree: Path) -> None:
    (tree / "a/loop").symlink_to(tree)
    (tree / "elsewhere").symlink_to(tree / "b")
    assert len(Folder(tree).items()) == 5


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        Folder(tmp_path / "absent").items()
    (tmp_path / "readme.txt").write_text("words")
    with pytest.raises(FileNotFoundError, match=r"no audio below .*; looked for \.wav[^;]*$"):
        Folder(tmp_path).items()


def test_audio_that_is_not_read_is_counted_with_the_remedy(tmp_path: Path) -> None:
    for name in ("a.m4a", "b.M4A", "c.wma", "d.aac", "e.txt", "README"):
        (tmp_path / name).touch()
    remedy = "4 files (2 .m4a, 1 .aac, 1 .wma) passed over: convert such audio to flac or wav with ffmpeg"
    with pytest.raises(FileNotFoundError) as raised:
        Folder(tmp_path).items()
    assert str(raised.value).endswith(f"; {remedy}")
    soundfile.write(tmp_path / "f.wav", np.zeros(8000), 16000)
    assert [item.track_id for item in Folder(tmp_path).items()] == ["f.wav"]
    assert Folder(tmp_path).remarks() == [
        remedy,
        "2 files (1 .txt, 1 without an ending) passed over: their names are not those of audio",
    ]


def test_only_the_commonest_endings_are_named(tmp_path: Path) -> None:
    for number in range(8):
        for copy in range(8 - number):
            (tmp_path / f"{copy}.kind{number}").touch()
    (said,) = Folder(tmp_path).remarks()
    assert said.startswith("36 files (8 .kind0, 7 .kind1, 6 .kind2, 5 .kind3, 4 .kind4, 3 .kind5, 3 others) passed")
