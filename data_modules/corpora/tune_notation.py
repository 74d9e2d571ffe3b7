"""The notation of the `tiny` corpus: tunes as text, in scale degrees and Roman numerals, and its parser.

    title: Twinkle, Twinkle, Little Star
    origin: France, 1761
    split: train
    metre: 4/4              2/4, 3/4, 4/4 or 6/8
    tempo: 104              beats a minute; the beat of 6/8 is the dotted quarter
    key: C major
    style: march            how it is accompanied, see `accompaniment.STYLES`
    lead: flute             instruments, see `accompaniment.INSTRUMENTS`: the melody,
    solo: oboe              the melody in `inst`,
    comp: piano             the chords
    bass: upright bass      and the bass
    arrangement: intro verse chorus inst verse chorus+2 outro

    [verse]
    pickup: 5,e 5,e
    chords: I      | IV I    | V7/5 . . I
    melody: 1 1 5 5 | 6 6 5h  | 4 3 2e 2e 1
    [inst = verse]
    [chorus]
    key: A minor
    ...

The arrangement names sections in the order they sound; `+2` raises one by two semitones. A section's name is
its function (`labels.FUNCTIONS`), with a number where there are two of a kind: `verse`, `verse2`. A section
may state a key of its own, and several lines of `chords` and `melody`, which follow one another; without
`melody` the tune rests. `[inst = verse]` is a copy. A pickup sounds before the section's first bar, over the
end of what precedes it.

Chords share their bar equally and `.` repeats one. A chord is a Roman numeral of the key, capital for major
and small for minor, then `7`, `maj7`, `6`, `o` (diminished), `+` (augmented), `sus4`; `#` or `b` before it
alters the root; `/3` after it is the bass, counted as in Harte's syntax (`/b3` in a minor chord). `N` is no
chord.

A note is a degree of the key (1 is the tonic from C4 to B4; in minor, degrees are of the natural minor scale)
or 0 for a rest; before it `#` or `b`; after it `'` or `,` for each octave up or down; then its length, `w h q
e s` for whole to sixteenth with `.` for a dot. Without a length it is as long as the lower figure of the
metre says.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

from data_modules.corpora.base import SPLITS, Split
from data_modules.corpora.tunes import METRES, Harmony, Key, Section, Tone, Tune
from data_modules.labels import FUNCTIONS

_NUMERALS = ("I", "II", "III", "IV", "V", "VI", "VII")
_QUALITIES = {"": "maj", "7": "7", "maj7": "maj7", "6": "maj6", "+": "aug", "sus4": "sus4"}
_MINOR_QUALITIES = {"": "min", "7": "min7", "6": "min6", "o": "dim", "o7": "dim7"}
_LENGTHS_Q = {"w": 4.0, "h": 2.0, "q": 1.0, "e": 0.5, "s": 0.25}

_NOTE = re.compile(r"([#b]?)([0-7])([',]*)([whqes]?)(\.?)")
_CHORD = re.compile(r"([#b]?)([IV]+|[iv]+)(maj7|sus4|o7|7|6|o|\+)?(?:/([#b]?[1-7]))?")
_SECTION = re.compile(r"\[\s*([a-z]+[0-9]*)\s*(?:=\s*([a-z]+[0-9]*)\s*)?\]")
_PLACED = re.compile(r"([a-z]+[0-9]*)([+-][0-9]+)?")
_KEY = re.compile(r"([A-G][#b]?) (major|minor)")
_HEADERS = (
    "title",
    "origin",
    "split",
    "metre",
    "tempo",
    "key",
    "style",
    "lead",
    "solo",
    "comp",
    "bass",
    "arrangement",
)


def parse(text: str, source: str) -> Tune:
    """Reads a tune in the notation above.

    Args:
        text: The file's content.
        source: The file to name in messages.

    Raises:
        ValueError: With the file, the line and what is wrong there.
    """
    return _Parser(source).parse(text)


class _Parser:
    """Carries the file and line to name in a message."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.line = 0
        self.header: dict[str, str] = {}
        self.header_lines: dict[str, int] = {}
        self.sections: dict[str, Section] = {}

    def error(self, message: str) -> ValueError:
        return ValueError(f"{self.source}:{self.line}: {message}")

    def parse(self, text: str) -> Tune:
        section: Section | None = None
        for self.line, raw in enumerate(text.splitlines(), start=1):
            content = raw.strip()
            if not content or content.startswith("#"):
                continue
            if content.startswith("["):
                section = self.open_section(content)
                continue
            name, colon, value = (part.strip() for part in content.partition(":"))
            if not colon:
                raise self.error(f"expected `name: value`, `[section]` or `# comment`, got {content!r}")
            if section is None:
                if name not in _HEADERS:
                    raise self.error(f"unknown header {name!r}; known are {', '.join(_HEADERS)}")
                self.header[name], self.header_lines[name] = value, self.line
            else:
                self.fill(section, name, value)
        return self.finish()

    def open_section(self, content: str) -> Section:
        found = _SECTION.fullmatch(content)
        if found is None:
            raise self.error(f"{content!r} is no section; write [verse] or [inst = verse]")
        name, copied = found.groups()
        if name in self.sections:
            raise self.error(f"section {name!r} is there already")
        section = Section(name, self.key(self.word("key")))
        if section.function not in FUNCTIONS:
            raise self.error(f"section {name!r} is none of {', '.join(FUNCTIONS)}")
        if copied is not None:
            if copied not in self.sections:
                raise self.error(f"no section {copied!r} above to copy")
            one = self.sections[copied]
            section = Section(name, one.key, one.length_q, [*one.chords], [*one.melody], [*one.pickup])
        self.sections[name] = section
        return section

    def word(self, name: str) -> str:
        if not self.header.get(name):
            raise self.error(f"the header `{name}:` is missing above")
        return self.header[name]

    def metre(self) -> tuple[int, float]:
        if self.word("metre") not in METRES:
            raise self.error(f"metre {self.header['metre']!r} is none of {', '.join(METRES)}")
        return METRES[self.header["metre"]]

    def key(self, value: str) -> Key:
        found = _KEY.fullmatch(value)
        if found is None:
            raise self.error(f"{value!r} is no key; write `Eb major` or `C# minor`")
        return Key(*found.groups())

    def fill(self, section: Section, name: str, value: str) -> None:
        beats, beat_q = self.metre()
        if name == "key":
            section.key = self.key(value)
        elif name == "pickup":
            tones = self.tones(value)
            section.pickup = _chained(tones, -sum(tone.length_q for tone in tones))
        elif name == "chords":
            for bar in value.split("|"):
                section.chords += self.bar_of_chords(bar.split(), section.length_q, beats, beat_q)
                section.length_q += beats * beat_q
        elif name == "melody":
            onset_q = sum(tone.length_q for tone in section.melody)
            for number, bar in enumerate(value.split("|"), start=1):
                tones = self.tones(bar)
                length_q = sum(tone.length_q for tone in tones)
                if length_q != beats * beat_q:
                    raise self.error(f"bar {number} of the melody has {length_q:g} quarters, not {beats * beat_q:g}")
                section.melody += _chained(tones, onset_q)
                onset_q += length_q
        else:
            raise self.error(f"unknown line {name!r} in a section; known are key, pickup, chords, melody")

    def bar_of_chords(self, words: list[str], onset_q: float, beats: int, beat_q: float) -> list[Harmony]:
        if not words or beats % len(words):
            raise self.error(f"a bar of {beats} beats cannot be shared by {len(words)} chords: {' '.join(words)!r}")
        length_q = beats * beat_q / len(words)
        chords: list[Harmony] = []
        for place, word in enumerate(words):
            if word == "." and chords:
                chords[-1] = replace(chords[-1], length_q=chords[-1].length_q + length_q)
            else:
                chords.append(self.chord(word, onset_q + place * length_q, length_q))
        return chords

    def chord(self, word: str, onset_q: float, length_q: float) -> Harmony:
        if word == "N":
            return Harmony(onset_q, length_q, 0)
        found = _CHORD.fullmatch(word)
        accidental, numeral, suffix, bass = found.groups() if found else ("", "", "", "")
        qualities = _QUALITIES if numeral.isupper() else _MINOR_QUALITIES
        if numeral.upper() not in _NUMERALS or (suffix or "") not in qualities:
            raise self.error(f"{word!r} is no chord; write I, ii7, V7/3, #viio, bVII or N")
        degree = _NUMERALS.index(numeral.upper()) + 1
        return Harmony(onset_q, length_q, degree, _alter(accidental), qualities[suffix or ""], bass or "")

    def tones(self, bar: str) -> list[Tone]:
        tones = []
        for word in bar.split():
            found = _NOTE.fullmatch(word)
            if found is None:
                raise self.error(f"{word!r} is no note; write 1, #4, 5,e or 1'h.")
            accidental, degree, octaves, length, dot = found.groups()
            length_q = _LENGTHS_Q[length] if length else 4.0 / int(self.header["metre"].split("/")[1])
            octave = octaves.count("'") - octaves.count(",")
            tones.append(Tone(0.0, length_q * (1.5 if dot else 1.0), int(degree), _alter(accidental), octave))
        return tones

    def finish(self) -> Tune:
        placed: list[tuple[Section, int]] = []
        for name in _HEADERS:
            self.word(name)
        self.line = self.header_lines["arrangement"]
        for word in self.header["arrangement"].split():
            found = _PLACED.fullmatch(word)
            name, shift = found.groups() if found else (word, None)
            if name not in self.sections:
                raise self.error(f"the arrangement names {word!r}, but there is no section [{name}]")
            placed.append((self.sections[name], int(shift or 0)))
        self.check_sections(placed)
        self.line = self.header_lines["split"]
        split: Split | None = next((known for known in SPLITS if known == self.header["split"]), None)
        if split is None:
            raise self.error(f"split {self.header['split']!r} is none of {', '.join(SPLITS)}")
        self.line = self.header_lines["tempo"]
        try:
            tempo = float(self.header["tempo"])
        except ValueError:
            raise self.error(f"tempo {self.header['tempo']!r} is no number of beats a minute") from None
        self.line = self.header_lines["key"]
        words = {
            name: self.header[name] for name in ("title", "origin", "metre", "style", "lead", "solo", "comp", "bass")
        }
        return Tune(split=split, tempo=tempo, key=self.key(self.header["key"]), arrangement=tuple(placed), **words)

    def check_sections(self, placed: list[tuple[Section, int]]) -> None:
        for section in self.sections.values():
            length_q = sum(tone.length_q for tone in section.melody)
            if section.length_q == 0 or (section.melody and length_q != section.length_q):
                raise self.error(
                    f"section {section.name!r} has {section.length_q:g} quarters of chords "
                    f"and {length_q:g} of melody; they must be equal"
                )
            if not any(section is one for one, _ in placed):
                raise self.error(f"section {section.name!r} is not in the arrangement")
        for (before, _), (section, _) in pairwise(placed):
            if section.pickup_q > before.length_q:
                raise self.error(f"the pickup of {section.name!r} is longer than {before.name!r} before it")


def _chained(tones: list[Tone], onset_q: float) -> list[Tone]:
    placed = []
    for tone in tones:
        placed.append(replace(tone, onset_q=onset_q))
        onset_q += tone.length_q
    return placed


def _alter(accidental: str) -> int:
    return {"": 0, "#": 1, "b": -1}[accidental]
