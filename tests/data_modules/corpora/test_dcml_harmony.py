import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.dcml_harmony import Harmony, chord, degree, fifths, in_force, key, name, tonic
from data_modules.corpora.dcml_score import Bar, unfold

NOTES = st.integers(-15, 19)  # Fbb to B##


@given(NOTES)
def test_names_and_fifths_are_inverse_and_sound_right(note: int) -> None:
    assert fifths(name(note)) == fifths(name(note).lower()) == note
    assert mir_eval.chord.encode(f"{name(note)}:maj")[0] == note * 7 % 12


@pytest.mark.parametrize(
    ("globalkey", "localkey", "expected"),
    [
        ("F", "I", "F major"),
        ("f", "i", "F minor"),
        ("C", "vi", "A minor"),
        ("a", "III", "C major"),
        ("C", "bIII", "Eb major"),
        ("C", "iii", "E minor"),
        ("e", "#vii", "D# minor"),
        ("f#", "v/#iii", "F minor"),  # E#, respelt: mir_eval has none
        ("c", "bIII/bIII/V", "Db major"),
        ("Ab", "iv", "C# minor"),
        ("Gb", "IV", "B major"),
    ],
)
def test_local_keys(globalkey: str, localkey: str, expected: str) -> None:
    found = key(*tonic(globalkey, localkey))
    same = mir_eval.key.split_key_string
    assert same(found) == same(expected)


@given(NOTES, st.booleans())
def test_every_key_is_one_of_mir_evals(note: int, minor: bool) -> None:
    label = key(note, minor)
    mir_eval.key.validate_key(label)
    assert mir_eval.key.split_key_string(label) == (note * 7 % 12, "minor" if minor else "major")


@pytest.mark.parametrize("numeral", ["", "H", "Vi", "V//i", "#bI", "IIII"])
def test_what_is_no_numeral_is_refused(numeral: str) -> None:
    with pytest.raises(ValueError, match="no Roman numeral"):
        degree(numeral, False)


TONES = {
    "M": (0, 4, 1), "m": (0, -3, 1), "o": (0, -3, -6), "+": (0, 4, 8),
    "Mm7": (0, 4, 1, -2), "mm7": (0, -3, 1, -2), "MM7": (0, 4, 1, 5), "mM7": (0, -3, 1, 5),
    "%7": (0, -3, -6, -2), "o7": (0, -3, -6, -9), "+7": (0, 4, 8, -2),
}  # fmt: skip
SIXTHS = {"Ger": (-4, 0, -3, 6), "It": (-4, 0, 6), "Fr": (-4, 0, 2, 6)}


def sounds(label: str) -> tuple[set[int], int]:
    """Pitch classes of a chord and its bass, by mir_eval."""
    root, bitmap, bass = mir_eval.chord.encode(label)
    return {int(root + i) % 12 for i in np.flatnonzero(bitmap)}, int(root + bass) % 12


@given(st.integers(-6, 6), st.sampled_from(sorted(TONES)), st.integers(-6, 6), st.integers(0, 3))
def test_chords_and_inversions_sound_as_their_tones(home: int, kind: str, root: int, inversion: int) -> None:
    tones = [root + tone for tone in TONES[kind]]
    inversion %= len(tones)
    tones = tones[inversion:] + tones[:inversion]
    label = chord(home, kind, root, tones[0], tones, inverted=inversion > 0)
    assert sounds(label) == ({(home + tone) * 7 % 12 for tone in tones}, (home + tones[0]) * 7 % 12)


@given(st.integers(-6, 6), st.sampled_from(sorted(SIXTHS)))
def test_augmented_sixths_sound_as_their_tones(home: int, kind: str) -> None:
    tones = SIXTHS[kind]
    label = chord(home, kind, 2 if kind == "Fr" else 6, -4, tones, inverted=True)
    assert sounds(label) == ({(home + tone) * 7 % 12 for tone in tones}, (home - 4) * 7 % 12)
    assert label.startswith(f"{name(home - 4)}:7")


@pytest.mark.parametrize(
    ("kind", "root", "tones", "expected"),
    [
        ("M", 1, (1, 0, 4), "C:maj/5"),  # V(64)
        ("M", 1, (1, 0, -3), "C:min/5"),  # V(64) in minor
        ("M", 4, (4, 3, 0), "A:min/5"),  # V(64)/vi
        ("Mm7", 1, (1, 0, 4, -1), "C:maj/5"),  # V7(64)
        ("M", 1, (1, 0, 2), "G:maj"),  # V(4): a suspension, no six-four
        ("M", 1, (1, 5, 2), "G:maj"),
    ],
)
def test_a_cadential_six_four_sounds_as_the_tonic(kind: str, root: int, tones: tuple[int, ...], expected: str) -> None:
    assert chord(0, kind, root, root, tones, inverted=False) == expected


def test_an_unknown_chord_type_is_refused() -> None:
    with pytest.raises(ValueError, match="no chord type"):
        chord(0, "sus", 0, 0, (0,), inverted=False)


def bar(number: int, *ways: int) -> Bar:
    return Bar(number, 4.0, 0.0, (4, 4), 0, ways)


def test_a_jump_back_into_a_harmony_sounds_it_again() -> None:
    labels = [Harmony(1, 0.0, "C:maj", "C major"), Harmony(3, 2.0, "G:maj", "C major")]
    played = unfold([bar(1, 2), bar(2, 3), bar(3, 2, -1)])  # 1 2 3 2 3
    assert [(at_q, label.chord) for at_q, label in in_force(played, labels)] == [
        (0.0, "C:maj"),
        (10.0, "G:maj"),
        (12.0, "C:maj"),
        (18.0, "G:maj"),
    ]


def test_a_second_ending_keeps_the_harmony_that_led_to_it() -> None:
    labels = [Harmony(1, 0.0, "C:maj", "C major"), Harmony(2, 0.0, "G:maj", "C major")]
    played = unfold([bar(1, 2, 3), bar(2, 1), bar(3, -1)])  # 1 2 1 3
    assert [label.chord for _, label in in_force(played, labels)] == ["C:maj", "G:maj", "C:maj"]
