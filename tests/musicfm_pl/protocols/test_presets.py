"""Protocols are data: readable, known to the heads, and each says whose choices it has."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure
from musicfm_pl.heads.tagging import Tagging
from musicfm_pl.protocols import presets
from musicfm_pl.protocols.presets import OWN, ProtocolError, protocol, protocol_names, protocols

FOLDER = Path(presets.__file__).parent
HEADS: dict[str, type[Head]] = {head.task: head for head in (Beat, Chord, Structure, Key, Tagging)}
ALL = [(task, name) for task in HEADS for name in protocol_names(task)]


def test_every_task_has_those_that_exist_for_it() -> None:
    assert protocol_names("beat") == [OWN, "all_in_one", "beat_this", "marble", "mirex", "pooled", "untrimmed"]
    assert protocol_names("chord") == [OWN, "by_track", "marble", "mirex"]
    assert protocol_names("structure") == [OWN, "all_in_one", "mirex", "trimmed"]
    assert protocol_names("key") == [OWN, "marble", "mirex"]
    assert protocol_names("tagging") == [OWN, "marble"]
    assert {folder.name for folder in FOLDER.iterdir() if folder.is_dir()} - {"__pycache__"} == set(HEADS)


@pytest.mark.parametrize(("task", "name"), ALL)
def test_the_head_knows_its_rules(task: str, name: str) -> None:
    found = protocol(task, name)
    head = HEADS[task](4)
    view = head.under(found.settings)
    for rule, value in found.settings.items():
        assert getattr(view.rules, rule) == (tuple(value) if isinstance(value, list) else value)
    assert view.state_dict().keys() == head.state_dict().keys()
    assert [id(parameter) for parameter in view.parameters()] == [id(parameter) for parameter in head.parameters()]
    assert head.rules == HEADS[task](4).rules, "the head itself stays as it was"


@pytest.mark.parametrize(("task", "name"), ALL)
def test_the_file_says_where_it_comes_from(task: str, name: str) -> None:
    text = (FOLDER / task / f"{name}.yaml").read_text()
    assert text.startswith("# ") and len(protocol(task, name).source) > 10
    assert list(yaml.safe_load(text))[:3] == ["source", "headline", "settings"]


@pytest.mark.parametrize("task", HEADS)
def test_our_own_is_what_a_head_does_by_default(task: str) -> None:
    head, own = HEADS[task](4), protocols(task)[0]
    assert own.name == OWN
    assert head.under(own.settings).rules == head.rules
    assert own.headline == HEADS[task].headline


@pytest.mark.parametrize(("task", "name"), ALL)
def test_what_it_is_about_is_scored(task: str, name: str) -> None:
    found = protocol(task, name)
    head = HEADS[task](4)
    empty = Spans.of([])
    head.learn_labels([Spans.of([(0.0, 1.0, "rock")])])
    scores = head.under(found.settings).score(
        [empty], [Estimate(empty, probabilities=dict.fromkeys(getattr(head, "tags", ()), 0.0))], [9.0]
    )
    assert set(found.headline) <= set(scores.summary)


@pytest.mark.parametrize("task", HEADS)
def test_rules_are_arguments_of_the_constructor(task: str) -> None:
    rules = list(vars(HEADS[task](4).rules))
    arguments = inspect.signature(HEADS[task]).parameters
    assert set(rules) <= set(arguments)
    assert all(f"{rule}:" in (HEADS[task].__doc__ or "") for rule in rules)


def test_unknown_ones_are_told_the_known_ones() -> None:
    with pytest.raises(ProtocolError, match="no protocol 'mirax' of key; known are musicfm, marble, mirex"):
        protocol("key", "mirax")
    with pytest.raises(ValueError, match="Key has no rule trim_s; it has fifths"):
        Key(4).under({"trim_s": 5.0})
    assert protocols("pretrain") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: [", "bad.yaml: no YAML"),
        ("- a", r"bad.yaml: has \['a'\], but needs source, headline, settings"),
        ("source: a\nsettings: {}", "bad.yaml: has source, settings, but needs"),
        ("source: a\nheadline: []\nsettings: {}\nextra: 1", "bad.yaml: has source, headline, settings, extra"),
        ("source: a\nheadline: b\nsettings: {}", "bad.yaml: headline: 'b' is no list"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    (tmp_path / "protocols" / "key").mkdir(parents=True)
    (tmp_path / "protocols" / "key" / "bad.yaml").write_text(text)
    monkeypatch.setattr(presets, "files", lambda package: tmp_path)
    with pytest.raises(ProtocolError, match=message):
        protocols("key")


def test_they_are_part_of_the_package(tmp_path: Path) -> None:
    """What an installation copies has them."""
    repository, source = FOLDER.parents[1], tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "musicfm_pl", "data_modules"):
        (source / name).symlink_to(repository / name)
    build = ["-c", "import setuptools; setuptools.setup()", "--quiet", "build_py", "--build-lib", str(tmp_path / "lib")]
    done = subprocess.run([sys.executable, *build], cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    copied = {file.relative_to(tmp_path / "lib").as_posix() for file in (tmp_path / "lib").rglob("protocols/**/*.yaml")}
    assert copied == {f"musicfm_pl/protocols/{task}/{name}.yaml" for task, name in ALL}


def test_figures_differ_where_choices_do() -> None:
    """One set of estimates, under every protocol of beats: each choice moves what it should and nothing else."""
    times_s = np.arange(1.0, 30.0, 0.5)
    reference = Spans.events(times_s, [str(number % 4 + 1) for number in range(len(times_s))])
    short = reference.slice(0.0, 12.0)
    late = Spans.events(np.concatenate([times_s[times_s < 5] + 0.2, times_s[times_s >= 5]]), reference.labels)
    references, estimates = [reference, short], [Estimate(late), Estimate(Spans.of([]))]
    head = Beat(4)
    f = {
        found.name: head.under(found.settings).score(references, estimates, [30.0, 12.0]).summary["beat_f"]
        for found in protocols("beat")
    }
    assert f[OWN] == f["beat_this"] == f["mirex"] == pytest.approx(0.5)
    assert f["untrimmed"] == f["all_in_one"] == pytest.approx(0.5 * 50 / 58)
    assert f["pooled"] == pytest.approx(2 * 50 / (50 + 50 + 14))
    assert f["marble"] == pytest.approx(2 * 50 / (58 + 58 + 22))
