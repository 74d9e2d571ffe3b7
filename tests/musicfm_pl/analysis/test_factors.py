"""Factors from configurations, and results that were not made with the configuration beside them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from synthetic_study import pretraining, write_model

from musicfm_pl.analysis.arms import arms, pairs
from musicfm_pl.analysis.factors import factors, level_text, of_one_size, read_runs, settings
from musicfm_pl.analysis.published import published_arms
from musicfm_pl.analysis.relation_file import read_relations
from musicfm_pl.analysis.relations import reports
from musicfm_pl.config import layers
from musicfm_pl.encoders.encoder_file import EncoderFile, write_encoder
from musicfm_pl.leaderboard import build
from musicfm_pl.leaderboard_text import facts
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import ResultError, read_result, write_result

EXPERIMENTS = Path(__file__).parents[3] / "experiments"


def test_factors_of_a_configuration() -> None:
    found = factors(pretraining(0, rate=50, encoder="bert.Bert", tokens="kmeans.KMeans"), 330_000_000)
    assert found == {
        "encoder": "BERT",
        "tokens": "k-means",
        "rate": 50.0,
        "length": 30.0,
        "size": 330e6,
        "data": "pop909",
        "share": 1.0,
    }
    assert [level_text(f, found[f]) for f in ("rate", "length", "size")] == ["50 Hz", "30 s", "330 M"]
    unnamed = pretraining(0, rate=75)
    del unnamed["model"]["init_args"]["rate_hz"]
    unnamed["data"]["init_args"]["features"] = {"init_args": {"hop_length": 320}}
    assert factors(unnamed, 1)["rate"] == 75.0, "by hop and strides"
    assert factors({"model": {"init_args": {"encoder": {"class_path": "x.MelFrames"}}}}, 0) == {}


def test_other_settings_are_what_is_no_factor() -> None:
    one, other = settings(pretraining(0)), settings(pretraining(1, rate=75, length=5, data="dcml", steps=2000))
    differing = {key for key in one.keys() | other.keys() if one.get(key) != other.get(key)}
    assert differing == {"trainer.max_steps"}


def test_task_runs_have_the_factors_of_their_pretraining(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "a", seeds=[0], tasks=["key"], rate=75)
    results, origins = read_runs([tmp_path / "runs"])
    assert {r.stage for r in results} == {"pretrain", "probe"}
    assert all(origins[r.run].factors["rate"] == 75.0 for r in results)
    (task,) = [r for r in results if r.task == "key"]
    assert origins[task.run].factors["mode"] == "probe"
    # A result alone, with its configuration: the pretraining lies where it was.
    results, origins = read_runs([tmp_path / "runs" / "a" / "probe"])
    assert origins[task.run].factors["rate"] == 75.0
    (tmp_path / "runs" / "a" / "pretrain" / "seed0" / "config.yaml").unlink()
    results, origins = read_runs([tmp_path / "runs" / "a" / "probe"])
    assert not origins[task.run].factors
    assert "pretrain/seed0 is not there" in origins[task.run].missing


def test_an_encoder_file_has_the_factors_of_its_pretraining(tmp_path: Path) -> None:
    """Named as the file that a run writes, where the run itself may be gone."""
    write_model(tmp_path / "runs", "a", seeds=[0], tasks=["key"], rate=75)
    alone = tmp_path / "elsewhere.safetensors"
    write_encoder(alone, EncoderFile(pretraining(0, rate=75), {"none": torch.zeros(1)}, {}, 10))
    folder = tmp_path / "runs" / "a" / "probe" / "key" / "seed0"
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["model"]["init_args"]["encoder"]["init_args"]["run"] = str(alone)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    write_result(folder, replace(read_result(folder / "results.json"), config_digest=config_digest(config)))
    shutil.rmtree(tmp_path / "runs" / "a" / "pretrain")
    _, origins = read_runs([tmp_path / "runs"])
    found = origins["a/probe/key/seed0"]
    assert (found.factors["rate"], found.factors["mode"], found.missing) == (75.0, "probe", "")
    alone.write_bytes(b"nothing of the kind")
    _, origins = read_runs([tmp_path / "runs"])
    assert "elsewhere.safetensors cannot be read" in origins["a/probe/key/seed0"].missing


def test_a_result_of_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "a", seeds=[0, 1], tasks=["key"])
    file = tmp_path / "runs" / "a" / "probe" / "key" / "seed1" / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["model"]["init_args"]["freeze"] = False
    file.write_text(yaml.safe_dump(config))
    message = (
        r"seed1/results.json: config_digest: a/probe/key/seed1 was not made with what \S+seed1/config.yaml says now"
    )
    with pytest.raises(ResultError, match=message):
        read_runs([tmp_path / "runs"])
    file.write_text("[]")
    with pytest.raises(ResultError, match="not a configuration, but a YAML list"):
        read_runs([tmp_path / "runs"])
    file.unlink()
    _, origins = read_runs([tmp_path / "runs"])
    assert origins["a/probe/key/seed1"].missing == "no config.yaml lies beside the result"
    assert origins["a/probe/key/seed1"].unverified == "the configuration, since no config.yaml lies beside the result"
    assert origins["a/probe/key/seed0"].unverified == ""


def test_a_probe_of_an_encoder_that_was_made_anew_is_refused_by_name(tmp_path: Path) -> None:
    """Its figures are those of the former encoder, and would stand under the factors of the new one."""
    root = tmp_path / "runs"
    write_model(root, "a", seeds=[0], tasks=["key"], rate=25)
    probe = (root / "a" / "probe").rename(tmp_path / "probe")
    write_model(root, "a", seeds=[0], tasks=[], rate=75)
    probe.rename(root / "a" / "probe")
    message = r"key/seed0/results.json: encoder_digest: a/probe/key/seed0 was made from \S+a/pretrain/seed0 as it was"
    with pytest.raises(ResultError, match=message):
        read_runs([root])
    (root / "a" / "pretrain" / "seed0" / "results.json").unlink()
    with pytest.raises(ResultError, match=message):
        read_runs([root])
    folder = root / "a" / "probe" / "key" / "seed0"
    write_result(folder, replace(read_result(folder), encoder_digest=""))
    results, origins = read_runs([root])
    assert "the encoder's configuration" in origins["a/probe/key/seed0"].unverified
    (table,) = build(results, origins).tables
    assert dict(facts(table))["Unverified"].endswith("which results did not name before schema 5 (1 of 1 results)")


def test_copies_are_of_the_pretraining_that_was_copied_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not of one that lies below the current directory, where another machine has none."""
    monkeypatch.chdir(tmp_path)
    write_model(Path("runs/study"), "a", seeds=[0], tasks=["key"], rate=25)
    shutil.copytree("runs/study", "kept")
    Path("kept/a/pretrain/seed0/results.json").unlink()
    _, origins = read_runs([Path("kept")])
    here = origins["study/a/probe/key/seed0"]
    assert (here.factors["rate"], here.unverified) == (25.0, "")
    shutil.rmtree("runs")
    assert read_runs([Path("kept")])[1] == origins, "all of it is in the copy"
    shutil.copytree("kept/a/pretrain", "runs/study/a/pretrain")
    shutil.rmtree("kept/a/pretrain")
    _, origins = read_runs([Path("kept")])
    assert "runs/study/a/pretrain/seed0 is not there" in origins["study/a/probe/key/seed0"].missing


def test_a_test_on_another_corpus_is_of_the_configuration_above_it(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "a", seeds=[0], tasks=["key"])
    folder = tmp_path / "runs" / "a" / "probe" / "key" / "seed0"
    (folder / "on-tiny").mkdir()
    (folder / "results.json").rename(folder / "on-tiny" / "results.json")
    _, origins = read_runs([tmp_path / "runs"])
    assert origins["a/probe/key/seed0"].config_file == folder / "config.yaml"


def test_sizes_that_nearly_agree_are_one(tmp_path: Path) -> None:
    for name, parameters in (("a", 1_600_000), ("b", 1_800_000), ("c", 3_600_000)):
        write_model(tmp_path / "runs", name, seeds=[0], tasks=["key"], parameters=parameters)
    results, origins = read_runs([tmp_path / "runs"])
    sizes = {r.name: origins[r.run].factors["size"] for r in results}
    assert sizes == {"a": 1.8e6, "b": 1.8e6, "c": 3.6e6}
    assert of_one_size(results, origins) == origins


def test_partners_differ_in_one_factor_and_as_little_else_as_can_be(tmp_path: Path) -> None:
    for name, of in (
        ("short", {"length": 5}),
        ("long", {}),
        ("long, more steps", {"steps": 2000}),
        ("long, fast", {"rate": 75}),
    ):
        write_model(tmp_path / "runs", name, seeds=[0], tasks=["key"], **of)
    models = arms(*read_runs([tmp_path / "runs"]))
    (pair,) = pairs(models, "length", 5.0, 30.0)
    assert (pair.first.name, pair.second.name, pair.also) == ("short", "long", ())
    assert pairs([m for m in models if m.name != "long"], "length", 5.0, 30.0)[0].also == ("trainer.max_steps",)
    (pair,) = pairs(models, "rate", 25.0, 75.0)[:1]
    assert pair.second.name == "long, fast"


def test_partners_that_differ_in_settings_of_the_task_are_named_so(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    write_model(root, "short", seeds=[0], tasks=["beat", "key"], length=5)
    write_model(root, "long", seeds=[0], tasks=["beat"], of_task={"learning_rate": 1e-4})
    (pair,) = pairs(arms(*read_runs([root])), "length", 5.0, 30.0)
    assert (pair.also, pair.tasks) == ((), {"beat": ("model.learning_rate",)})
    (found,) = reports(*read_runs([root]), read_relations())
    answer = next(answer for answer in found.answers if answer.relation.name == "Length")
    assert {finding.also for finding in answer.findings} == {("beat: model.learning_rate",)}
    # A partner that was trained alike is a better one.
    write_model(root, "alike", seeds=[0], tasks=["beat"])
    (pair,) = pairs(arms(*read_runs([root])), "length", 5.0, 30.0)
    assert (pair.second.name, pair.tasks) == ("alike", {"beat": ()})


def test_seeds_of_one_model_that_differ_are_not_taken_for_alike(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for seed, rate in ((0, 1e-3), (1, 1e-4)):
        write_model(root, "short", seeds=[seed], tasks=["key"], length=5, of_task={"learning_rate": rate})
    write_model(root, "long", seeds=[0, 1], tasks=["key"], of_task={"learning_rate": 1e-3})
    (pair,) = pairs(arms(*read_runs([root])), "length", 5.0, 30.0)
    assert pair.tasks == {"key": ("model.learning_rate",)}


def test_two_runs_of_one_seed_are_refused(tmp_path: Path) -> None:
    """Their mean would stand for the seed in one figure, and either of them in its interval."""
    root = tmp_path / "runs"
    write_model(root, "a", seeds=[0], tasks=["key"])
    other = root / "again" / "probe" / "key" / "seed0"
    shutil.copytree(root / "a" / "probe" / "key" / "seed0", other)
    result = read_result(other / "results.json")
    write_result(other, replace(result, run="again/probe/key/seed0"))
    with pytest.raises(ValueError, match=r"a/probe/key/seed0 and again/probe/key/seed0 claim the same place"):
        arms(*read_runs([root]))


@pytest.mark.parametrize("name", ["fm3", "fm4", "fm5", "fm6", "fm7"])
def test_the_studys_own_experiments_have_its_factors(name: str) -> None:
    """The YAML layers, merged as far as factors need it, say what Table 1 says of the row."""
    merged: dict[str, object] = {}
    for file in layers(EXPERIMENTS / "pretrain" / f"{name}.yaml"):
        _merge(merged, yaml.safe_load(file.read_text()))
    found = factors(merged, 330_000_000)
    row = next(arm for arm in published_arms() if arm.name == name.upper())
    for factor in ("encoder", "tokens", "rate", "length"):
        assert found[factor] == row.factors[factor]


def _merge(below: dict, above: dict) -> None:
    for key, value in above.items():
        if isinstance(value, dict) and isinstance(below.get(key), dict):
            _merge(below[key], value)
        else:
            below[key] = value
