"""A prepared folder knows what it was prepared from, and a corpus that cannot be had is refused at once."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import shutil
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile
from preparation import BEGIN

from data_modules import corpora
from data_modules.card import arguments_of
from data_modules.corpora.base import Corpus
from data_modules.corpora.folder import Folder
from data_modules.prepare import prepare_for_run


def test_another_corpus_or_other_files_in_the_folder(whole: Path, tmp_path: Path) -> None:
    code, said = command.fail("prepare", "--corpus", "tiny", "--out", whole)
    assert code == 2
    assert f"--out: {whole} was prepared from miniature with 8 tracks, not from this tiny" in said
    (tmp_path / "thesis.tex").write_text("words")
    code, said = command.fail(*BEGIN, "--out", tmp_path)
    assert code == 2
    assert f"--out: {tmp_path} holds other files" in said
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    code, said = command.fail(*BEGIN[:-1], "3", "--out", whole)
    assert code == 2
    assert "--tracks_per_shard" in said


def test_other_arguments_of_the_corpus(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracks have the same names and splits: only the record tells."""
    code, said = command.fail(*BEGIN, "--out", whole, "--corpus.bad", "[song1]")
    assert code == 2
    assert f"corpus.bad: {whole} was prepared with [], not ['song1']; give the same again" in said
    music = tmp_path / "music"
    music.mkdir()
    soundfile.write(music / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32), 44100)
    folder = ("prepare", "--corpus", "folder", "--out", tmp_path / "data", "--jobs", "1", "--root")
    command.succeed(*folder, music)
    monkeypatch.chdir(tmp_path)
    command.succeed(*folder, "music")
    music.rename(tmp_path / "moved")
    code, said = command.fail(*folder, "moved")
    assert code == 2
    assert f"corpus.root: {tmp_path / 'data'} was prepared with '{music}', not '{tmp_path / 'moved'}'" in said
    card = json.loads((tmp_path / "data" / "corpus.json").read_text())
    assert card.pop("arguments") == {"root": str(music)}
    (tmp_path / "data" / "corpus.json").write_text(json.dumps(card))
    command.succeed(*folder, "moved")


def test_a_run_does_without_the_data_set_once_it_is_prepared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    music, out = tmp_path / "music", tmp_path / "data"
    music.mkdir()
    soundfile.write(music / "a.wav", np.random.default_rng(0).normal(0, 0.1, 44100).astype(np.float32), 44100)
    command.succeed("prepare", "--corpus", "folder", "--root", music, "--out", out, "--jobs", "1")
    shutil.rmtree(music)
    capsys.readouterr()
    prepare_for_run(Folder(music), out)
    assert "is prepared already: nothing to do" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(FileNotFoundError, match="no folder"):
        prepare_for_run(Folder(tmp_path / "other"), out)
    (out / "index.parquet").unlink()
    with pytest.raises(FileNotFoundError, match="no folder"):
        prepare_for_run(Folder(music), out)


def test_every_corpus_keeps_its_arguments() -> None:
    """Found by discovery; what a constructor needs is a path."""
    found = 0
    for module in pkgutil.iter_modules(corpora.__path__):
        for member in vars(importlib.import_module(f"data_modules.corpora.{module.name}")).values():
            if inspect.isclass(member) and issubclass(member, Corpus) and not inspect.isabstract(member):
                parameters = inspect.signature(member).parameters.values()
                corpus = member(**{p.name: Path("x") for p in parameters if p.default is inspect.Parameter.empty})
                assert list(arguments_of(corpus)) == [p.name for p in parameters]
                found += 1
    assert found >= 4
    assert arguments_of(Folder(Path("~/music"))) == {"root": str(Path.home() / "music")}


@pytest.mark.parametrize("name", ["prepare", "doctor"])
def test_the_help_says_how_to_find_a_corpus(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        command.succeed(name, "--help")
    assert "an unknown name lists all" in " ".join(capsys.readouterr().out.split())
    _, said = command.fail(name, "--corpus", "which")
    modules = {module.name for module in pkgutil.iter_modules(corpora.__path__)}
    known = said.split("known are ")[1].split(", or give")[0].split(", ")
    assert set(known) <= modules and len(known) > 15, said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--corpus", "tyni"], "tyni"),
        (["--corpus", "folder", "--root", "absent/music"], "absent/music"),
        (["--corpus", "pop909", "--root", "absent"], "no folder absent"),
        (["--corpus", "folder"], "root"),
        (["--corpus", "tiny", "--jobz", "2"], "jobz"),
        ([], "corpus"),
    ],
)
def test_corpora_that_are_not_there(arguments: list[str], message: str, tmp_path: Path) -> None:
    code, said = command.fail("prepare", *arguments, "--out", tmp_path / "data")
    assert code == 2
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "data").exists()
