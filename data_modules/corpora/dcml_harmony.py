"""DCML's harmony labels as chords in Harte syntax and as local keys.

A pitch is counted in fifths, F C G D A E B being -1 0 1 2 3 4 5, so that a sharp adds 7. The DCML columns
`root`, `bass_note` and `chord_tones` are fifths above the tonic of the local key, with an applied key (V/vi)
already reckoned in. The standard: Neuwirth et al., "The Annotated Beethoven Corpus (ABC)", 2018.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data_modules.corpora.dcml_score import Played

_LETTERS = "FCGDAEB"
_DEGREES = {
    False: {"I": 0, "II": 2, "III": 4, "IV": -1, "V": 1, "VI": 3, "VII": 5},
    True: {"I": 0, "II": 2, "III": -3, "IV": -1, "V": 1, "VI": -4, "VII": -2},
}
"""Fifths of the degrees of major, and of natural minor."""
_ROMAN = re.compile(r"(#*|b*)([IV]+|[iv]+)")
_QUALITIES = {
    "M": "maj", "m": "min", "o": "dim", "+": "aug",
    "Mm7": "7", "mm7": "min7", "MM7": "maj7", "mM7": "minmaj7", "%7": "hdim7", "o7": "dim7", "+7": "aug(b7)",
    "Ger": "7", "It": "7(*5)", "Fr": "7(*5,b5)",
}  # fmt: skip
"""An augmented sixth sounds as a dominant seventh over its bass, whole or without or with a lowered fifth."""
_INTERVALS = {
    0: "1", 1: "5", 2: "2", 3: "6", 4: "3", 5: "7", 6: "#4", 7: "#1", 8: "#5", 9: "#2", 10: "b7",
    -1: "4", -2: "b7", -3: "b3", -4: "b6", -5: "b2", -6: "b5", -7: "b1", -8: "b4", -9: "bb7",
}  # fmt: skip
"""Fifths above the root to Harte's degrees; 10 is the augmented sixth, which sounds as a minor seventh."""
_KEYS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_SPELLED = frozenset({*_KEYS, "C#", "D#", "Gb", "G#", "A#"})
"""The tonics that mir_eval.key knows."""


@dataclass(frozen=True)
class Harmony:
    """One label of the notation.

    Attributes:
        bar: `mc` of its bar.
        onset_q: Quarters from the start of that bar.
        chord: Harte; None where the label only marks a cadence or a phrase.
        key: The local key, such as "C# minor".
    """

    bar: int
    onset_q: float
    chord: str | None
    key: str


def name(fifths: int) -> str:
    """The note so many fifths above C: 0 is C, 6 is F#, -2 is Bb."""
    sharps, letter = divmod(fifths + 1, 7)
    return _LETTERS[letter] + ("#" * sharps if sharps >= 0 else "b" * -sharps)


def fifths(note: str) -> int:
    """The inverse of `name`, for either case."""
    return _LETTERS.index(note[0].upper()) - 1 + 7 * (note.count("#") - note[1:].count("b"))


def degree(numeral: str, minor: bool) -> tuple[int, bool]:
    """Fifths of a Roman numeral above the tonic, and whether it stands for a minor key.

    Nested numerals are read from the right: "v/#iii" is the minor dominant of the raised mediant.

    Args:
        numeral: Such as "bVI" or "v/#iii".
        minor: Whether the key it is read in is minor.

    Raises:
        ValueError: It is no Roman numeral.
    """
    total = 0
    for part in reversed(numeral.split("/")):
        match = _ROMAN.fullmatch(part)
        if match is None or match[2].upper() not in _DEGREES[minor]:
            raise ValueError(f"{numeral!r} is no Roman numeral")
        total += _DEGREES[minor][match[2].upper()] + 7 * (match[1].count("#") - match[1].count("b"))
        minor = match[2].islower()
    return total, minor


def tonic(globalkey: str, localkey: str) -> tuple[int, bool]:
    """Fifths of the local tonic above C, and whether the local key is minor.

    Args:
        globalkey: A note, lower case for minor.
        localkey: A Roman numeral in it.

    Raises:
        ValueError: The local key is no Roman numeral.
    """
    above, minor = degree(localkey, globalkey[0].islower())
    return fifths(globalkey) + above, minor


def key(tonic_fifths: int, minor: bool) -> str:
    """A key as mir_eval accepts it; a tonic such as Cb is respelt."""
    spelled = name(tonic_fifths)
    if spelled not in _SPELLED:
        spelled = _KEYS[tonic_fifths * 7 % 12]
    return f"{spelled} {'minor' if minor else 'major'}"


def chord(tonic_fifths: int, chord_type: str, root: int, bass: int, tones: Sequence[int], inverted: bool) -> str:
    """A chord in Harte syntax.

    Args:
        tonic_fifths: The local tonic above C.
        chord_type: DCML's, such as "Mm7" or "Ger".
        root: Fifths above the local tonic.
        bass: The same, of the lowest note.
        tones: The same, of all notes from the bass up, with suspensions in place of what they suspend.
        inverted: Whether the label carries the figures of an inversion.

    Raises:
        ValueError: The chord type is unknown.
    """
    if chord_type not in _QUALITIES:
        raise ValueError(f"{chord_type!r} is no chord type of the DCML standard")
    quality = _QUALITIES[chord_type]
    if chord_type in ("Ger", "It", "Fr"):
        # The tables name the root of the altered dominant; what sounds is built on the lowered sixth.
        root = next((tone for tone in tones if tone + 10 in tones), root)
    elif chord_type in ("M", "m", "Mm7") and not inverted and tuple(tones[:2]) == (root, root - 1):
        sixth = tones[2] - root if len(tones) > 2 else 0
        if sixth in (3, -4):  # V(64) is written on V and sounds as the tonic over its fifth
            root, quality = root - 1, "maj" if sixth == 3 else "min"
    interval = _INTERVALS.get(bass - root, "1")
    return f"{name(tonic_fifths + root)}:{quality}" + ("" if interval == "1" else f"/{interval}")


def in_force(played: Sequence[Played], labels: Sequence[Harmony]) -> list[tuple[float, Harmony]]:
    """The labels as played, by time in quarters, each in force until the next.

    Where the music jumps back into a harmony that began in an earlier bar, that harmony sounds again.
    """
    by_bar: dict[int, list[Harmony]] = {}
    for label in sorted(labels, key=lambda label: (label.bar, label.onset_q)):
        by_bar.setdefault(label.bar, []).append(label)
    carried: dict[int, Harmony] = {}
    held: Harmony | None = None
    for number in sorted({place.bar.number for place in played} | set(by_bar)):
        if held is not None:
            carried[number] = held
        held = by_bar.get(number, [held])[-1]
    found: list[tuple[float, Harmony]] = []
    for before, place in zip([None, *played[:-1]], played, strict=True):
        number = place.bar.number
        here = by_bar.get(number, [])
        jumps_back = before is not None and number <= before.bar.number
        if jumps_back and number in carried and not (here and here[0].onset_q == 0):
            found.append((place.start_q, carried[number]))
        found += [(place.start_q + label.onset_q, label) for label in here if label.onset_q < place.bar.length_q]
    return found
