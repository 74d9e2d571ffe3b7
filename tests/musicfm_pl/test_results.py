"""The record of a run: written whole, read back the same, refused with a clear word."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.fsdp import FSDPModule

from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.provenance import IGNORED_KEYS, config_digest, machine, versions
from musicfm_pl.results import (
    Evaluation,
    ResultError,
    RunResult,
    TrackResult,
    read_result,
    read_results,
    write_result,
)
from musicfm_pl.results_writer import class_name

RESULT = RunResult(
    run="probe/conformer/seed0/beat",
    name="Conformer, pretrained",
    role="encoder",
    stage="probe",
    task="beat",
    protocol="musicfm",
    corpus="tiny",
    corpus_note="synthetic tempo",
    licence="CC0",
    split="test",
    num_tracks=2,
    seed=0,
    layer=2,
    num_parameters=812_345,
    config_digest=config_digest({"seed": 0}),
    versions=versions(),
    machine=machine("cpu"),
    seconds=12.5,
    summary={"beat_f": 0.1 + 0.2, "downbeat_f": None},
    notes=("the first 5 s are left out",),
    tracks=(
        TrackResult("a/Für Elise", "a", {"beat_f": 1 / 3, "downbeat_f": None}),
        TrackResult("b", "b", {"beat_f": 4 / 15, "downbeat_f": None}),
    ),
    others={
        "marble": Evaluation(
            {"beat_f": 0.25, "downbeat_f": 0.0},
            ("not a clip of 10 s",),
            (TrackResult("a/Für Elise", "a", {"beat_f": 0.2}), TrackResult("b", "b", {"beat_f": 0.3})),
        ),
        "bare": Evaluation({}),
    },
)
EVALUATION = {"summary": {}, "notes": [], "tracks": []}


def changed(tmp_path: Path, **values: Any) -> Path:
    path = write_result(tmp_path, RESULT)
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return path


def own(**values: Any) -> dict[str, Any]:
    """What to change for an own evaluation that has other values."""
    return {"protocols": {"musicfm": EVALUATION | values}}


def test_comes_back_the_same(tmp_path: Path) -> None:
    path = write_result(tmp_path / "a" / "run", RESULT)
    assert path == tmp_path / "a" / "run" / "results.json"
    assert read_result(path) == read_result(path.parent) == RESULT
    assert [p.name for p in path.parent.iterdir()] == ["results.json"], "nothing is left aside"
    text = path.read_text(encoding="utf-8")
    assert list(json.loads(text))[:3] == ["schema", "run", "name"]
    assert "Für Elise" in text
    assert sum("track_id" in line for line in text.splitlines()) == 4, "one track a line"
    write_result(tmp_path / "again", read_result(path))
    assert (tmp_path / "again" / "results.json").read_bytes() == path.read_bytes()


@given(st.dictionaries(st.text(min_size=1), st.none() | st.floats(allow_nan=False, allow_infinity=False), max_size=5))
def test_floats_are_kept(tmp_path_factory: pytest.TempPathFactory, summary: dict[str, float | None]) -> None:
    run_dir = tmp_path_factory.mktemp("run")
    write_result(run_dir, replace(RESULT, summary=summary, tracks=()))
    assert read_result(run_dir).summary == summary


def test_older_schemas_are_read_without_what_they_did_not_say(tmp_path: Path) -> None:
    path = write_result(tmp_path, replace(RESULT, encoder_digest="ab"))
    assert read_result(path).encoder_digest == "ab"
    data = json.loads(path.read_text())
    del data["encoder_digest"]
    path.write_text(json.dumps(data))
    with pytest.raises(ResultError, match="missing encoder_digest"):
        read_result(path)
    path.write_text(json.dumps(data | {"schema": 4}))
    assert read_result(path) == RESULT
    del data["trained_on"]
    path.write_text(json.dumps(data | {"schema": 3}))
    assert read_result(path) == RESULT


def test_what_draws_nothing_has_no_seed(tmp_path: Path) -> None:
    write_result(tmp_path, replace(RESULT, seed=None))
    assert read_result(tmp_path).seed is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schema": 6}, "results.json: schema 6, but this version reads schema 5"),
        ({"schema": 1}, r"make it anew with `musicfm test --run_dir \S+`, or of a pretraining run with"),
        ({"colour": "red"}, "results.json: unknown key colour"),
        ({"seed": "0"}, "results.json: seed: '0' is no int"),
        ({"seed": True}, "results.json: seed: True is no int"),
        ({"layer": 1.5}, "results.json: layer: 1.5 is no int or null"),
        ({"name": ""}, "results.json: name: empty"),
        ({"task": "genre"}, "results.json: task: 'genre' is none of beat, chord"),
        ({"stage": "pretrain"}, "results.json: task: 'beat' in stage 'pretrain'"),
        ({"protocol": "mirex"}, "results.json: protocol: 'mirex' is none of musicfm, marble, bare"),
        ({"protocols": {"musicfm": []}}, r"protocols.musicfm: \[\] is no dict"),
        ({"protocols": {"musicfm": {"summary": {}}}}, "protocols.musicfm: missing notes, tracks"),
        (own(colour="red"), "protocols.musicfm: unknown key colour"),
        (own(summary={"beat_f": "high"}), "protocols.musicfm.summary.beat_f: 'high' is no int or float or null"),
        (own(summary={"beat_f": float("nan")}), "protocols.musicfm.summary.beat_f: nan is no figure"),
        (own(notes=[1]), r"protocols.musicfm.notes\[0\]: 1 is no str"),
        ({"num_tracks": 3}, "results.json: num_tracks: 3, but protocols.musicfm.tracks has 2 rows"),
        (own(tracks=[{"track_id": "a"}]), r"protocols.musicfm.tracks\[0\]: has track_id, but needs"),
        (own(tracks=["a"]), r"protocols.musicfm.tracks\[0\]: 'a' is no dict"),
    ],
)
def test_says_which_key_is_wrong(tmp_path: Path, values: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultError, match=message):
        read_result(changed(tmp_path, **values))


def test_a_missing_key_and_a_broken_file_are_named(tmp_path: Path) -> None:
    path = write_result(tmp_path, RESULT)
    data = json.loads(path.read_text())
    del data["corpus"], data["seed"]
    path.write_text(json.dumps(data))
    with pytest.raises(ResultError, match="missing corpus, seed"):
        read_result(path)
    path.write_text("{")
    with pytest.raises(ResultError, match=re.escape(str(path)) + ": no JSON"):
        read_result(path)
    path.write_text("[]")
    with pytest.raises(ResultError, match="not a result, but a JSON list"):
        read_result(path)


def test_the_figures_of_another_protocol() -> None:
    marble = RESULT.under("marble")
    assert (marble.protocol, marble.summary["beat_f"], marble.tracks[1].metrics) == ("marble", 0.25, {"beat_f": 0.3})
    assert list(marble.evaluations) == ["marble", "musicfm", "bare"]
    assert marble.under("musicfm").evaluations == RESULT.evaluations
    assert (marble.run, marble.seed, marble.config_digest) == (RESULT.run, RESULT.seed, RESULT.config_digest)
    with pytest.raises(KeyError):
        RESULT.under("mirex")


def test_a_bad_result_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"summary\.beat_f: inf"):
        write_result(tmp_path, replace(RESULT, summary={"beat_f": float("inf")}))
    assert list(tmp_path.iterdir()) == []


def test_reads_all_under_a_root(tmp_path: Path) -> None:
    for run in ("b/seed1", "b/seed0", "a"):
        write_result(tmp_path / run, replace(RESULT, run=run))
    assert [result.run for result in read_results(tmp_path)] == ["a", "b/seed0", "b/seed1"]
    assert [result.run for result in read_results(tmp_path / "a" / "results.json")] == ["a"]
    with pytest.raises(FileNotFoundError, match="no such directory of runs"):
        read_results(tmp_path / "c")


def test_the_digest_knows_what_changes_figures() -> None:
    config = {
        "model": {"lr": 1e-4, "strides": (2, 2)},
        "data": {"root": PurePosixPath("data/tiny"), "num_workers": 2},
    }
    same = {
        "data": {"num_workers": 0, "root": "data/tiny"},
        "run_dir": "x",
        "model": {"strides": [2, 2], "lr": 0.0001},
    }
    assert config_digest(config) == config_digest(same)
    assert re.fullmatch("[0-9a-f]{64}", config_digest(config))
    assert config_digest(config) != config_digest(config | {"seed_everything": 1})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=10,
    ),
    st.sampled_from(sorted(IGNORED_KEYS)),
)
def test_ignored_keys_never_count(value: Any, key: str) -> None:
    assert config_digest({"a": {"b": value, key: 1}}) == config_digest({key: [value], "a": {"b": value}})


def test_versions_and_machine() -> None:
    found = versions()
    assert list(found) == ["python", "torch", "lightning", "torchmetrics", "mir_eval", "musicfm_pl", "commit"]
    assert all(found[name] for name in ("python", "torch", "musicfm_pl"))
    assert machine("cpu")["cpu_count"] >= 1
    head = subprocess.run(
        ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    if found["commit"] is not None:
        assert found["commit"].removesuffix("-dirty") == head.stdout.strip()


def test_a_sharded_encoder_goes_by_the_name_of_its_class() -> None:
    encoder = Conformer(dim=16, num_layers=1, num_heads=2, ffn_dim=8, conv_channels=2)
    assert class_name(encoder) == "Conformer"
    encoder.__class__ = type("FSDPConformer", (FSDPModule, Conformer), {})  # as `fully_shard` does
    assert class_name(encoder) == "Conformer"
