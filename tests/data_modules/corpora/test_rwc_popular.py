import pickle
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.rwc_popular import RwcPopular

TABLE = (
    "Piece No.,Cat. Suffix,Tr. No.,Title,Artist (Vocal),Singer Information,Length,Tempo,Live Instruments Used,Drum\n"
    "No. 1,M01,Tr. 01,Eien no replica,Kazuo Nishi,Male,03:29,135,Gt,Drum sequences\n"
    "No. 18,M02,Tr.02,True heart,Kazuo Nishi,Male,04:00,88,,Drum loops\n"
    "No. 100,M07,Tr. 09,Fast city,Eves,Female,03:41,120,,Drum sequences\n"
)


def annotate(root: Path, number: int, disc: int, track: int) -> None:
    write_text(root / f"AIST.RWC-MDB-P-2001.BEAT/RM-P{number:03d}.BEAT.TXT", "4\t49\t384\n49\t93\t48\n93\t140\t384\n")
    write_text(
        root / f"AIST.RWC-MDB-P-2001.CHORUS/RM-P{number:03d}.CHORUS.TXT", '4\t90\t"intro"\n90\t190\t"chorus A"\n'
    )
    write_text(root / f"AIST.RWC-MDB-P-2001.VOCA_INST/RM-P{number:03d}.VOCA_INST.TXT", "0.1\tb\n")
    chords = root / f"AIST.RWC-MDB-P-2001.CHORD/RWC_Pop_Chords/N{number:03d}-M{disc:02d}-T{track:02d}.lab"
    write_text(chords, "0.0\t0.1\tN\n0.1\t2.0\tAb:min\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, disc, track in ((1, 1, 1), (18, 2, 2), (100, 7, 9)):
        annotate(tmp_path / "annotations", number, disc, track)
        write_sound(tmp_path / f"audio/rwc-p-m{disc:02d}/{track}.wav")
    write_text(tmp_path / "metadata-master/rwc-p.csv", TABLE)
    return tmp_path


def test_all_labels(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(RwcPopular(root)))
    items = corpus.items()
    assert [(item.track_id, item.group) for item in items] == [
        ("RM-P001", "Kazuo Nishi"),
        ("RM-P018", "Kazuo Nishi"),
        ("RM-P100", "Eves"),
    ]
    assert items[0].split == items[1].split
    for item in items:
        labels = corpus.load(item).labels
        assert list(labels["beat"]) == [(0.04, 0.04, "1"), (0.49, 0.49, "2"), (0.93, 0.93, "1")]
        assert list(labels["section"]) == [(0.04, 0.9, "intro"), (0.9, 1.9, "chorus")]
        assert list(labels["chord"]) == [(0.0, 0.1, "N"), (0.1, 2.0, "Ab:min")]
        assert corpus.gaps(item) == {}
    assert corpus.remarks() == []
    assert RwcPopular.expected_tracks == 100


def test_discs_are_known_by_the_table_or_by_the_chords(root: Path) -> None:
    (root / "metadata-master/rwc-p.csv").unlink()
    assert [item.group for item in RwcPopular(root).items()] == ["RM-P001", "RM-P018", "RM-P100"]
    write_text(root / "metadata-master/rwc-p.csv", TABLE)
    for path in root.rglob("*.lab"):
        path.unlink()
    corpus = RwcPopular(root)
    assert [item.group for item in corpus.items()] == ["Kazuo Nishi", "Kazuo Nishi", "Eves"]
    (root / "metadata-master/rwc-p.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"rwc_popular: audio such as RM-P001\.wav .*: none below"):
        RwcPopular(root).items()


@pytest.mark.parametrize("name", ["RM-P018.wav", "RWC_P018.flac", "Disc 2/rm-p018.wav"])
def test_audio_by_the_number_of_the_song(root: Path, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    audio = tmp_path_factory.mktemp("audio")
    write_sound(audio / name)
    corpus = RwcPopular(audio, root / "annotations")
    (item,) = corpus.items()
    assert set(corpus.load(item).labels) == {"beat", "section", "chord"}
    assert corpus.remarks() == ["2 annotated songs have no audio: RM-P001, RM-P100"]


def test_what_is_missing_or_faulty_is_said_and_the_rest_is_used(root: Path) -> None:
    annotations = root / "annotations"
    write_text(annotations / "AIST.RWC-MDB-P-2001.CHORUS/RM-P001.CHORUS.TXT", '4\t90\t"intro"\n90\t99\t"rap"\n')
    (annotations / "AIST.RWC-MDB-P-2001.CHORD/RWC_Pop_Chords/N001-M01-T01.lab").unlink()
    corpus = RwcPopular(root)
    item = corpus.items()[0]
    assert set(corpus.load(item).labels) == {"beat"}
    assert 'RM-P001.CHORUS.TXT:2: section "rap" is unknown' in corpus.gaps(item)["section"]
    assert "no file .lab for RM-P001" in corpus.gaps(item)["chord"]
    assert corpus.remarks() == ["1 songs have no chords: RM-P001"]
    assert set(RwcPopular(root).gaps(item)) == {"section", "chord"}  # before it is loaded
    write_text(annotations / "AIST.RWC-MDB-P-2001.BEAT/RM-P001.BEAT.TXT", "4\t49\t384\n4\t93\t48\n")
    with pytest.raises(BadTrack, match=r"RM-P001\.BEAT\.TXT:2: beat: times must rise.*CHORUS\.TXT:2.*no file \.lab"):
        RwcPopular(root).load(item)


def test_lists_and_nothing_there(root: Path) -> None:
    path = write_text(root / "list", "RM-P001\ttrain\nRM-P100\ttest\n")
    corpus = RwcPopular(root, split_file=path)
    assert [(item.track_id, item.split) for item in corpus.items()] == [("RM-P001", "train"), ("RM-P100", "test")]
    assert f"1 songs are not in {path}: RM-P018" in corpus.remarks()
    with pytest.raises(FileNotFoundError, match=r"rwc_popular: annotations such as RM-P001\.BEAT\.TXT: none below"):
        RwcPopular(root / "audio").items()
