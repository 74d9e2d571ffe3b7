import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import write_text

from data_modules.corpora.base import BadTrack, Kind
from data_modules.corpora.jams_files import read_jams
from data_modules.spans import Spans

jams = pytest.importorskip("jams")


def write(path: Path, *annotations: tuple[str, list[tuple[float, float, Any]]]) -> Path:
    """A JAMS file by the package itself."""
    jam = jams.JAMS()
    jam.file_metadata.duration = 4.0
    for namespace, observations in annotations:
        annotation = jams.Annotation(namespace)
        for time_s, duration_s, value in observations:
            annotation.append(time=time_s, duration=duration_s, value=value, confidence=1.0)
        jam.annotations.append(annotation)
    # Not `save`: it validates, and warns of what jsonschema deprecates.
    return write_text(path, jam.dumps())


def read(path: Path) -> tuple[dict[Kind, list[tuple[float, float, str]]], dict[Kind, str]]:
    labels, gaps = read_jams(path, 4.0)
    return {kind: list(spans) for kind, spans in labels.items()}, gaps


def test_all_kinds(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jams",
        ("onset", [(0.1, 0, None)]),
        ("beat", [(0.5, 0, 1), (1.0, 0, 2.0), (1.5, 0, None), (2.0, 0, 2.5)]),
        ("chord", [(0.0, 4.0, "X")]),
        ("chord_harte", [(0.0, 1.0, "N"), (1.0, 3.0, "C:maj/3")]),
        ("segment_open", [(0.0, 1.0, "Intro"), (1.0, 2.0, "A'"), (3.0, 1.0, "prechorus2"), (4.0, 0.0, "end")]),
        ("key_mode", [(0.0, 2.0, "C#:minor"), (2.0, 1.0, "N"), (3.0, 1.0, "E")]),
        ("tag_gtzan", [(0.0, 4.0, "blues")]),
        ("tag_open", [(0.0, 2.0, "loud"), (2.0, 2.0, "blues")]),
    )
    labels, gaps = read(path)
    assert gaps == {}
    assert labels == {
        "beat": [(0.5, 0.5, "1"), (1.0, 1.0, "2"), (1.5, 1.5, "?"), (2.0, 2.0, "?")],
        "chord": [(0.0, 1.0, "N"), (1.0, 4.0, "C:maj/3")],
        "section": [(0.0, 1.0, "intro"), (1.0, 3.0, "A'"), (3.0, 4.0, "verse")],
        "key": [(0.0, 2.0, "C# minor"), (3.0, 4.0, "E major")],
        "tag": [(0.0, 4.0, "blues"), (0.0, 4.0, "loud")],
    }


@pytest.mark.parametrize(
    ("namespace", "value", "expected"),
    [
        ("segment_salami_function", "main theme", "chorus"),
        ("segment_salami_upper", "B'", "B'"),
        ("segment_salami_upper", "Silence", "silence"),
        ("segment_salami_lower", "c'", "C'"),
        ("segment_tut", "RefrainA", "chorus"),
        ("segment_tut", "long_connector", "bridge"),
        ("segment_tut", "GuitarS", "inst"),
        ("segment_tut", "MR", "inst"),
        ("segment_open", "worstthingever", "inst"),
        ("segment_open", "instchorus", "chorus"),
        ("segment_open", "middle_eight", "bridge"),
        ("segment_open", "Head", "inst"),
    ],
)
def test_section_namespaces(tmp_path: Path, namespace: str, value: str, expected: str) -> None:
    labels, _ = read(write(tmp_path / "a.jams", (namespace, [(0.0, 4.0, value)])))
    assert labels == {"section": [(0.0, 4.0, expected)]}


def test_functions_come_before_letters_and_the_first_annotator_counts(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jams",
        ("segment_salami_upper", [(0.0, 4.0, "A")]),
        ("segment_salami_function", [(0.0, 4.0, "verse")]),
        ("segment_salami_function", [(0.0, 4.0, "chorus")]),
    )
    assert read(path)[0]["section"] == [(0.0, 4.0, "verse")]


def test_an_empty_annotation_does_not_say_that_there_is_nothing(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jams",
        ("beat_position", []),
        ("beat", []),
        ("beat", [(0.5, 0, 1)]),
        ("chord", []),
        ("tag_open", []),
    )
    assert read(path) == (
        {"beat": [(0.5, 0.5, "1")], "tag": []},
        {"chord": f"{path}: chord: the annotation holds no observations"},
    )
    path = write(tmp_path / "b.jams", ("beat", []), ("beat", []))
    assert read(path) == ({}, {"beat": f"{path}: beat: the annotation holds no observations"})


def test_beat_positions_and_segments_of_several_levels(tmp_path: Path) -> None:
    place = {"measure": 1, "num_beats": 4, "beat_units": 4}
    path = write(
        tmp_path / "a.jams",
        ("beat_position", [(0.5, 0, {"position": 4, **place}), (1.0, 0, {"position": 1, **place})]),
        ("multi_segment", [(0.0, 4.0, {"label": "A", "level": 0}), (0.0, 2.0, {"label": "B", "level": 1})]),
    )
    labels, _ = read(path)
    assert labels == {"beat": [(0.5, 0.5, "4"), (1.0, 1.0, "1")], "section": [(0.0, 4.0, "A")]}


def test_segments_of_several_levels_may_be_of_harmonix(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jams", ("multi_segment", [(0.0, 4.0, {"label": "mainriff2", "level": 0})]))
    assert read(path) == ({"section": [(0.0, 4.0, "inst")]}, {})


def test_beats_whose_duration_is_no_number(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jams", ("beat", [(0.5, float("nan"), 1)]))
    assert "NaN" in path.read_text()
    assert read(path)[0] == {"beat": [(0.5, 0.5, "1")]}


@pytest.mark.parametrize(
    ("namespace", "observations", "kind", "message"),
    [
        ("chord", [(0.0, 1.0, "N"), (1.0, 1.0, "H")], "chord", "observation 2: chord at 1.000 s: 'H' is no chord"),
        ("chord", [(0.0, 9.0, "N")], "chord", "observation 1: chord: beyond the end of the audio, 9.0 s"),
        ("segment_open", [(0.0, 2.0, "intro"), (1.0, 1.0, "verse")], "section", "2: section: times must rise"),
        ("segment_open", [(0.0, 2.0, "kazoo")], "section", "observation 1: no function is known for the section"),
        ("segment_open", [(0.0, 2.0, "KAZOO")], "section", "maps/harmonix.csv, data_modules/corpora/maps/iso"),
        ("segment_salami_upper", [(0.0, 2.0, "KAZOO")], "section", "'KAZOO' is neither one of intro"),
        ("key_mode", [(0.0, 2.0, "H:major")], "key", "key_mode, observation 1: 'H:major' is no key"),
        ("tag_open", [(0.0, 4.0, " ")], "tag", "an empty tag"),
        ("tag_open", [(0.0, 4.0, 3)], "tag", "tag_open, observation 1: expected a text, got 3"),
        ("chord", [(0.0, float("nan"), "N")], "chord", "chord, observation 1: a time is not a finite number: nan"),
    ],
)  # fmt: skip
def test_a_bad_annotation_masks_its_kind_alone(
    tmp_path: Path, namespace: str, observations: list[tuple[float, float, Any]], kind: Kind, message: str
) -> None:
    path = tmp_path / "a.jams"
    write(path, (namespace, observations), ("beat", [(1, 0, 1)]))
    labels, gaps = read_jams(path, 4.0)
    assert list(labels) == ["beat"]
    assert list(gaps) == [kind]
    assert gaps[kind].startswith(str(path))
    assert message in gaps[kind]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"annotations": 3}', '{"annotations": [{"x": 1}]}', '{"x": 1}']
)
def test_what_is_no_jams_file(tmp_path: Path, content: str) -> None:
    path = write_text(tmp_path / "a.jams", content)
    with pytest.raises(BadTrack, match=r"a\.jams: cannot be read as JAMS"):
        read_jams(path, 4.0)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadTrack, match="no such file"):
        read_jams(tmp_path / "absent.jams", 4.0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | st.sampled_from(["beat", "chord", "A", "N", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["label", "level", "x"]), inner),
    max_leaves=6,
)
OBSERVATION = st.fixed_dictionaries({"time": JSON, "duration": JSON, "value": JSON, "confidence": JSON})
NAMES = ["beat", "beat_position", "chord", "segment_open", "multi_segment", "key_mode", "tag_open"]
ANNOTATION = st.fixed_dictionaries(
    {
        "namespace": st.sampled_from(NAMES) | JSON,
        "data": st.lists(OBSERVATION, max_size=3) | JSON,
        "annotation_metadata": st.just({}),
        "sandbox": st.just({}),
        "time": JSON,
        "duration": JSON,
    }
)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("jams") / "a.jams"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(st.fixed_dictionaries({"annotations": st.lists(ANNOTATION, max_size=2) | JSON}) | JSON)
def test_no_file_brings_the_reader_to_anything_but_its_error(scratch: Path, content: object) -> None:
    scratch.write_text(json.dumps(content))
    try:
        labels, gaps = read_jams(scratch, 4.0)
    except BadTrack as problem:
        assert str(scratch) in str(problem)
    else:
        assert all(isinstance(spans, Spans) for spans in labels.values())
        assert all(str(scratch) in reason for reason in gaps.values())


def test_without_the_package_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jams", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e '\.\[datasets\]'"):
        read_jams(tmp_path / "a.jams", 4.0)
