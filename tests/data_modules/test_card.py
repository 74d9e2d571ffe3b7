"""What a prepared folder was made from: a card tells one data set from another, and an edited file from what it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_modules.card import NAME, arguments_of, is_of, settle
from data_modules.corpora.base import Corpus
from data_modules.corpora.dcml import Dcml
from data_modules.corpora.fma import Fma
from data_modules.corpora.folder import Folder
from data_modules.corpora.harmonix import Harmonix
from data_modules.corpora.jams_folder import JamsFolder
from data_modules.corpora.magnatagatune import MagnaTagATune
from data_modules.corpora.mtg_jamendo import MtgJamendo


@pytest.fixture
def label_map(tmp_path: Path) -> Path:
    file = tmp_path / "functions.csv"
    file.write_text("drop,chorus\n")
    return file


def test_a_file_is_told_by_what_it_says(label_map: Path, tmp_path: Path) -> None:
    before = arguments_of(Harmonix(tmp_path, label_map=label_map))["label_map"]
    assert before["path"] == str(label_map)
    again = tmp_path / "again.csv"
    again.write_bytes(label_map.read_bytes())
    assert arguments_of(Harmonix(tmp_path, label_map=again))["label_map"] == {**before, "path": str(again)}
    label_map.write_text("drop,inst\n")
    after = arguments_of(Harmonix(tmp_path, label_map=label_map))["label_map"]
    assert after["path"] == before["path"] and after["sha256"] != before["sha256"]
    assert arguments_of(Harmonix(tmp_path, label_map=tmp_path / "absent.csv"))["label_map"] == str(
        tmp_path / "absent.csv"
    )


def test_it_tells_the_family(tmp_path: Path) -> None:
    """By which excerpts and whole works, or two sounds of one score, are known to be the same tracks."""
    for corpus in (Dcml(profile="demo", test_composer="corelli"), Folder(tmp_path)):
        settle(corpus, [], tmp_path / corpus.name, {})
        card = json.loads((tmp_path / corpus.name / NAME).read_text())
        assert (card["corpus"], card["family"]) == (corpus.name, corpus.family)
    assert card["family"] == "folder"


@pytest.mark.parametrize("corpus", [Fma, MagnaTagATune, MtgJamendo], ids=lambda corpus: corpus.name)
def test_subsets_and_divisions_are_of_one_family(corpus: type[Corpus]) -> None:
    assert corpus.family == corpus.name, "whatever an instance is called, it has the same recordings"


def test_an_edited_label_map_is_another(label_map: Path, tmp_path: Path) -> None:
    corpus, out = Harmonix(tmp_path, label_map=label_map), tmp_path / "data"
    settle(corpus, [], out, {})
    assert settle(corpus, [], out, {}).tracks_per_shard == 4
    assert is_of(corpus, out)
    label_map.write_text("drop,inst\n")
    assert not is_of(corpus, out)
    with pytest.raises(
        ValueError, match=r"corpus\.label_map: \S+functions\.csv has changed since \S+data was prepared"
    ):
        settle(corpus, [], out, {})
    other = Harmonix(tmp_path, label_map=tmp_path / "other.csv")
    with pytest.raises(ValueError, match=r"was prepared with '\S+functions\.csv', not '\S+other\.csv'; give the same"):
        settle(other, [], out, {})


def test_a_file_of_which_no_digest_is_there_is_told_by_its_path(label_map: Path, tmp_path: Path) -> None:
    """It was removed with the data set; or the folder is of an earlier version, which kept the path alone."""
    corpus, out = Harmonix(tmp_path, label_map=label_map), tmp_path / "data"
    settle(corpus, [], out, {})
    text = label_map.read_text()
    label_map.unlink()
    assert is_of(corpus, out)
    label_map.write_text(text)
    card = json.loads((out / NAME).read_text())
    card["arguments"]["label_map"] = str(label_map)
    (out / NAME).write_text(json.dumps(card))
    assert is_of(corpus, out)
    settle(corpus, [], out, {})


def test_a_folder_is_of_one_corpus_with_its_arguments(tmp_path: Path) -> None:
    corpus, out = Folder(tmp_path / "music"), tmp_path / "data"
    assert not is_of(corpus, out)
    settle(corpus, [], out, {})
    assert is_of(corpus, out)
    assert not is_of(Folder(tmp_path / "other"), out)
    assert not is_of(Harmonix(tmp_path / "music"), out)
    card = json.loads((out / NAME).read_text())
    del card["arguments"]
    (out / NAME).write_text(json.dumps(card))
    assert not is_of(corpus, out), "a card of an earlier version does not tell"


def test_another_reader_of_the_same_name_is_another(tmp_path: Path) -> None:
    root, audio, out = tmp_path / "harmonix", tmp_path / "audio", tmp_path / "data"
    corpus, jams = Harmonix(root, audio, fold=0), JamsFolder(root, audio=audio)
    assert corpus.name == jams.name
    settle(corpus, [], out, {})
    assert is_of(corpus, out)
    assert not is_of(jams, out)
    with pytest.raises(
        ValueError,
        match=r"data was prepared from the harmonix of data_modules\.corpora\.harmonix\.Harmonix, not of "
        r"data_modules\.corpora\.jams_folder\.JamsFolder; name another folder, give another corpus\.name, or delete",
    ):
        settle(jams, [], out, {})
    card = json.loads((out / NAME).read_text())
    del card["class_path"]
    (out / NAME).write_text(json.dumps(card))
    assert is_of(corpus, out) and is_of(jams, out), "a card of an earlier version does not tell"
    settle(corpus, [], out, {})
