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
    assert corpus.num_ignored == 2
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
    with pytest.raises(FileNotFoundError, match=r"no audio below .*; looked for \.wav"):
        Folder(tmp_path).items()
