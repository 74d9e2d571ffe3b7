"""What every baseline must do, tested on all that are found, unasked."""

from __future__ import annotations

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pytest
from numpy.typing import NDArray

import musicfm_pl.baselines
from data_modules import SAMPLE_RATE
from data_modules.labels import check
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline, imported
from musicfm_pl.heads.base import Estimate

REFERENCES = {
    "beat": Spans.events(np.arange(0.5, 12.0, 0.5), ["1", "2"] * 11 + ["1"]),
    "chord": Spans.of([(0.0, 6.0, "C:maj"), (6.0, 12.0, "A:min")]),
    "section": Spans.of([(0.0, 6.0, "verse"), (6.0, 12.0, "chorus")]),
    "key": Spans.of([(0.0, 12.0, "C major")]),
    "tag": Spans.of([(0.0, 12.0, "rock"), (0.0, 12.0, "fast")]),
}


def _concrete() -> list[type[Baseline]]:
    for module in pkgutil.walk_packages(musicfm_pl.baselines.__path__, "musicfm_pl.baselines."):
        importlib.import_module(module.name)
    found = [each for each in Baseline.__subclasses__() if each.__module__.startswith("musicfm_pl.")]
    return sorted(found, key=lambda each: each.__name__)


BASELINES = _concrete()


def _waveforms() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    noise = (0.1 * rng.standard_normal(12 * SAMPLE_RATE)).astype(np.float32)
    return {
        "noise": noise,
        "faint noise": noise * np.float32(1e-4),
        "silence": np.zeros(12 * SAMPLE_RATE, dtype=np.float32),
        "constant": np.full(12 * SAMPLE_RATE, 0.5, dtype=np.float32),
        "full scale": np.sign(noise),
        "silence then noise": np.concatenate([np.zeros(6 * SAMPLE_RATE, dtype=np.float32), noise[: 6 * SAMPLE_RATE]]),
        "shorter than a frame": noise[:700],
        "one sample": noise[:1],
        "no whole frame at the end": noise[: 3 * SAMPLE_RATE + 1],
    }


WAVEFORMS = _waveforms()


@pytest.fixture(params=BASELINES, ids=lambda each: each.__name__)
def method(request: pytest.FixtureRequest) -> Baseline:
    method = request.param()
    method.learn([REFERENCES[method.head.kind]] * 2)
    return method


def _same(one: Estimate, other: Estimate) -> bool:
    return (one.spans, one.whole, dict(one.probabilities)) == (other.spans, other.whole, dict(other.probabilities))


def test_each_task_of_the_study_has_one() -> None:
    assert {each.head.task for each in BASELINES} == {"beat", "chord", "structure", "key", "tagging"}


@pytest.mark.parametrize("each", BASELINES)
def test_is_final_and_says_what_it_is(each: type[Baseline]) -> None:
    assert getattr(each, "__final__", False), "mark it with typing.final"
    assert not inspect.isabstract(each)
    assert each.__module__.rpartition(".")[2] == each.head.task, "the file is named as the task"
    assert each.name and "," not in each.name, "a name with a comma is compared with one model alone"
    assert each.source and not each.source.endswith(".")
    parameters = inspect.signature(each).parameters.values()
    assert all(parameter.default is not inspect.Parameter.empty for parameter in parameters)
    assert each.__doc__ and all(f"{parameter.name}:" in each.__doc__ for parameter in parameters)


def test_its_head_judges_it(method: Baseline) -> None:
    judge = method.judge()
    assert type(judge) is method.head
    names = judge.score([REFERENCES[judge.kind]] * 2, [method.estimate(WAVEFORMS["noise"])] * 2, [12.0, 12.0]).summary
    assert set(judge.headline) <= names.keys()
    for beginning in method.not_estimated:
        assert any(name.startswith(beginning) for name in names), f"no figure begins with {beginning}"
    assert not any(name.startswith(method.not_estimated) for name in judge.headline[:1])


@pytest.mark.parametrize("what", WAVEFORMS)
def test_any_waveform_gives_labels_that_a_corpus_could_have(method: Baseline, what: str) -> None:
    waveform_N = WAVEFORMS[what]
    duration_s = len(waveform_N) / SAMPLE_RATE
    kind = method.head.kind
    estimate = method.estimate(waveform_N)
    check({kind: estimate.spans}, duration_s, what)
    assert estimate.spans.ends_s.max(initial=0.0) <= duration_s
    scores = method.judge().score([REFERENCES[kind].slice(0.0, 12.0)], [estimate], [12.0])
    assert all(value is None or np.isfinite(value) for value in scores.summary.values())


def test_does_not_change_the_waveform_and_draws_nothing(method: Baseline) -> None:
    before_N = WAVEFORMS["noise"].copy()
    first = method.estimate(before_N)
    np.random.default_rng(5).standard_normal(3)
    assert _same(method.estimate(before_N), first)
    assert np.array_equal(before_N, WAVEFORMS["noise"])


def test_survives_the_way_to_a_process(method: Baseline) -> None:
    waveform_N = WAVEFORMS["silence then noise"]
    assert _same(pickle.loads(pickle.dumps(method)).estimate(waveform_N), method.estimate(waveform_N))


def test_what_is_not_installed_is_named_with_the_way_to_get_it() -> None:
    with pytest.raises(ImportError, match=r"needs no_such_package: pip install -e '\.\[baselines\]'"):
        imported("no_such_package")
