"""A model that is moved to other music, from its pretraining to the tables, by the commands alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import command
import pytest

from musicfm_pl.results import read_result


def test_the_same_music_under_another_name_loses_nothing(tmp_path: Path, prepared: Path, pretrained_run: Path) -> None:
    other, runs = tmp_path / "data" / "other", tmp_path / "runs"
    shutil.copytree(prepared, other, ignore=shutil.ignore_patterns("embeddings"))
    card = json.loads((other / "corpus.json").read_text())
    (other / "corpus.json").write_text(json.dumps(card | {"corpus": "other", "family": "other"}))
    encoder = command.encoder("Pretrained", pretrained_run)
    for name, data in (("home", prepared), ("retrained", other)):
        command.succeed("fit", *command.probing("key", data, runs / name, *encoder))
        command.succeed("test", "--run_dir", runs / name)
    before = (runs / "home" / "results.json").read_bytes()
    command.succeed("test", "--run_dir", runs / "home", "--data.root", other, "--result_dir", runs / "moved")
    assert (runs / "home" / "results.json").read_bytes() == before
    moved = read_result(runs / "moved")
    assert (moved.corpus, moved.trained_on) == ("other", "miniature")
    roots = f"[{prepared},{other}]"
    command.succeed("codebook", "--run", pretrained_run, "--roots", roots, "--out", runs / "moved" / "codebook.json")

    command.succeed("generalisation", "--results", runs, "--out", tmp_path / "out")
    found = json.loads((tmp_path / "out" / "generalisation.json").read_text())
    (key,) = found["moved"]
    assert (key["trained_on"], key["corpus"], key["metric"]) == ("miniature", "other", "key_weighted")
    assert key["pretrained_on"] == prepared.name
    for part in ("lost", "regained", "remaining"):
        assert key[part]["mean"] == pytest.approx(0, abs=1e-6)
    (_, new) = found["music"]
    assert new["lost"]["masked_accuracy"]["mean"] == pytest.approx(0, abs=1e-9)

    command.succeed("leaderboard", "--results", runs, "--out", tmp_path / "out")
    assert "Where does the loss on new music arise?" in (tmp_path / "out" / "leaderboard.html").read_text()
