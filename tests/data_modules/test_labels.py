from __future__ import annotations

import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.base import BadTrack, Kind
from data_modules.labels import FUNCTIONS, check, is_letter
from data_modules.spans import Spans

DURATION_S = 10.0


def spans(*rows: tuple[float, float, str]) -> Spans:
    return Spans.of(rows)


@pytest.mark.parametrize(
    ("kind", "labels", "message"),
    [
        ("beat", Spans.events([1.0, 0.5], ["1", "2"]), "beat: times must rise, but 0.500 s"),
        ("beat", Spans.events([1.0, 1.0], ["1", "2"]), "times must rise"),
        ("beat", Spans.events([-0.1], ["1"]), "before the start of the track, -0.100 s"),
        ("beat", Spans.events([10.2], ["1"]), "beyond the end of the track, 10.200 s of 10.000 s"),
        ("beat", Spans.events([float("nan")], ["1"]), "not a finite number"),
        ("beat", spans((0.0, float("inf"), "1")), "not a finite number"),
        ("beat", spans((0.0, 1.0, "1")), "beats are instants"),
        ("beat", Spans.events([1.0], ["0"]), "beat at 1.000 s: '0' is no position in a bar"),
        ("beat", Spans.events([1.0], ["1.5"]), "no position in a bar"),
        ("chord", spans((0.0, 2.0, "C:maj"), (1.5, 3.0, "N")), "chord: times must rise, but 1.500 s"),
        ("chord", spans((2.0, 2.0, "C:maj")), "the span at 2.000 s does not end after it starts"),
        ("chord", spans((0.0, 1.0, "H:maj")), "chord at 0.000 s: 'H:maj' is no chord in Harte syntax"),
        ("chord", spans((0.0, 1.0, "C:major")), "no chord"),
        ("key", spans((0.0, 1.0, "C dorian minor")), "is no key"),
        ("key", spans((0.0, 1.0, "")), "is no key"),
        ("section", spans((0.0, 1.0, "prechorus")), "neither one of intro, verse"),
        ("section", spans((0.0, 1.0, "a")), "nor a letter"),
        ("tag", spans((0.0, 10.0, " ")), "an empty tag"),
        ("tempo", spans((0.0, 1.0, "120")), "unknown kind of label 'tempo'"),
    ],
)
def test_what_is_refused(kind: Kind, labels: Spans, message: str) -> None:
    with pytest.raises(BadTrack) as raised:
        check({kind: labels}, DURATION_S, "corpus/song.txt")
    assert message in str(raised.value)
    assert str(raised.value).startswith("corpus/song.txt: ")


@pytest.mark.parametrize(
    ("kind", "labels"),
    [
        ("beat", Spans.events([0.0, 10.0], ["12", "?"])),
        ("chord", spans((0.0, 2.0, "C:maj/3"), (2.0, 3.0, "N"), (4.0, 5.0, "X"), (5.0, 6.0, "Bb:hdim7"))),
        ("key", spans((0.0, 10.04, "C# minor"))),
        ("section", spans((0.0, 1.0, "A'"), (1.0, 2.0, "B2"), (2.0, 3.0, "chorus"))),
        ("tag", spans((0.0, 10.0, "genre---rock"), (0.0, 10.0, "slow"))),
        ("chord", Spans.of([])),
    ],
)
def test_what_is_taken(kind: Kind, labels: Spans) -> None:
    check({kind: labels}, DURATION_S, "song")


@given(st.text(max_size=8))
def test_chords_and_keys_are_what_mir_eval_takes(label: str) -> None:
    def taken(kind: Kind) -> bool:
        try:
            check({kind: spans((0.0, 1.0, label))}, DURATION_S, "song")
        except BadTrack:
            return False
        return True

    if taken("chord"):
        mir_eval.chord.encode(label)
    if taken("key"):
        mir_eval.key.validate_key(label)


def test_letters() -> None:
    assert all(map(is_letter, ["A", "B''", "AB", "Z12"]))
    assert not any(map(is_letter, [*FUNCTIONS, "", "a", "1", "A B", "KAZOO", "NOISE"]))
