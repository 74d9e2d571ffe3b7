from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import write_text

from data_modules.corpora.base import Absent, BadTrack
from data_modules.corpora.label_rows import Label, Row, number, rows, spans


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_comments_blank_lines_and_line_ends(tmp_path: Path, end: str) -> None:
    path = write_text(tmp_path / "a.txt", "\ufeff# a comment" + end + end + " 1.5\t 2 " + end + "1e1   3")
    assert list(rows(path)) == [Row(f"{path}:3", ["1.5", "2"]), Row(f"{path}:4", ["1e1", "3"])]


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Absent, match=r"absent\.txt: no such file"):
        list(rows(tmp_path / "absent.txt"))
    for text in ("", "\n\n", "# only a comment\n"):
        with pytest.raises(BadTrack, match=r"a\.txt: is empty"):
            list(rows(write_text(tmp_path / "a.txt", text)))
    with pytest.raises(BadTrack, match="cannot be read") as refused:
        list(rows(tmp_path))
    assert not isinstance(refused.value, Absent)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_a_byte_that_is_not_utf8_has_its_line(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "b.txt"
    path.write_bytes(end.join([b"\xef\xbb\xbf1.0", b"", b"2.0 caf\xe9", b"3.0"]))
    with pytest.raises(BadTrack, match=r"b\.txt:3: cannot be read, for it is not UTF-8"):
        list(rows(path))


def test_numbers() -> None:
    assert number("1.25e1", "x:3") == 12.5
    for text in ("one", "", "1,5"):
        with pytest.raises(BadTrack, match=r"x:3: .* is no number"):
            number(text, "x:3")
    for text in ("nan", "inf", "-Infinity"):
        with pytest.raises(BadTrack, match=r"x:3: .* is not a finite number"):
            number(text, "x:3")


def test_every_fault_names_its_line() -> None:
    good = Label("x:4", 0.0, 1.0, "C")
    faults = {
        "x:7: chord: times must rise": Label("x:7", 0.5, 2.0, "C"),
        "x:7: chord: the span at 1.000 s does not end": Label("x:7", 1.0, 1.0, "C"),
        "x:7: chord: a time beyond the end": Label("x:7", 1.0, 9.0, "C"),
        "x:7: chord at 1.000 s: 'H' is no chord": Label("x:7", 1.0, 2.0, "H"),
    }
    for message, bad in faults.items():
        with pytest.raises(BadTrack, match=message):
            spans("chord", [good, bad], 5.0)
    assert list(spans("chord", [good, Label("x:5", 1.0, 2.0, "N")], 5.0)) == [(0, 1, "C"), (1, 2, "N")]
    assert len(spans("chord", [], 5.0)) == 0


@given(st.lists(st.floats(0, 9.9), unique=True, min_size=1))
def test_rising_events_pass_and_others_do_not(times_s: list[float]) -> None:
    rising = sorted(times_s)
    assert spans("beat", [Label("x:1", t, t, "?") for t in rising], 10.0).starts_s.tolist() == rising
    if times_s != rising:
        fall = next(i for i in range(1, len(times_s)) if times_s[i] < times_s[i - 1])
        with pytest.raises(BadTrack, match=f"x:{fall + 1}: beat: times must rise"):
            spans("beat", [Label(f"x:{i}", t, t, "?") for i, t in enumerate(times_s, start=1)], 10.0)


def test_the_last_span_may_run_on_by_so_much_and_is_cut() -> None:
    labels = [Label("x:1", 0.0, 2.0, "N"), Label("x:2", 2.0, 5.5, "C")]
    assert list(spans("chord", labels, 5.0, overrun_s=0.5)) == [(0, 2, "N"), (2, 5, "C")]
    with pytest.raises(BadTrack, match="x:2: chord: a time beyond the end"):
        spans("chord", labels, 5.0, overrun_s=0.4)


def test_the_last_column_takes_what_is_left(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.txt", "0 1  guitar solo\n1 2\n")
    assert [row.fields for row in rows(path, most_columns=3)] == [["0", "1", "guitar solo"], ["1", "2"]]
    assert [row.fields for row in rows(path, most_columns=1)] == [["0 1  guitar solo"], ["1 2"]]
