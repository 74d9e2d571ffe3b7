"""A result that was made from a run which has been made anew since is stale, and says why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from musicfm_pl.cells import read_grid
from musicfm_pl.grid import Status, all_statuses
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import RunResult, read_result, write_result

GRID = """\
root: runs
stages:
  - run: pretrain
    commands: ["fit --model.dim 64 --run_dir {run_dir}"]
  - run: probe
    needs: [pretrain]
    commands: ["fit --model.encoder.run runs/pretrain --run_dir {run_dir}", "test --run_dir {run_dir}"]
  - run: moved
    needs: [probe]
    commands: ["test --run_dir runs/probe --data.root data/other --result_dir {run_dir}"]
"""
PROBE = {"model": {"init_args": {"encoder": {"init_args": {"run": "runs/pretrain"}}}}, "seed_everything": 0}


def pretraining(dim: int) -> dict[str, object]:
    return {"model": {"init_args": {"dim": dim}}}


def write(run: str, config: dict[str, object], encoder_digest: str) -> None:
    stage = "pretrain" if run == "pretrain" else "probe"
    found = RunResult(
        *(run, "Conformer", "encoder", stage, "pretrain" if run == "pretrain" else "beat", "musicfm", "tiny", ""),
        *("CC0", "test", 1, 0, None, 9, config_digest(config), {}, {}, 0.1, {"beat_f": 1.0}),
        encoder_digest=encoder_digest,
    )
    write_result(Path("runs") / run, found)
    (Path("runs") / run / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A grid that is done, of which each cell was made from the one before."""
    monkeypatch.chdir(tmp_path)
    Path("grid.yaml").write_text(GRID)
    digest = config_digest(pretraining(64))
    write("pretrain", pretraining(64), "")
    write("probe", PROBE, digest)
    write("moved", PROBE, digest)
    return tmp_path


def statuses() -> dict[str, Status]:
    return all_statuses(read_grid(Path("grid.yaml")))


def test_what_is_of_the_present_runs_is_done(here: Path) -> None:
    assert statuses() == dict.fromkeys(("pretrain", "probe", "moved"), Status("done"))


def test_a_pretraining_that_was_made_anew_alone_leaves_its_probes_stale(here: Path) -> None:
    Path("grid.yaml").write_text(GRID.replace("dim 64", "dim 32"))
    assert statuses()["pretrain"].state == "stale"
    write("pretrain", pretraining(32), "")
    found = statuses()
    assert found["pretrain"] == Status("done")
    old, new = (config_digest(pretraining(dim))[:12] for dim in (64, 32))
    reason = f"its encoder is of pretrain, which was made anew with other settings (encoder_digest: {old}…, now {new}…)"
    assert found["probe"] == Status("stale", reason)
    assert found["moved"] == Status("stale", "it was made from probe, which is stale")


def test_a_test_of_a_run_that_was_made_anew_is_stale(here: Path) -> None:
    write("pretrain", pretraining(32), "")
    Path("grid.yaml").write_text(GRID.replace("dim 64", "dim 32"))
    write("probe", PROBE, config_digest(pretraining(32)))
    found = statuses()
    assert found["probe"] == Status("done")
    assert found["moved"].state == "stale" and "the encoder of probe was made anew" in found["moved"].detail
    write("probe", PROBE | {"seed_everything": 1}, "")
    found = statuses()
    assert found["moved"].state == "stale"
    assert "it is a test of probe, which was made anew with other settings (config_digest: " in found["moved"].detail


def test_older_results_do_not_say_and_are_not_doubted(here: Path) -> None:
    for run in ("probe", "moved"):
        write_result(Path("runs") / run, replace(read_result(Path("runs") / run), encoder_digest=""))
    write("pretrain", pretraining(32), "")
    Path("grid.yaml").write_text(GRID.replace("dim 64", "dim 32"))
    assert {found.state for found in statuses().values()} == {"done"}
