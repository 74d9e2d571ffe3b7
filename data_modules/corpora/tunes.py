"""What a tune of the `tiny` corpus is: sections of chords and melody, in scale degrees of a key."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from data_modules.corpora.base import Split

METRES = {"2/4": (2, 1.0), "3/4": (3, 1.0), "4/4": (4, 1.0), "6/8": (2, 1.5)}
"""Beats a bar, and quarters a beat."""

_LETTERS = "CDEFGAB"
_NATURAL = (0, 2, 4, 5, 7, 9, 11)
_SCALES = {"major": (0, 2, 4, 5, 7, 9, 11), "minor": (0, 2, 3, 5, 7, 8, 10)}
_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(frozen=True)
class Key:
    """A tonic such as "Eb" and a mode, "major" or "minor"."""

    tonic: str
    mode: str

    def __str__(self) -> str:
        return f"{self.tonic} {self.mode}"

    def transposed(self, semitones: int) -> Key:
        """This key so many semitones higher."""
        return Key(_TONICS[(_pitch_class(self.tonic) + semitones) % 12], self.mode) if semitones else self

    def pitch(self, degree: int, alter: int = 0) -> int:
        """MIDI pitch of a degree from 1, in the octave above the tonic from C4 (60) to B4 (71)."""
        return 60 + _pitch_class(self.tonic) + _SCALES[self.mode][degree - 1] + alter

    def spell(self, degree: int, alter: int = 0) -> str:
        """The note name of a degree, each degree on a letter of its own: the third of Eb minor is Gb."""
        letter = (_LETTERS.index(self.tonic[0]) + degree - 1) % 7
        shift = (self.pitch(degree, alter) - _NATURAL[letter] + 6) % 12 - 6
        return _LETTERS[letter] + ("#" * shift if shift > 0 else "b" * -shift)


@dataclass(frozen=True)
class Tone:
    """A note of a melody: onset and length in quarters from the section's first bar, negative in a pickup."""

    onset_q: float
    length_q: float
    degree: int
    alter: int
    octave: int

    def pitch(self, key: Key) -> int:
        """MIDI pitch in a key."""
        return key.pitch(self.degree, self.alter) + 12 * self.octave


@dataclass(frozen=True)
class Harmony:
    """A chord: onset and length in quarters from the section's first bar; degree 0 is no chord."""

    onset_q: float
    length_q: float
    degree: int
    alter: int = 0
    quality: str = ""
    bass: str = ""

    def label(self, key: Key) -> str:
        """Harte's syntax in a key."""
        if self.degree == 0:
            return "N"
        return f"{key.spell(self.degree, self.alter)}:{self.quality}" + (f"/{self.bass}" if self.bass else "")


@dataclass
class Section:
    """A section as it is written, in the tune's key unless it has its own."""

    name: str
    key: Key
    length_q: float = 0.0
    chords: list[Harmony] = field(default_factory=list)
    melody: list[Tone] = field(default_factory=list)
    pickup: list[Tone] = field(default_factory=list)

    @property
    def pickup_q(self) -> float:
        """Length of the pickup in quarters."""
        return sum(tone.length_q for tone in self.pickup)

    @property
    def function(self) -> str:
        """One of `labels.FUNCTIONS`."""
        return self.name.rstrip("0123456789")


@dataclass(frozen=True)
class Tune:
    """A tune as it is written; the header's words as text where nothing else is said.

    Attributes:
        arrangement: Sections in the order they sound, each with the semitones it is raised by.
    """

    title: str
    origin: str
    split: Split
    metre: str
    tempo: float
    key: Key
    style: str
    lead: str
    solo: str
    comp: str
    bass: str
    arrangement: tuple[tuple[Section, int], ...]

    @property
    def quarter_s(self) -> float:
        """Length of a quarter in seconds."""
        return 60.0 / (self.tempo * METRES[self.metre][1])

    @property
    def length_q(self) -> float:
        """Length in quarters, from the first bar to the end of the last."""
        return sum(section.length_q for section, _ in self.arrangement)

    def placed(self) -> Iterator[tuple[float, Section, int]]:
        """Each section of the arrangement: where it begins in quarters, itself, its rise in semitones."""
        begin_q = 0.0
        for section, shift in self.arrangement:
            yield begin_q, section, shift
            begin_q += section.length_q

    def pickup_after(self, place: int) -> float:
        """Quarters at the end of a section of the arrangement that belong to the next one's pickup."""
        if place + 1 >= len(self.arrangement):
            return 0.0
        return self.arrangement[place + 1][0].pickup_q


def _pitch_class(name: str) -> int:
    return (_NATURAL[_LETTERS.index(name[0])] + name.count("#") - name.count("b")) % 12
