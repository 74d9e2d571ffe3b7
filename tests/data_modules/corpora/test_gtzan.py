import pickle
from pathlib import Path

import pytest
from rhythm_jams import jams_text
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.gtzan import Gtzan
from data_modules.prepare import prepare
from data_modules.shards import Prepared

BEATS = "0.25\t1\n0.75\t2\n1.25\t3\n1.75\t1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three genres, of which each has its beats in another of the layouts that users have."""
    for name in ("blues/blues.00000", "jazz/jazz.00053", "jazz/jazz.00054", "rock/rock.00099"):
        write_sound(tmp_path / f"genres/{name}.wav")
    (tmp_path / "genres/jazz/jazz.00054.wav").write_bytes(b"broken")
    write_text(tmp_path / "gtzan/annotations/beats/gtzan_blues_00000.beats", BEATS)
    write_text(tmp_path / "rhythm/jazz.00053.beats", BEATS.replace("\t", " ").replace("\n", "\r\n"))
    write_text(tmp_path / "jams/rock.00099.wav.jams", jams_text([0.25, 0.75, 1.25, 1.75], [0.25, 1.75]))
    return tmp_path


def test_beats_and_genre_in_each_layout(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Gtzan(root)))
    items = corpus.items()
    assert [item.track_id for item in items] == ["blues.00000", "jazz.00053", "rock.00099"]
    assert {item.split for item in items} == {"test"}
    for item in items:
        track = corpus.load(item)
        assert list(track.labels["beat"]) == [(0.25, 0.25, "1"), (0.75, 0.75, "2"), (1.25, 1.25, "3"),
                                              (1.75, 1.75, "1")]  # fmt: skip
        assert list(track.labels["tag"]) == [(0.0, 2.0, f"genre---{item.track_id.split('.')[0]}")]
        assert len(track.waveform_N) == 48_000
        assert corpus.gaps(item) == {}
    assert corpus.remarks() == [
        "jazz.00054 is left out, there or not: its audio is broken in the copy that most people have"
    ]
    assert Gtzan.expected_tracks == 999


def test_the_other_names_of_the_folders(root: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    annotations = tmp_path_factory.mktemp("annotations")
    write_text(annotations / "gtzan_tempo_beat-main/beats/gtzan_blues_00000.beats", BEATS)
    write_sound(root / "genres_original/blues/blues.00000.wav")
    corpus = Gtzan(root, annotations)
    (item,) = corpus.items()  # those of genres_original alone: it and genres are two copies
    assert corpus.load(item).labels["beat"].labels == ("1", "2", "3", "1")
    with pytest.raises(FileNotFoundError, match=r"gtzan: beats such as .*: no folder .*absent; --corpus\.annotations"):
        Gtzan(root, root / "absent").items()


def test_faulty_and_missing_beats_leave_the_genre(root: Path) -> None:
    write_text(root / "gtzan/annotations/beats/gtzan_blues_00000.beats", "0.25\t1\n0.2\t2\n")
    (root / "rhythm/jazz.00053.beats").unlink()
    write_text(root / "rhythm/pop.00001.beats", BEATS)
    corpus = Gtzan(root)
    blues, jazz, _ = corpus.items()
    assert set(corpus.load(blues).labels) == set(corpus.load(jazz).labels) == {"tag"}
    assert "gtzan_blues_00000.beats:2: beat: times must rise" in corpus.gaps(blues)["beat"]
    assert "no file of beats for jazz.00053" in corpus.gaps(jazz)["beat"]
    assert list(corpus.remarks())[1:] == [
        "1 tracks have no file of beats: jazz.00053",
        "1 tracks with beats have no audio: pop.00001",
    ]
    write_text(root / "gtzan/annotations/beats/gtzan_blues_00000.beats", BEATS)
    corpus.load(blues)
    assert corpus.gaps(blues) == {}
    assert "no file of beats for jazz.00053" in Gtzan(root).gaps(jazz)["beat"]  # before it is loaded


def test_genres_without_any_beats(tmp_path: Path) -> None:
    write_sound(tmp_path / "blues/blues.00000.au")
    corpus = Gtzan(tmp_path)
    (item,) = corpus.items()
    assert set(corpus.load(item).labels) == {"tag"}


def test_a_list_of_splits_leaves_out_what_it_does_not_name(root: Path) -> None:
    lists = root / "lists"
    for name, line in (("train", "blues/blues.00000.wav"), ("valid", "rock/rock.00099.wav"), ("test", "pop.00000")):
        write_text(lists / f"{name}_filtered.txt", line + "\n")
    corpus = Gtzan(root, split_file=lists)
    assert {item.track_id: item.split for item in corpus.items()} == {"blues.00000": "train", "rock.00099": "val"}
    assert f"1 tracks are in no list of {lists}: jazz.00053" in corpus.remarks()
    write_text(lists / "test_filtered.txt", "polka.00000\n")
    with pytest.raises(ValueError, match=r"test_filtered\.txt:1: 'polka\.00000' is no name of a track"):
        Gtzan(root, split_file=lists).items()


def test_artists_are_groups_where_they_are_known(root: Path) -> None:
    (root / "gtzan/annotations/beats/gtzan_blues_00000.beats").unlink()
    (root / "rhythm/jazz.00053.beats").unlink()
    write_text(
        root / "stats.csv", "filename,tempo mean,artist\nblues.00000.wav,120,John Lee Hooker\nrock.00099.wav,90\n"
    )
    assert [item.group for item in Gtzan(root).items()] == ["John Lee Hooker", "jazz.00053", "rock.00099"]
    write_text(root / "stats.csv", "")
    assert [item.group for item in Gtzan(root).items()] == ["blues.00000", "jazz.00053", "rock.00099"]


def test_artists_are_found_from_within_the_folder_of_the_beats(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(root / "stats.csv", "filename,artist\njazz.00053.wav,Bill Evans\n")
    monkeypatch.chdir(root / "rhythm")
    assert [item.group for item in Gtzan(root, Path()).items()] == ["blues.00000", "Bill Evans", "rock.00099"]


def test_broken_audio_and_nothing_there(root: Path) -> None:
    (root / "genres/rock/rock.00099.wav").write_bytes(b"no audio")
    corpus = Gtzan(root)
    with pytest.raises(BadTrack, match=r"rock\.00099\.wav: cannot be read as audio"):
        corpus.load(corpus.items()[-1])
    with pytest.raises(FileNotFoundError, match=r"gtzan: audio such as genres/blues/blues\.00000\.wav: no folder"):
        Gtzan(root / "absent").items()


def test_a_corpus_for_test_alone_can_be_prepared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_text(root / "rhythm/jazz.00053.beats", "0.25 1\n0.25 2\n")
    prepare(Gtzan(root), root / "out", jobs=1)
    printed = " ".join(capsys.readouterr().out.split())
    assert "test: 3 tracks" in printed and "no track for training, so no mel statistics" in printed
    entries = Prepared(root / "out").split("test")
    assert [sorted(entry.labels) for entry in entries] == [["beat", "tag"], ["tag"], ["beat", "tag"]]
    gap = (root / "out/gaps.tsv").read_text()
    assert gap.startswith("jazz.00053\tbeat\t") and "jazz.00053.beats:2: beat: times must rise" in gap
    assert gap.endswith("\tfaulty\n")
    assert "without beat labels: 1 tracks, 1 of them since theirs are faulty" in printed
