"""`musicfm baseline`: what it records, how it stands beside probes, and what it refuses."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import command
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from musicfm_pl.leaderboard import build
from musicfm_pl.results import read_result, read_results


def altered(prepared: Path, to: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """A copy of a prepared folder with every row of its index changed."""
    shutil.copytree(prepared, to, ignore=shutil.ignore_patterns("embeddings"))
    table = pq.read_table(to / "index.parquet")
    rows = table.to_pylist()
    for row in rows:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), to / "index.parquet")
    return to


def test_records_a_run(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "templates"
    done = command.musicfm("baseline", "--task", "chord", "--root", prepared, "--run_dir", run, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    assert "chroma templates: 2 of 2 tracks, 0.01 h" in done.stdout, "told as by every command that takes time"
    assert "chord_majmin: " in done.stdout
    result = read_result(run)
    assert (result.name, result.role, result.stage, result.task) == ("chroma templates", "baseline", "probe", "chord")
    assert (result.run, result.corpus, result.split) == ("templates", "miniature", "test")
    assert (result.seed, result.layer, result.num_parameters) == (None, None, 0)
    assert result.versions["librosa"]
    assert "Fujishima" in result.notes[0]
    assert {"by_track", "marble", "mirex"} == result.others.keys()
    assert all("differ here in scoring alone" in evaluation.notes[1] for evaluation in result.evaluations.values())
    assert [track.track_id for track in result.tracks] == ["song6", "song7"]
    assert [track.group for track in result.tracks] == ["song6", "song7"]
    assert 0.5 < (result.summary["chord_majmin"] or 0.0) <= 1


@pytest.mark.parametrize("task", ["beat", "structure", "key", "tagging"])
def test_every_task_under_one_name(task: str, prepared: Path, tmp_path: Path) -> None:
    options = ("--name", "off the shelf", "--jobs", "1")
    command.succeed("baseline", "--task", task, "--root", prepared, "--run_dir", tmp_path / "run", *options)
    result = read_result(tmp_path / "run")
    assert (result.name, result.task, result.num_tracks) == ("off the shelf", task, 2)
    downbeats = [value for name, value in result.summary.items() if name.startswith("downbeat")]
    assert all(value is None for value in downbeats)
    assert any(value is not None for value in result.summary.values())
    if task == "beat":
        assert downbeats
        assert all(track.metrics["downbeat_f"] is None for track in result.tracks)


def test_settings_and_another_split_are_another_run(prepared: Path, tmp_path: Path) -> None:
    digests = set()
    for number, more in enumerate([(), ("--method.threshold", "0.3"), ("--split", "val")]):
        run = tmp_path / str(number)
        method = ("--method", "musicfm_pl.baselines.structure.CheckerboardSections", "--jobs", "1")
        command.succeed("baseline", *method, "--root", prepared, "--run_dir", run, *more)
        digests.add(read_result(run).config_digest)
    assert len(digests) == 3
    assert [track.track_id for track in read_result(tmp_path / "2").tracks] == ["song4", "song5"]


def test_a_corpus_for_testing_alone(prepared: Path, tmp_path: Path) -> None:
    """Methods that learn nothing need no training split; one that learns says that it is not there."""
    data = altered(prepared, tmp_path / "data", lambda row: row.update(split="test"))
    options = ("--root", data, "--run_dir", tmp_path / "run", "--jobs", "1")
    command.succeed("baseline", "--task", "key", *options)
    assert read_result(tmp_path / "run").num_tracks == 8
    code, said = command.fail("baseline", "--task", "tagging", *options)
    assert code == 2
    assert "has no track in the split 'train'" in said


def test_a_stage_of_a_grid_and_a_row_of_the_leaderboard(prepared: Path, tmp_path: Path) -> None:
    grid = tmp_path / "grid.yaml"
    grid.write_text(
        "root: runs\nstages:\n  - run: shelf/{task}\n    axes: {task: [chord]}\n    commands:\n"
        f"      - baseline --task {{task}} --root {prepared} --name shelf --jobs 2 --run_dir {{run_dir}}\n"
    )
    done = command.musicfm("grid", grid, "--launch", "local", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    alone = tmp_path / "alone"
    command.succeed("baseline", "--task=chord", "--root", prepared, "--run_dir", alone, "--jobs", "1")
    assert read_result(tmp_path / "runs/shelf/chord").tracks == read_result(alone).tracks, "however many processes"
    board = build(read_results(tmp_path / "runs"))
    (row,) = board.tables[0].rows
    assert (row.name, row.role, row.num_parameters) == ("shelf", "baseline", 0)
    assert "Fujishima" in board.tables[0].notes[0]


class TestRefuses:
    def test_a_task_that_has_none(self, prepared: Path, tmp_path: Path) -> None:
        code, said = command.fail("baseline", "--task", "melody", "--root", prepared, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "--task: there is no task 'melody'; known are beat, chord, key, structure, tagging" in said

    def test_no_task_at_all(self, prepared: Path, tmp_path: Path) -> None:
        code, said = command.fail("baseline", "--root", prepared, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "method" in said

    def test_a_folder_that_was_not_prepared(self, tmp_path: Path) -> None:
        code, said = command.fail("baseline", "--task", "key", "--root", tmp_path, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "is no prepared folder" in said

    def test_tracks_without_the_label(self, prepared: Path, tmp_path: Path) -> None:
        def beats_only(row: dict[str, Any]) -> None:
            row["kinds"] = ["beat"]
            row["labels"] = [label for label in row["labels"] if label["kind"] == "beat"]

        data = altered(prepared, tmp_path / "data", beats_only)
        code, said = command.fail("baseline", "--task", "key", "--root", data, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "split 'test', has labels of kind 'key'" in said
        assert not (tmp_path / "run").exists()

    def test_a_corpus_without_a_test_split(self, prepared: Path, tmp_path: Path) -> None:
        data = altered(prepared, tmp_path / "data", lambda row: row.update(split="train"))
        code, said = command.fail("baseline", "--task", "key", "--root", data, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "has no track in the split 'test'" in said

    def test_no_process_at_all(self, prepared: Path, tmp_path: Path) -> None:
        options = ("--root", prepared, "--run_dir", tmp_path / "run", "--jobs", "-1")
        code, said = command.fail("baseline", "--task", "key", *options)
        assert (code, "--jobs: -1" in said) == (2, True)

    def test_librosa_is_not_installed(self, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "librosa", None)
        code, said = command.fail("baseline", "--task", "key", "--root", prepared, "--run_dir", tmp_path / "run")
        assert code == 2
        assert "needs librosa: pip install -e '.[baselines]'" in said
        command.succeed("baseline", "--task", "tagging", "--root", prepared, "--run_dir", tmp_path / "run")
