import pickle
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.ballroom import REPLICAS, Ballroom
from data_modules.corpora.base import BadTrack

TAB = "0.25\t2\n0.75\t3\n1.25\t1\n"
SPACE = "0.25 2\r\n0.75 3\r\n1.25 1\r\n"
BAR_AND_BEAT = "0.25\t0.2\n0.75\t0.3\n1.25\t1.1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("Waltz/Media-105901", "Waltz/Media-105902", "Rumba-International/Albums-Latin_Jam-08",
                 "Rumba-International/Albums-Latin_Jam-14", "ChaChaCha/Albums-I_Like_It2-01"):  # fmt: skip
        write_sound(tmp_path / f"BallroomData/{name}.wav")
    write_text(tmp_path / "BallroomAnnotations/Media-105901.beats", TAB)
    write_text(tmp_path / "BallroomAnnotations/Media-105902.beats", SPACE)
    write_text(tmp_path / "BallroomAnnotations/Albums-Latin_Jam-08.beats", BAR_AND_BEAT)
    write_text(tmp_path / "BallroomAnnotations/Albums-Latin_Jam-14.beats", BAR_AND_BEAT)
    write_text(tmp_path / "BallroomAnnotations/Albums-I_Like_It2-01.beats", TAB)
    return tmp_path


def test_labels_and_groups(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Ballroom(root)))
    items = corpus.items()
    assert [(item.track_id, item.group) for item in items] == [
        ("Albums-I_Like_It2-01", "Albums-I_Like_It2"),
        ("Albums-Latin_Jam-08", "Albums-Latin_Jam"),
        ("Media-105901", "Media-1059"),
        ("Media-105902", "Media-1059"),
    ]
    assert items[2].split == items[3].split
    tracks = [corpus.load(item) for item in items]
    assert all(list(one.labels["beat"]) == [(0.25, 0.25, "2"), (0.75, 0.75, "3"), (1.25, 1.25, "1")] for one in tracks)
    assert [track.labels["tag"].labels for track in tracks] == [
        ("genre---chachacha",),
        ("genre---rumba",),
        ("genre---waltz",),
        ("genre---waltz",),
    ]
    assert all(corpus.gaps(item) == {} for item in items)
    assert corpus.remarks() == [
        "1 excerpts are there twice and left out once: Albums-Latin_Jam-14 (as Albums-Latin_Jam-08)"
    ]


def test_the_thirteen_replicas() -> None:
    assert len(REPLICAS) == 13
    assert not set(REPLICAS) & set(REPLICAS.values())
    assert Ballroom.expected_tracks == 698 - 13


def test_a_replica_stays_where_its_twin_is_not(root: Path) -> None:
    (root / "BallroomData/Rumba-International/Albums-Latin_Jam-08.wav").unlink()
    corpus = Ballroom(root)
    assert "Albums-Latin_Jam-14" in {item.track_id for item in corpus.items()}
    assert corpus.remarks() == ["1 tracks with beats have no audio: Albums-Latin_Jam-08"]


def test_what_is_missing_or_faulty_is_said_and_the_rest_is_used(root: Path) -> None:
    write_text(root / "BallroomAnnotations/Media-105901.beats", "0.25\t1\n0.75\tnan\n")
    (root / "BallroomAnnotations/Media-105902.beats").unlink()
    (root / "BallroomData/ChaChaCha").rename(root / "BallroomData/Polka")
    corpus = Ballroom(root)
    polka, _, faulty, without = corpus.items()
    assert set(corpus.load(polka).labels) == {"beat"}
    assert "'Polka' is no folder of a dance" in corpus.gaps(polka)["tag"]
    assert set(corpus.load(faulty).labels) == set(corpus.load(without).labels) == {"tag"}
    assert "Media-105901.beats:2: 'nan' is no position" in corpus.gaps(faulty)["beat"]
    assert "no file of beats for Media-105902" in corpus.gaps(without)["beat"]
    assert "1 tracks have no file of beats: Media-105902" in corpus.remarks()
    assert set(Ballroom(root).gaps(without)) == {"beat"}  # before it is loaded
    (root / "BallroomData/Waltz").rename(root / "BallroomData/Audio")
    with pytest.raises(BadTrack, match=r"no file of beats for Media-105902; .*'Audio' is no folder of a dance"):
        Ballroom(root).load(without)


def test_published_folds(root: Path) -> None:
    folds = "ballroom_Media-105901\t3\nballroom_Albums-Latin_Jam-08\t4\nballroom_Albums-I_Like_It2-01\t0\n"
    path = write_text(root / "8-folds.split", folds)
    corpus = Ballroom(root, root / "BallroomAnnotations", fold=3, split_file=path)
    assert {item.track_id: item.split for item in corpus.items()} == {
        "Albums-I_Like_It2-01": "train",
        "Albums-Latin_Jam-08": "val",
        "Media-105901": "test",
    }
    assert f"1 tracks are not in {path}: Media-105902" in corpus.remarks()


def test_nothing_there(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"ballroom: audio such as Waltz/Media-105901\.wav: none below"):
        Ballroom(root / "BallroomAnnotations").items()
    corpus = Ballroom(root, root / "absent")
    with pytest.raises(
        FileNotFoundError, match=r"ballroom: beats such as .*: no folder .*absent; --corpus\.annotations"
    ):
        corpus.remarks()
