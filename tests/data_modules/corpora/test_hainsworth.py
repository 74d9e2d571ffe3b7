import pickle
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.hainsworth import Hainsworth


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number in range(1, 4):
        write_sound(tmp_path / f"audio/{number:03d}.wav", 1.5)
        write_text(tmp_path / f"annotations/beats/{number:03d}.beats", "0.25\t1\n0.75\t2\n1.25\t1\n")
        write_text(tmp_path / f"annotations/tempo/{number:03d}.txt", "120\n")
    return tmp_path


def test_tracks(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Hainsworth(root)))
    items = corpus.items()
    assert [(item.track_id, item.group) for item in items] == [("001", "001"), ("002", "002"), ("003", "003")]
    track = corpus.load(items[0])
    assert list(track.labels["beat"]) == [(0.25, 0.25, "1"), (0.75, 0.75, "2"), (1.25, 1.25, "1")]
    assert len(track.waveform_N) == 36_000
    assert corpus.remarks() == []
    assert Hainsworth.expected_tracks == 222
    assert {"test", "val", "train"} >= {item.split for item in items}


def test_other_names_of_the_beats(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    beats = tmp_path_factory.mktemp("beats")
    write_text(beats / "hainsworth_002.beats", "0.5 1\n")
    write_text(beats / "003.txt", "0.5\n")
    corpus = Hainsworth(root, beats)
    second, third = corpus.items()
    assert corpus.load(second).labels["beat"].labels == ("1",)
    assert corpus.load(third).labels["beat"].labels == ("?",)
    assert corpus.remarks() == ["1 files of audio have no file of beats and are left out: 001"]


def test_faults_set_a_track_aside_with_file_and_line(root: Path) -> None:
    corpus = Hainsworth(root)
    first, second, third = corpus.items()
    write_text(root / "annotations/beats/001.beats", "0.25\t1\n# late\n9.75\t2\n")
    with pytest.raises(BadTrack, match=r"001\.beats:3: beat: a time beyond the end of the track, 9\.750 s of 1\.500 s"):
        corpus.load(first)
    write_text(root / "annotations/beats/002.beats", "-1\n")
    with pytest.raises(BadTrack, match=r"002\.beats: says that there are no beats"):
        corpus.load(second)
    (root / "annotations/beats/003.beats").unlink()
    with pytest.raises(BadTrack, match=r"003\.beats: no such file"):
        corpus.load(third)
    with pytest.raises(BadTrack, match="003: its audio or its file of beats is no longer there"):
        Hainsworth(root).load(third)


def test_lists_and_nothing_there(root: Path) -> None:
    path = write_text(root / "8-folds.split", "hainsworth_001\t0\nhainsworth_002\t1\n")
    corpus = Hainsworth(root, split_file=path, fold=1)
    assert [(item.track_id, item.split) for item in corpus.items()] == [("001", "val"), ("002", "test")]
    assert corpus.remarks() == ["1 tracks are in no list of splits: 003"]
    with pytest.raises(FileNotFoundError, match=r"hainsworth: audio such as audio/001\.wav: no folder .*absent"):
        Hainsworth(root / "absent").items()
    elsewhere = root / "elsewhere"
    write_text(elsewhere / "x.beats", "0.5 1\n")
    with pytest.raises(FileNotFoundError, match=r"no audio has the name of a file of beats \(such as .*x\.beats\)"):
        Hainsworth(root, elsewhere).items()
