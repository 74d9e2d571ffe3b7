import contextlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.beat_files import count_in_bars, read_beats
from data_modules.labels import check


def read(folder: Path, text: str, duration_s: float = 10.0) -> list[tuple[float, str]]:
    beats = read_beats(write_text(folder / "a.beats", text), duration_s)
    return list(zip(beats.starts_s.tolist(), beats.labels, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "0.5\t1\n1.0\t2\n1.5\t1\n",
        "0.5 1\n1.0   2\n1.5\t 1",
        "0.5\t1\r\n1.0\t2\r\n1.5\t1\r\n",
        "# time position\n\n0.5 1\n# in between\n1.0 2\n1.5 1\n\n",
        "0.5 1.0\n1.0 2.0\n1.5 1.0\n",
        "0.5 1.1\n1.0 1.2\n1.5 2.1\n",
        "5e-1\t0.1\n1.0\t0.2\n15e-1\t1.1\n",
        "-1 -1\n0.5 1\n1.0 2\n1.5 1\n",
    ],
    ids=["tabs", "spaces", "crlf", "comments", "float positions", "bar.beat", "scientific, bar 0", "-1"],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text) == [(0.5, "1"), (1.0, "2"), (1.5, "1")]


def test_bar_and_beat_of_more_than_nine(tmp_path: Path) -> None:
    assert [label for _, label in read(tmp_path, "1 9.9\n2 9.10\n3 10.1")] == ["9", "10", "1"]


def test_times_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "0.5\n1.0\n") == [(0.5, "?"), (1.0, "?")]
    assert read(tmp_path, "0.5 ?\n1.0 1\n") == [(0.5, "?"), (1.0, "1")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.0 1\n0.5 2\n", r"a\.beats:2: beat: times must rise"),
        ("1.0 1\n1.0 2\n", r"a\.beats:2: beat: times must rise"),
        ("# c\n1.0 1\nnan 2\n", r"a\.beats:3: 'nan' is not a finite number"),
        ("1.0 1\n10.2 2\n11.2 3\n", r"a\.beats:3: beat: a time beyond the end of the track, 11\.200 s of 10\.000 s"),
        ("1.0 1\n10.3 2\n9.5 1\n", r"a\.beats:3: beat: times must rise, but 9\.500 s"),
        ("10.2 1\n10.7 2\n", r"a\.beats:1: beat: a time beyond the end of the track"),
        ("-0.5 1\n", r"a\.beats:1: beat: a time before the start"),
        ("one 1\n", r"a\.beats:1: 'one' is no number"),
        ("1.0 1\n2.0 0\n", r"a\.beats:2: expected a position in the bar from 1, got '0'"),
        ("1.0 1\n2.0 x\n", r"a\.beats:2: 'x' is no position in a bar"),
        ("1.0 1\n2.0 -2\n", r"a\.beats:2: '-2' is no position in a bar"),
        ("1.0 9.1\n2.0 2\n", r"a\.beats:2: expected bar\.beat such as 9\.3"),
        ("1.0 1\n2.0\n", r"a\.beats:2: 1 columns, where the lines before have 2"),
        ("1.0 1 3\n", r"a\.beats:1: expected a time and a position, got '1\.0 1 3'"),
        ("", r"a\.beats: is empty"),
        ("-1 -1\n", r"a\.beats: says that there are no beats"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadTrack, match=message):
        read(tmp_path, text)


def test_beats_a_little_after_the_audio_are_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, "9.5 4\n10.0 1\n10.001 2\n10.6 3\n11.0 4\n") == [(9.5, "4"), (10.0, "1")]


@given(text=st.text(st.sampled_from("019.-e\t \r\n#?n"), max_size=40))
def test_no_text_crashes(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write_text(tmp_path_factory.getbasetemp() / "any.beats", text)
    with contextlib.suppress(BadTrack):
        beats = read_beats(path, 100.0)
        assert len(beats)
        check({"beat": beats}, 100.0, "x")


@given(st.lists(st.tuples(st.floats(0, 99), st.integers(1, 12)), min_size=1, unique_by=lambda row: row[0]))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, beats: list[tuple[float, int]]) -> None:
    beats.sort()
    text = "\n".join(f"{time_s!r}\t{position}" for time_s, position in beats)
    read_back = read(tmp_path_factory.getbasetemp(), text, 100.0)
    assert read_back == [(time_s, str(position)) for time_s, position in beats]


def test_positions_counted_from_downbeats() -> None:
    marks = [bool(int(mark)) for mark in "0010010010"]
    assert count_in_bars(marks) == ["2", "3", "1", "2", "3", "1", "2", "3", "1", "2"]
    assert count_in_bars([False, False]) == ["?", "?"]
    assert count_in_bars([]) == []


def test_an_upbeat_that_no_bar_measures_is_known_to_be_no_downbeat() -> None:
    as_long_as_a_bar = [index in (4, 8, 12) for index in range(14)]
    assert count_in_bars(as_long_as_a_bar) == [*"2345", *"1234", *"1234", *"12"]
    assert count_in_bars([False, True, False]) == ["2", "1", "2"]
    assert count_in_bars([False, False, True, True]) == ["2", "3", "1", "1"]


@given(st.lists(st.booleans(), max_size=40))
def test_only_downbeats_are_one_and_every_beat_has_a_position_if_there_is_any(marks: list[bool]) -> None:
    positions = count_in_bars(marks)
    assert [position == "1" for position in positions] == marks
    assert ("?" in positions) == (bool(marks) and not any(marks))
    assert all(int(after) in (1, int(before) + 1) for before, after in pairwise(positions) if before != "?")


@pytest.mark.usefixtures("librosa_is_compiled")
def test_as_mirdata_reads_a_clean_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.beats", "0.113\t1\n0.829\t2\n1.537\t3\n2.28\t4\n2.992\t1\n")
    for name in ("ballroom", "hainsworth", "gtzan_genre"):
        module = pytest.importorskip(f"mirdata.datasets.{name}")
        theirs = module.load_beats(str(path))
        ours = read_beats(path, 30.0)
        np.testing.assert_array_equal(ours.starts_s, theirs.times)
        assert [float(label) for label in ours.labels] == theirs.positions.tolist()
