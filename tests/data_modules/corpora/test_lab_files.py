from pathlib import Path

import mir_eval
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sounds import write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.lab_files import (
    last_column,
    read_boundaries,
    read_events,
    read_intervals,
    relabelled,
    spans_of,
)
from data_modules.corpora.label_rows import OVERRUN_S
from data_modules.spans import Spans


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples of hypothesis."""
    return tmp_path_factory.mktemp("lab") / "x.lab"


def test_comments_blank_lines_every_line_ending_and_a_byte_order_mark(tmp_path: Path) -> None:
    content = "\ufeff# title\r\n\r\n0.0 1.5e-1\tN\r  #more\n1.5E-1\t+2.  \tC:maj/3\r\n\n"
    rows = read_intervals(write_text(tmp_path / "a.lab", content))
    assert [(row.start_s, row.end_s, row.label) for row in rows] == [(0.0, 0.15, "N"), (0.15, 2.0, "C:maj/3")]
    assert [row.source.rpartition(":")[2] for row in rows] == ["3", "5"]


def test_the_label_is_the_last_of_four_columns(tmp_path: Path) -> None:
    content = "0.0\t1.0\t\tsilence\n1.0 2.0 1 verse\n2.0\t3.0\t2\tguitar solo\n3.0\t4.0\toutro\n4.0\t5.0\t7\n"
    rows = last_column(read_intervals(write_text(tmp_path / "a.lab", content)))
    assert [row.label for row in rows] == ["silence", "verse", "guitar solo", "outro", "7"]


def test_boundaries_last_until_the_next_and_end_is_no_label(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "0.0\tIntro\n1.0 Verse 1\n1.0\tBridge\n3.0\tEnd\n")
    rows = read_boundaries(path, 9.0)
    assert [(row.start_s, row.end_s, row.label) for row in rows] == [
        (0.0, 1.0, "Intro"),
        (1.0, 1.0, "Verse 1"),
        (1.0, 3.0, "Bridge"),
    ]
    open_ended = read_boundaries(write_text(tmp_path / "b.txt", "0.5 verse\n"), 9.0)
    assert [(row.start_s, row.end_s) for row in open_ended] == [(0.5, 9.0)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0 1 N\n1 nan C\n", r":2: a time is not a finite number: 'nan'"),
        ("0 1 N\n1 1e999 C\n", r":2: a time is not a finite number: '1e999'"),
        ("0 1 N\n1_0 11 C\n", r":2: '1_0' is no time in seconds"),
        ("start end label\n", r":1: 'start' is no time in seconds"),
        ("0 1 N\n\n1 2\n", r":3: expected `start end label`, got '1 2'"),
        ("0 1 N\n1 2 H\n", r":2: chord at 1\.000 s: 'H' is no chord in Harte syntax"),
        ("0 1 N\n2 1 C\n", r":2: chord: ends at 1\.0 s, before it starts"),
        ("0 2 N\n1 3 C\n", r":2: chord: times must rise, but 1\.0 s comes after 2\.0 s"),
        ("-1 1 N\n", r":1: chord: a time before the start of the track"),
        ("0 1 N\n1 7 C\n", r":2: chord: beyond the end of the audio, 7\.0 s of 4\.000 s"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    path = write_text(tmp_path / "bad.lab", content)
    with pytest.raises(BadTrack, match=rf"bad\.lab{message}"):
        spans_of("chord", read_intervals(path), 4.0)


def test_boundaries_that_fall_or_lack_a_label(tmp_path: Path) -> None:
    with pytest.raises(BadTrack, match=r"a\.txt:2: times must rise, but 1\.0 s comes after 2\.0 s"):
        read_boundaries(write_text(tmp_path / "a.txt", "2 verse\n1 chorus\n"), 4.0)
    with pytest.raises(BadTrack, match=r"b\.txt:1: expected `time label`"):
        read_boundaries(write_text(tmp_path / "b.txt", "2\n3 chorus\n"), 4.0)


def test_beats_must_rise_and_have_a_place(tmp_path: Path) -> None:
    with pytest.raises(BadTrack, match=r"a\.txt:2: beat: times must rise, but 1\.000 s comes before"):
        spans_of("beat", read_events(write_text(tmp_path / "a.txt", "1 1\n1.0 2\n")), 4.0)
    with pytest.raises(BadTrack, match=r"b\.txt:1: beat at 1\.000 s: '0' is no position"):
        spans_of("beat", read_events(write_text(tmp_path / "b.txt", "1 0\n")), 4.0)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    for name, message in (("absent.lab", "no such file"), (".", "cannot be read")):
        with pytest.raises(BadTrack, match=message):
            read_intervals(tmp_path / name)


def test_rounding_and_overruns_are_cut_and_nothing_is_kept_without_length(tmp_path: Path) -> None:
    content = "0 1.004 N\n1.0 1.0 C\n1.0 2.0 C\n2.0 4.6 G\n4.6 4.9 N\n"
    spans = spans_of("chord", read_intervals(write_text(tmp_path / "a.lab", content)), 4.0)
    assert list(spans) == [(0.0, 1.0, "N"), (1.0, 2.0, "C"), (2.0, 4.0, "G")]
    beats = read_events(write_text(tmp_path / "b.txt", "3.5 1\n4.5 2\n"))
    assert list(spans_of("beat", beats, 4.0)) == [(3.5, 3.5, "1")]


def test_a_row_that_is_cut_to_nothing_leaves_no_overlap_behind(tmp_path: Path) -> None:
    rows = read_intervals(write_text(tmp_path / "a.lab", "0 1 N\n1 1.005 C\n0.996 2 G\n"))
    assert list(spans_of("chord", rows, 4.0)) == [(0.0, 0.996, "N"), (0.996, 2.0, "G")]


def test_rows_without_a_label_are_left_out(tmp_path: Path) -> None:
    rows = read_intervals(write_text(tmp_path / "a.lab", "0 1 a\n1 2 b\n"))
    kept = relabelled(rows, lambda label, source: None if label == "a" else f"{label} {source.rpartition(':')[2]}")
    assert [row.label for row in kept] == ["b 2"]


STEPS = st.lists(st.tuples(st.floats(0.02, 9), st.sampled_from(["N", "X", "C:maj", "F#:min7/b3"])), min_size=1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(STEPS)
def test_plain_files_read_as_by_mir_eval(lab: Path, steps: list[tuple[float, str]]) -> None:
    ends_s = np.cumsum([step for step, _ in steps])
    lines = [f"{e - step!r}\t{e!r}\t{name}\n" for (step, name), e in zip(steps, ends_s.tolist(), strict=True)]
    lab.write_text("".join(lines))
    intervals_s, labels = mir_eval.io.load_labeled_intervals(str(lab))
    spans = spans_of("chord", read_intervals(lab), float(ends_s[-1]))
    assert spans.labels == tuple(labels)
    assert np.allclose(spans.intervals_s, intervals_s, atol=1e-9)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    st.binary(max_size=60) | st.text(st.sampled_from("0123456789.e-+naif \t\r\n#NXC:maj"), max_size=60).map(str.encode)
)
def test_no_file_brings_a_reader_to_anything_but_its_error(lab: Path, content: bytes) -> None:
    lab.write_bytes(content)
    for kind, read in (
        ("chord", lambda: read_intervals(lab)),
        ("section", lambda: last_column(read_intervals(lab))),
        ("section", lambda: read_boundaries(lab, 5.0)),
        ("beat", lambda: read_events(lab)),
    ):
        try:
            spans = spans_of(kind, read(), 5.0)  # type: ignore[arg-type]
        except BadTrack as problem:
            assert str(lab) in str(problem)
        else:
            assert isinstance(spans, Spans)
            assert len(spans) == 0 or (spans.starts_s.min() >= 0 and spans.ends_s.max() <= 5.0 < 5.0 + OVERRUN_S)
