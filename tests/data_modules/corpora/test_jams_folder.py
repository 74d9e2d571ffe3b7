import json
import pickle
import sys
from pathlib import Path
from typing import Any

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.jams_folder import JamsFolder
from data_modules.prepare import folder_of, prepare, prepare_for_run
from data_modules.shards import Prepared

jams = pytest.importorskip("jams")


def folder(root: Path) -> Path:
    for name in ("a/1", "a/2", "b/1", "c/1", "single"):
        write_sound(root / f"{name}.wav", 2.0)
        jam = jams.JAMS()
        jam.file_metadata.duration = 2.0
        annotation = jams.Annotation("chord")
        annotation.append(time=0.0, duration=2.0, value="C:maj" if name != "c/1" else "H", confidence=1.0)
        jam.annotations.append(annotation)
        write_text(root / f"{name}.jams", jam.dumps())
    write_sound(root / "a/bare.wav", 1.0)
    write_text(root / "b/silent.jams", "{}")
    write_text(root / "b/._1.jams", "\0")
    return root


def test_items_and_labels(tmp_path: Path) -> None:
    corpus = pickle.loads(pickle.dumps(JamsFolder(folder(tmp_path))))
    items = {item.track_id: item for item in corpus.items()}
    assert {name: item.group for name, item in items.items()} == {
        "a/1": "a", "a/2": "a", "b/1": "b", "c/1": "c", "single": "single",
    }  # fmt: skip
    assert {item.split for item in items.values()} == {"train", "val", "test"}
    assert items["a/1"].split == items["a/2"].split
    track = corpus.load(items["single"])
    assert list(track.labels["chord"]) == [(0.0, 2.0, "C:maj")]
    assert corpus.gaps(items["single"]) == {}
    assert corpus.load(items["c/1"]).labels == {}
    assert "c/1.jams: chord, observation 1: chord at 0.000 s: 'H' is no chord" in corpus.gaps(items["c/1"])["chord"]
    assert corpus.remarks() == [
        f"1 annotated tracks without audio below {tmp_path} are left out: b/silent",
        "1 audio files are of no annotated track: a/bare.wav",
    ]
    assert set(corpus.named() or ()) - set(items) == {"b/silent"}


def test_audio_elsewhere(tmp_path: Path) -> None:
    """As in Harmonix: a folder `jams`, and the audio where the user has it, in folders of its own or flat."""
    folder(tmp_path / "jams")
    audio = tmp_path / "music"
    for name in ("a/1", "b/1", "deep/down/single", "twice/2", "again/2"):
        write_sound(audio / f"{name}.flac", 2.0)
    corpus = pickle.loads(pickle.dumps(JamsFolder(tmp_path / "jams", audio=audio)))
    items = {item.track_id: item for item in corpus.items()}
    assert {name: item.group for name, item in items.items()} == {"a/1": "a", "b/1": "b", "single": "single"}
    assert list(corpus.load(items["single"]).labels["chord"]) == [(0.0, 2.0, "C:maj")]
    assert corpus.remarks() == [
        f"3 annotated tracks without audio below {audio} are left out: a/2, b/silent, c/1",
        "2 audio files are of no annotated track: again/2.flac, twice/2.flac",
    ]
    with pytest.raises(FileNotFoundError, match=r"audio: no folder .*absent"):
        JamsFolder(tmp_path / "jams", audio=tmp_path / "absent").items()


def observations(*told: tuple[float, float, Any]) -> list[dict[str, Any]]:
    return [{"time": at, "duration": long, "value": value, "confidence": 1} for at, long, value in told]


def test_the_jams_of_harmonix(tmp_path: Path) -> None:
    """In the layout of its repository, with the song that has the oddest of its labels."""
    about = {"curator": {"name": "Oriol Nieto", "email": ""}, "annotator": {}, "version": "1.1", "corpus": "Harmonix"}
    data = {
        "beat": observations((0.25, 0.0, 1), (0.75, 0.0, 2)),
        "segment_open": observations((0.0, 0.25, "silence"), (0.25, 0.5, "saxobeat"), (0.75, 1.0, "instchorus")),
        "onset": observations((0.07, 0.0, 0)),
    }
    annotations = [
        {"annotation_metadata": about, "namespace": name, "data": told, "sandbox": {}, "time": 0, "duration": 2.0}
        for name, told in data.items()
    ]
    song = {"annotations": annotations, "file_metadata": {"title": "S", "duration": 2.0}, "sandbox": {}}
    write_text(tmp_path / "harmonixset/dataset/jams/0001_12step.jams", json.dumps(song))
    write_sound(tmp_path / "music/0001_12step.wav", 2.0)
    corpus = JamsFolder(tmp_path / "harmonixset/dataset/jams", audio=tmp_path / "music", name="harmonix-jams")
    (item,) = corpus.items()
    assert item.track_id == "0001_12step"
    labels = corpus.load(item).labels
    assert corpus.gaps(item) == {}
    assert {kind: list(spans) for kind, spans in labels.items()} == {
        "beat": [(0.25, 0.25, "1"), (0.75, 0.75, "2")],
        "section": [(0.0, 0.25, "silence"), (0.25, 0.75, "inst"), (0.75, 1.75, "chorus")],
    }


@pytest.mark.parametrize(
    ("root", "name"),
    [("My Songs (2019)", "my-songs-2019"), ("sets/billboard_jams", "billboard_jams"), ("データ", "jams_folder")],
)
def test_tables_call_it_by_its_folder(tmp_path: Path, root: str, name: str) -> None:
    assert JamsFolder(tmp_path / root).name == name
    assert JamsFolder(tmp_path / root, name="mine").name == "mine"


@pytest.mark.parametrize("name", ["", "My songs", "a/b", "..", "-x", "ä"])
def test_a_name_that_no_table_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=f"name: {name!r} given; choose small letters"):
        JamsFolder(tmp_path, name=name)


def test_two_data_sets_lie_apart_and_what_was_prepared_before_goes_on(tmp_path: Path) -> None:
    mine, yours = JamsFolder(folder(tmp_path / "mine")), JamsFolder(tmp_path / "yours")
    assert (folder_of(mine, None), folder_of(yours, None)) == ("data/mine", "data/yours")
    out = tmp_path / "data"
    prepare(JamsFolder(mine.root, name="jams_folder"), out, jobs=1)
    card = json.loads((out / "corpus.json").read_text())
    assert card["arguments"].pop("name") == "jams_folder"
    write_text(out / "corpus.json", json.dumps(card))  # as it was before there were names
    with pytest.raises(ValueError, match=r"prepared from jams_folder .*not from this mine .*another corpus\.name"):
        prepare_for_run(mine, out)
    prepare_for_run(JamsFolder(mine.root, name="jams_folder"), out)
    assert Prepared(out).card["corpus"] == "jams_folder"


def test_a_split_file(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    path = write_text(tmp_path / "x.split", "single.wav\t0\n2\t1\n")
    items = JamsFolder(root, split_file=path, fold=1).items()
    assert [(item.track_id, item.group, item.split) for item in items] == [
        ("a/2", "a/2", "test"),
        ("single", "single", "val"),
    ]


def test_a_split_file_may_name_more_than_is_there(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    path = write_text(tmp_path / "x.split", "single.opus\ttrain\nfar/away.oga\tval\n2.AIFF\ttest\n")
    corpus = JamsFolder(root, split_file=path)
    assert {item.track_id: item.split for item in corpus.items()} == {"a/2": "test", "single": "train"}
    assert set(corpus.named() or ()) == {"single", "a/2", "away"}
    assert corpus.remarks()[2:] == [
        f"3 tracks are in no list of {path}: a/1, b/1, c/1",
        f"1 names in {path} are of no track: away",
    ]
    write_text(path, "away\ttrain\n")
    with pytest.raises(ValueError, match=r"--corpus\.split_file: .*x\.split names no track below .*data"):
        JamsFolder(root, split_file=path).items()


def test_a_name_of_several_tracks_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    path = write_text(tmp_path / "x.split", "single\ttrain\n1\ttrain\n")
    with pytest.raises(ValueError, match=r"x\.split:2: '1' occurs 3 times below .*data: a/1, b/1, c/1; rename them"):
        JamsFolder(root, split_file=path).items()
    for suffix in (".wav", ".jams"):
        (root / f"c/1{suffix}").unlink()
    with pytest.raises(ValueError, match=r"x\.split:2: '1' occurs twice below .*data: a/1, b/1; rename them"):
        JamsFolder(root, split_file=path).items()


def test_what_is_wrong_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sound(tmp_path / "a.wav", 1.0)
    corpus = JamsFolder(tmp_path)
    with pytest.raises(FileNotFoundError, match=r": no \.jams file below .*, --corpus\.root"):
        corpus.items()
    write_text(tmp_path / "b.jams", "{}")
    with pytest.raises(FileNotFoundError, match=r"audio: none of the 1 audio files below .*, such as a\.wav, is named"):
        JamsFolder(tmp_path).items()
    write_text(tmp_path / "a.jams", "{}}")
    corpus = JamsFolder(tmp_path)
    with pytest.raises(BadTrack, match=r"a\.jams: cannot be read as JAMS"):
        corpus.load(corpus.items()[0])
    monkeypatch.setitem(sys.modules, "jams", None)
    with pytest.raises(ModuleNotFoundError, match=r"\.\[datasets\]"):
        corpus.items()
