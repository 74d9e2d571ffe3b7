"""A corpus that needs to be told something says so: which option, and what it is."""

from pathlib import Path

import command
import pytest

from musicfm_pl.commands import corpus_class
from musicfm_pl.corpus_arguments import require
from musicfm_pl.data_arguments import settle_data_arguments


@pytest.mark.parametrize("name", ["prepare", "doctor"])
@pytest.mark.parametrize("corpus", ["gtzan", "harmonix", "folder", "data_modules.corpora.fma.Fma"])
def test_a_root_is_asked_for(name: str, corpus: str, tmp_path: Path) -> None:
    code, said = command.fail(name, "--corpus", corpus, "--out", tmp_path / "data")
    assert code == 2
    assert "needs --corpus.root; add\n  --corpus.root ROOT    The " in said
    assert "required: root" not in said
    assert not (tmp_path / "data").exists()


def test_all_that_is_missing_is_named_at_once() -> None:
    path = corpus_class("beat_this_annotations")
    with pytest.raises(ValueError, match=r"needs --corpus\.set_name and --corpus\.audio; add\n.*Which of them\.\n.*"):
        require(path, "--corpus", ["--corpus.init_args.root=x"])
    require(path, "--corpus", ["--corpus.root", "x", "--corpus.set_name=y", "--corpus.audio", "z"])
    require(path, "--corpus", ["--config", "mine.yaml"])
    require(path, "--corpus", ["--corpus.help"])
    require(corpus_class("tiny"), "--corpus", [])


def test_a_corpus_of_a_run_is_told_too() -> None:
    with pytest.raises(ValueError, match=r"gtzan needs --data\.corpus\.root"):
        settle_data_arguments(["--data.corpus", "gtzan", "--data.root", "x"], None)
    assert "--data.corpus.root=y" in settle_data_arguments(["--data.corpus=gtzan", "--data.corpus.root=y"], None)
