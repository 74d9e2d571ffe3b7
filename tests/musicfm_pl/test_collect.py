"""Results without checkpoints and logs: complete, the same leaderboard, nothing that was removed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import command
import numpy as np
import pytest
import safetensors.numpy
import synthetic_study
import yaml
from torch.utils.tensorboard import SummaryWriter

from musicfm_pl.collect import collect
from musicfm_pl.event_logs import KEPT, logged_scalars
from musicfm_pl.leaderboard import leaderboard
from musicfm_pl.result_schema import ResultError
from musicfm_pl.results import FILE_NAME, Evaluation, read_result, write_result
from musicfm_pl.tokenizers.centroids_about import KEY, about_centroids


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    runs = tmp_path / "runs"
    synthetic_study.write_model(runs, "Conformer, 25 Hz")
    synthetic_study.write_model(runs, "Conformer, 50 Hz", rate=50)
    for folder in {file.parent for file in runs.rglob(FILE_NAME)}:
        (folder / "checkpoints").mkdir()
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"large")
    for folder in runs.rglob("pretrain*/**/seed0"):
        with SummaryWriter(folder) as log:
            for step in range(0, 300, 10):
                log.add_scalar("train/loss", 6 - step / 100, step)
                log.add_scalar("val/perplexity", 40 + step, step)
                log.add_scalar("lr", 0.1, step)
    return runs


def test_the_leaderboard_of_the_copy_is_that_of_the_runs(runs: Path, tmp_path: Path) -> None:
    collect(runs, tmp_path / "kept")
    names = {file.name for file in (tmp_path / "kept").rglob("*") if file.is_file()}
    assert names == {FILE_NAME, "config.yaml", KEPT}
    for results, out in ((runs, "of_runs"), (tmp_path / "kept", "of_copy")):
        leaderboard(results, tmp_path / out)
    for name in ("LEADERBOARD.md", "leaderboard.csv"):
        assert (tmp_path / "of_copy" / name).read_bytes() == (tmp_path / "of_runs" / name).read_bytes()
    pages = [(tmp_path / out / "leaderboard.html").read_text() for out in ("of_runs", "of_copy")]
    assert pages[0].count("<polyline") == pages[1].count("<polyline") > 0


def test_figures_under_other_protocols_may_be_left_out(runs: Path, tmp_path: Path) -> None:
    folder = next(file.parent for file in sorted(runs.rglob(FILE_NAME)) if read_result(file).stage == "probe")
    result = read_result(folder)
    write_result(folder, replace(result, others={"marble": Evaluation({"beat_f": 0.5})}))
    for others in (True, False):
        collect(runs, tmp_path / str(others), other_protocols=others)
        copy = read_result(tmp_path / str(others) / folder.relative_to(runs))
        assert (copy.summary, copy.tracks) == (result.summary, result.tracks)
        assert list(copy.others) == ["marble"] * others


def test_curves_come_back(runs: Path, tmp_path: Path) -> None:
    collect(runs, tmp_path / "kept")
    seen = 0
    for folder in {file.parent for file in (tmp_path / "kept").rglob(KEPT)}:
        kept = logged_scalars(folder, ["train/loss", "val/perplexity", "lr"])
        logged = logged_scalars(runs / folder.relative_to(tmp_path / "kept"), ["train/loss", "val/perplexity"])
        assert {
            name: {s: pytest.approx(v, rel=1e-5) for s, v in curve.items()} for name, curve in kept.items()
        } == logged
        seen += len(kept)
    assert seen > 0


def test_of_centroids_their_header_is_kept(runs: Path, tmp_path: Path) -> None:
    synthetic_study.write_model(runs, "Conformer, k-means", tokens="kmeans.KMeans")
    folder = next(f.parent for f in sorted(runs.rglob("config.yaml")) if "KMeans" in f.read_text())
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"]["init_args"]["tokenizer"]["init_args"]["file"] = "gone/kmeans.safetensors"
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    said = json.dumps({"k": 4, "features": "mfcc"})
    safetensors.numpy.save_file({"centroids": np.zeros((4, 20))}, folder / "kmeans.safetensors", {KEY: said})
    collect(runs, tmp_path / "kept")
    copy = tmp_path / "kept" / folder.relative_to(runs)
    found = about_centroids(Path("gone/kmeans.safetensors"), copy)
    assert found == {"k": 4, "features": "mfcc"}
    assert not (copy / "kmeans.safetensors").exists()


def test_several_directories_are_collected_into_one_and_nothing_is_removed(runs: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    collect(runs, kept)
    (kept / "LEADERBOARD.md").write_text("mine")
    before = {file.relative_to(kept) for file in kept.rglob("*")}
    synthetic_study.write_model(tmp_path / "others" / "runs", "Conformer, 75 Hz", rate=75)
    collect(tmp_path / "others" / "runs", kept)
    assert before < {file.relative_to(kept) for file in kept.rglob("*")}
    assert (kept / "LEADERBOARD.md").read_text() == "mine"


def test_what_lies_beside_a_result_or_above_it_comes_along(runs: Path, tmp_path: Path) -> None:
    folder = sorted(runs.rglob(FILE_NAME))[0].parent
    (folder / "codebook.json").write_text("{}")
    elsewhere = tmp_path / "only" / "runs" / "beat" / "on-val"
    elsewhere.mkdir(parents=True)
    (elsewhere / FILE_NAME).write_bytes((folder / FILE_NAME).read_bytes())
    (elsewhere.parent / "config.yaml").write_bytes((folder / "config.yaml").read_bytes())
    collect(runs, tmp_path / "kept")
    collect(tmp_path / "only" / "runs", tmp_path / "kept_too")
    assert (tmp_path / "kept" / folder.relative_to(runs) / "codebook.json").exists()
    assert (tmp_path / "kept_too" / "beat" / "config.yaml").exists()


def test_bad_input_is_named_and_copies_nothing(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="would count a second time"):
        collect(runs, runs / "kept")
    with pytest.raises(ValueError, match="would count a second time"):
        collect(runs, runs.parent)
    with pytest.raises(FileNotFoundError, match=r"there is no results\.json below"):
        collect(tmp_path / "nothing", tmp_path / "kept")
    broken = sorted(runs.rglob(FILE_NAME))[0]
    broken.write_text("{")
    with pytest.raises(ResultError, match=str(broken)):
        collect(runs, tmp_path / "kept")
    assert not (tmp_path / "kept").exists()


def test_damaged_curves_are_named(tmp_path: Path) -> None:
    (tmp_path / KEPT).write_text(json.dumps({"train/loss": [1, 2]}))
    with pytest.raises(ResultError, match=f"{KEPT}: no curves"):
        logged_scalars(tmp_path, ["train/loss"])


def test_as_a_command(runs: Path, tmp_path: Path) -> None:
    done = command.musicfm("collect", "--results", runs, "--out", tmp_path / "kept")
    assert done.returncode == 0, done.stderr
    assert "results are in" in done.stdout
