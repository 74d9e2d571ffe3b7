import pickle
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.beat_this_annotations import BeatThisAnnotations

BEATS = "0.25\t1\n0.75\t2\n1.25\t1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three sets: one with lists of splits, one for test alone, one without downbeats."""
    root = tmp_path / "beat_this_annotations"
    names = ("csic.1995_ansina1_01", "csic.1995_ansina1_02", "zavala.muniz.2014_41")
    for name in names:
        write_text(root / f"candombe/annotations/beats/{name}.beats", BEATS)
    write_text(root / "candombe/info.json", '{"has_downbeats": true}')
    write_text(root / "candombe/single.split", f"{names[0]}\ttrain\n{names[1]}\tval\n{names[2]}\ttrain\n")
    write_text(root / "candombe/8-folds.split", f"{names[0]}\t0\n{names[1]}\t1\n{names[2]}\t7\n")
    write_text(root / "gtzan/annotations/beats/gtzan_blues_00000.beats", BEATS)
    write_text(root / "smc/annotations/beats/smc_001.beats", "0.25\n0.75\n")
    write_text(root / "smc/info.json", '{"has_downbeats": false}')
    write_text(root / "smc/smc_single.split", "smc_001\ttrain\n")
    for name in (*names, "smc_001"):
        write_sound(tmp_path / f"audio/deep/{name}.wav")
    write_sound(tmp_path / "genres/blues/blues.00000.wav")
    return tmp_path


def test_the_single_split(root: Path) -> None:
    corpus = BeatThisAnnotations(root / "beat_this_annotations", "candombe", root / "audio")
    corpus = pickle.loads(pickle.dumps(corpus))
    assert corpus.name == "beat_this_candombe"
    assert [(item.track_id, item.split) for item in corpus.items()] == [
        ("csic.1995_ansina1_01", "train"),
        ("csic.1995_ansina1_02", "val"),
        ("zavala.muniz.2014_41", "train"),
    ]
    assert corpus.load(corpus.items()[0]).labels["beat"].labels == ("1", "2", "1")
    assert corpus.remarks() == []


def test_folds(root: Path) -> None:
    corpus = BeatThisAnnotations(root / "beat_this_annotations", "candombe", root / "audio", fold=7)
    assert [item.split for item in corpus.items()] == ["val", "train", "test"]
    with pytest.raises(ValueError, match=r"--corpus\.fold: 8 is none of the folds 0 to 7"):
        BeatThisAnnotations(root / "beat_this_annotations", "candombe", root / "audio", fold=8).items()
    with pytest.raises(FileNotFoundError, match=r"--corpus\.fold: gtzan has no list of folds"):
        BeatThisAnnotations(root / "beat_this_annotations", "gtzan", root / "genres", fold=0).items()


def test_sets_without_lists_and_without_downbeats(root: Path) -> None:
    gtzan = BeatThisAnnotations(root / "beat_this_annotations", "gtzan", root / "genres")
    assert [(item.track_id, item.split) for item in gtzan.items()] == [("gtzan_blues_00000", "test")]
    assert gtzan.load(gtzan.items()[0]).labels["beat"].labels == ("1", "2", "1")
    smc = BeatThisAnnotations(root / "beat_this_annotations", "smc", root / "audio")
    assert [(item.track_id, item.split) for item in smc.items()] == [("smc_001", "train")]
    assert smc.load(smc.items()[0]).labels["beat"].labels == ("?", "?")


@pytest.mark.parametrize(
    "audio", ["Csic 1995 - Ansina1 01.flac", "csic/1995/ansina1-01.wav", "candombe_csic.1995_ansina1_01.wav"]
)
def test_names_of_audio_are_compared_loosely(root: Path, audio: str) -> None:
    write_sound(root / "other" / audio)
    write_sound(root / "other" / "unrelated.wav")
    corpus = BeatThisAnnotations(root / "beat_this_annotations", "candombe", root / "other")
    assert [item.track_id for item in corpus.items()] == ["csic.1995_ansina1_01"]
    assert corpus.remarks() == ["2 tracks with beats have no audio: csic.1995_ansina1_02, zavala.muniz.2014_41"]


def test_two_files_for_one_track(root: Path) -> None:
    write_sound(root / "audio/again/smc_001.wav")
    with pytest.raises(ValueError, match=r"both .*again/smc_001\.wav and .*deep/smc_001\.wav are for smc_001"):
        BeatThisAnnotations(root / "beat_this_annotations", "smc", root / "audio").items()


def test_faults(root: Path) -> None:
    annotations = root / "beat_this_annotations"
    write_text(annotations / "candombe/annotations/beats/csic.1995_ansina1_01.beats", "0.5 1\n0.5 2\n")
    corpus = BeatThisAnnotations(annotations, "candombe", root / "audio")
    with pytest.raises(BadTrack, match=r"csic\.1995_ansina1_01\.beats:2: beat: times must rise"):
        corpus.load(corpus.items()[0])
    write_text(annotations / "candombe/info.json", "{}")
    with pytest.raises(ValueError, match=r"candombe/info\.json: expected \{\"has_downbeats\": true\}"):
        BeatThisAnnotations(annotations, "candombe", root / "audio").items()
    write_text(annotations / "smc/smc_single.split", "smc_001\tdev\n")
    with pytest.raises(ValueError, match=r"smc_single\.split:1: 'dev' is neither"):
        BeatThisAnnotations(annotations, "smc", root / "audio").items()


def test_nothing_there(root: Path) -> None:
    annotations = root / "beat_this_annotations"
    with pytest.raises(FileNotFoundError, match=r"--corpus\.set_name: no .*simac.*holds the sets candombe, gtzan, smc"):
        BeatThisAnnotations(annotations, "simac", root / "audio").items()
    with pytest.raises(FileNotFoundError, match=r"beat_this_smc: audio named as smc_001: none below"):
        BeatThisAnnotations(annotations, "smc", root / "genres").items()
