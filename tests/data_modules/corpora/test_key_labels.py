import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.base import BadTrack
from data_modules.corpora.key_labels import harte_key, key, keys

LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
SIGNS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2, "♯": 1, "♭": -1}
MODES = {"major": "major", "maj": "major", "Minor": "minor", "min": "minor", "m": "minor", "M": "major"}
LIKE_KEYS = st.text("ABCDEFGabcdefgmMH#♯♭/:-_ \t0kyjoxnr", max_size=14)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("E minor", "E minor"),
        ("Db maj", "Db major"),
        ("C#:minor", "C# minor"),
        ("E", "E major"),
        ("Bbm", "Bb minor"),
        ("BM", "B major"),
        ("Fb minor", "E minor"),
        ("E# major", "F major"),
        ("B#:maj", "C major"),
        ("Cb", "B major"),
        ("e minor", "E minor"),
        ("bb minor", "Bb minor"),
        ("B major ", "B major"),
        ("Key\tC", "C major"),
        ("D:mixolydian", "D other"),
        ("F:aeolian", "F minor"),
        ("C♯ minor", "C# minor"),
        ("A / A major", "A major"),
    ],
)
def test_spellings(text: str, expected: str) -> None:
    assert key(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # As giantsteps-mtg-keys has them.
        ("C minor / F# minor", ("C minor", "F# minor")),
        ("G minor/major", ("G minor", "G major")),
        ("A# major / minor", ("A# major", "A# minor")),
        ("A/E major", ("A major", "E major")),
        ("F / F# minor", ("F minor", "F# minor")),
        ("E / B / A minor", ("E minor", "B minor", "A minor")),
        ("A/A# minor/major", ("A minor", "A# minor", "A# major")),
        ("A / B", ("A major", "B major")),
        ("-", ()),
        ("", ()),
        (" ", ()),
        ("X", ()),
        ("Silence", ()),
    ],
)
def test_several_and_none(text: str, expected: tuple[str, ...]) -> None:
    assert keys(text) == expected


@pytest.mark.parametrize("text", ["H minor", "A-A# minor", "b", "minor", "E minor 7", "Cmaj7", "A /", "C#b", "E min\0"])
def test_what_is_no_key_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no key") as caught:
        keys(text)
    assert repr(text) in str(caught.value)


def test_one_key_was_expected() -> None:
    with pytest.raises(ValueError, match="'A / B minor' names several keys"):
        key("A / B minor")
    with pytest.raises(ValueError, match="'-' names no key"):
        key("-")


@given(st.text() | LIKE_KEYS)
def test_any_text_gives_a_key_of_mir_evals_or_is_named(text: str) -> None:
    for read in (keys, lambda one: (key(one),)):
        try:
            found = read(text)
        except ValueError as error:
            assert repr(text) in str(error)
            continue
        for label in found:
            mir_eval.key.validate_key(label)
            assert mir_eval.key.weighted_score(label, label) == 1


@given(
    st.sampled_from(sorted(LETTERS)),
    st.sampled_from(sorted(SIGNS)),
    st.sampled_from(["", " ", ":", "_", "-", "\t"]),
    st.sampled_from(sorted(MODES)),
)
def test_every_spelling_sounds_right(letter: str, sign: str, between: str, mode: str) -> None:
    found = mir_eval.key.split_key_string(key(f"{letter}{sign}{between}{mode}"))
    assert found == ((LETTERS[letter] + SIGNS[sign]) % 12, MODES[mode])


@given(st.sampled_from(sorted(mir_eval.key.KEY_TO_SEMITONE)), st.sampled_from(["major", "minor"]))
def test_what_mir_eval_accepts_is_kept(tonic: str, mode: str) -> None:
    label = f"{tonic.capitalize()} {mode}"
    if tonic == "x":
        with pytest.raises(ValueError, match="is no key"):
            key(label)
    else:
        assert key(label) == label


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
def test_harte_keys(text: str, expected: str | None) -> None:
    assert harte_key(text, "x:1") == expected


@given(st.sampled_from("ABCDEFG"), st.text("b#", max_size=3), st.sampled_from(["", ":minor", ":dorian", ":major"]))
def test_every_harte_key_that_is_read_is_one_of_mir_evals_and_sounds_alike(letter: str, signs: str, mode: str) -> None:
    label = harte_key(f"{letter}{signs}{mode}", "x:1")
    assert label is not None
    mir_eval.key.validate_key(label)
    assert mir_eval.key.split_key_string(label)[0] == mir_eval.chord.pitch_class_to_semitone(letter + signs) % 12


@given(st.text(max_size=8))
def test_what_is_no_harte_key_is_refused_by_name(text: str) -> None:
    try:
        label = harte_key(text, "song.lab:3")
    except BadTrack as problem:
        assert str(problem).startswith(f"song.lab:3: {text!r} is no key")
    else:
        assert label is None or mir_eval.key.validate_key(label) is None
