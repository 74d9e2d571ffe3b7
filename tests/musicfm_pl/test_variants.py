"""The foundation models of the study, each made very small by one layer of YAML: two real steps of every one."""

from __future__ import annotations

import math
from pathlib import Path

import command
import pytest

from musicfm_pl.results import read_result

TINY = command.EXPERIMENTS / "axes" / "size" / "tiny.yaml"
VARIANTS = sorted((command.EXPERIMENTS / "pretrain").glob("fm*.yaml"))


@pytest.mark.parametrize("file", VARIANTS, ids=lambda file: file.stem)
def test_two_steps(file: Path, prepared: Path, tmp_path: Path) -> None:
    tokens: tuple[str | Path, ...] = ()
    if file.stem == "fm1":
        tokens = ("--model.tokenizer.file", tmp_path / "centroids.safetensors")
        heard = ("--hop_length", "320", "--stride", "1", "--k", "16", "--passes", "1")
        command.succeed("kmeans", "--root", prepared, "--out", tokens[1], *heard)
    command.succeed(
        "fit",
        *("--config", file, "--config", TINY, "--data.corpus", "null", "--data.root", prepared),
        *("--run_dir", tmp_path / "run", "--data.batch_size", "1", "--data.max_val_clips", "1", *tokens),
        *("--trainer.max_steps", "2", *command.QUIET),
    )
    result = read_result(tmp_path / "run")
    assert result.name == file.stem.upper()
    assert result.num_parameters < 150_000
    assert result.summary["steps"] == 2
    assert result.summary["skipped_steps"] == 0
    chance = math.log(1 / result.summary["chance_accuracy"])
    assert result.summary["val_loss"] == pytest.approx(chance, abs=1.5)
