import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.base import BadTrack
from data_modules.corpora.harte_keys import key_label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E", "E major"),
        ("C#:minor", "C# minor"),
        ("Bb:maj", "Bb major"),
        ("D:mixolydian", "D other"),
        ("A:aeolian", "A minor"),
        ("F:ionian", "F major"),
        ("Cb", "B major"),
        ("E#:minor", "F minor"),
        ("N", None),
        ("Silence", None),
    ],
)
def test_keys(text: str, expected: str | None) -> None:
    assert key_label(text, "x:1") == expected


@given(st.sampled_from("ABCDEFG"), st.text("b#", max_size=3), st.sampled_from(["", ":minor", ":dorian", ":major"]))
def test_every_key_that_is_read_is_one_of_mir_evals_and_sounds_alike(letter: str, signs: str, mode: str) -> None:
    label = key_label(f"{letter}{signs}{mode}", "x:1")
    assert label is not None
    mir_eval.key.validate_key(label)
    assert mir_eval.key.split_key_string(label)[0] == mir_eval.chord.pitch_class_to_semitone(letter + signs) % 12


@given(st.text(max_size=8))
def test_what_is_no_key_is_refused_by_name(text: str) -> None:
    try:
        label = key_label(text, "song.lab:3")
    except BadTrack as problem:
        assert str(problem).startswith(f"song.lab:3: {text!r} is no key")
    else:
        assert label is None or mir_eval.key.validate_key(label) is None
