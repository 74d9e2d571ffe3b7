import pickle
import sys
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.jams_folder import JamsFolder

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
    with pytest.raises(FileNotFoundError, match=r"jams_folder: no \.jams file below .*, --corpus\.root"):
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
