"""A tune to the parts of a small band: melody, chords, bass, a pad and drums, in one of a few styles."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import mir_eval
import numpy as np

from data_modules.corpora.tunes import Harmony, Section, Tune
from data_modules.synth import Note, Part

INSTRUMENTS = {
    "piano": 0, "electric piano": 4, "harpsichord": 6, "music box": 10, "vibraphone": 11, "organ": 19,
    "accordion": 21, "harmonica": 22, "guitar": 24, "steel guitar": 25, "electric guitar": 27,
    "upright bass": 32, "electric bass": 33, "violin": 40, "cello": 42, "harp": 46, "strings": 48, "choir":
    52, "trumpet": 56, "tuba": 58, "horn": 60, "saxophone": 65, "oboe": 68, "bassoon": 70, "clarinet": 71,
    "flute": 73, "recorder": 74, "whistle": 78, "banjo": 105, "fiddle": 110,
}  # fmt: skip
"""General MIDI programs from 0 by the names that tunes and tags use."""

_KICK, _STICK, _SNARE, _HAT, _OPEN_HAT, _CRASH, _TAMBOURINE = 36, 37, 38, 42, 46, 49, 54
"""General MIDI percussion."""


@dataclass(frozen=True)
class Style:
    """A bar of accompaniment in slots of an eighth, a character each; `-` lasts on, `.` is silent.

    Attributes:
        comp: `x` the whole chord, a figure one of its tones from below.
        bass: `1` the bass of the chord, `5` the fifth below it, `8` the octave above.
        drums: `x` a stroke and `X` an accented one, by percussion note.
    """

    metre: str
    comp: str
    bass: str
    drums: Mapping[int, str]


STYLES = {
    "pop": Style("4/4", "x-x-x-xx", "1--11-5-", {_KICK: "X..xx...", _SNARE: "..X...X.", _HAT: "xxxxxxxx"}),
    "rock": Style("4/4", "xxxxxxxx", "11111115", {_KICK: "X.x.X.x.", _SNARE: "..X...X.", _OPEN_HAT: "x.x.x.x."}),
    "ballad": Style("4/4", "12343432", "1-----5-", {_KICK: "X...x...", _STICK: "....X...", _HAT: "x.x.x.x."}),
    "march": Style("4/4", "..x...x.", "1-..5-..", {_KICK: "X...X...", _SNARE: "..x.xxx."}),
    "hymn": Style("4/4", "x---x---", "1---1---", {_TAMBOURINE: "....x...", _KICK: "X......."}),
    "polka": Style("2/4", ".x.x", "1-5-", {_KICK: "X.X.", _SNARE: ".x.x", _HAT: "xxxx"}),
    "waltz": Style("3/4", "..x-x-", "1-----", {_KICK: "X.....", _HAT: "..x.x.", _STICK: "..x.x."}),
    "arpeggio waltz": Style("3/4", "123432", "1-----", {_KICK: "X.....", _TAMBOURINE: "..x.x."}),
    "jig": Style("6/8", "x-xx-x", "1--5--", {_KICK: "X..X..", _TAMBOURINE: "x.xx.x", _SNARE: "...x.x"}),
    "rocking": Style("6/8", "123432", "1--1--", {_KICK: "X.....", _STICK: "...X..", _HAT: "x.xx.x"}),
}

_LOUDNESS = {"intro": 0.75, "verse": 0.9, "chorus": 1.1, "bridge": 0.85, "inst": 1.0, "outro": 0.7}
"""How loud a section is by its function; the chorus also has the pad and a crash, as pop music does."""


def band(tune: Tune, start_s: float) -> list[Part]:
    """The notes of a tune, the same each time; there are no drums in intro and outro.

    Args:
        tune: What to play.
        start_s: When its first bar begins, in seconds.

    Raises:
        ValueError: The tune names a style or an instrument that is not known, or a style of another metre.
    """
    style = _style(tune)
    names = (tune.lead, tune.solo, tune.comp, tune.bass, "strings")
    lead, solo, comp, bass, pad = (Part(_program(tune, name)) for name in names)
    drums = Part(0, is_drum=True)
    rng = np.random.default_rng(zlib.crc32(tune.title.encode()))
    quarter_s = tune.quarter_s

    def play(part: Part, onset_q: float, length_q: float, pitch: int, velocity: float) -> None:
        # A few milliseconds and a little force either way, as hands have it; beats are scored to 70 ms.
        onset_s = max(0.0, start_s + onset_q * quarter_s + rng.normal(0, 0.004))
        force = int(np.clip(velocity + rng.normal(0, 4), 20, 120))
        part.notes.append(Note(onset_s, onset_s + max(0.05, length_q * quarter_s * 0.96), pitch, force))

    for place, (begin_q, section, shift) in enumerate(tune.placed()):
        loudness = _LOUDNESS.get(section.function, 0.9)
        voice = solo if section.function == "inst" else lead
        end_q = section.length_q - tune.pickup_after(place)
        for tone in (*section.pickup, *section.melody):
            if tone.degree and tone.onset_q < end_q:
                pitch = tone.pitch(section.key) + shift
                play(
                    voice,
                    begin_q + tone.onset_q,
                    min(tone.length_q, end_q - tone.onset_q),
                    pitch,
                    100 * loudness,
                )
        for harmony in section.chords:
            pitches = _pitches(harmony, section, shift)
            if pitches is None:
                continue
            low, chord = pitches
            for onset_q, length_q, sign in _strokes(style.comp, harmony):
                tones = chord if sign == "x" else [_tone(chord, int(sign))]
                for pitch in tones:
                    play(comp, begin_q + onset_q, length_q, pitch, 66 * loudness)
            for onset_q, length_q, sign in _strokes(style.bass, harmony):
                # A chord that enters off the first beat enters on its bass.
                enters = onset_q == harmony.onset_q
                pitch = low if enters else low + {"1": 0, "5": -5, "8": 12}[sign]
                play(bass, begin_q + onset_q, length_q, pitch, 92 * loudness)
            if section.function == "chorus":
                for pitch in chord:
                    play(pad, begin_q + harmony.onset_q, harmony.length_q, pitch + 12, 50)
        if section.function not in ("intro", "outro"):
            for onset_q, pitch, velocity in _drumming(style, section):
                play(drums, begin_q + onset_q, 0.25, pitch, velocity * loudness)
    return [part for part in (lead, solo, comp, bass, pad, drums) if part.notes]


def _style(tune: Tune) -> Style:
    if tune.style not in STYLES:
        raise ValueError(f"{tune.title}: style {tune.style!r} is none of {', '.join(STYLES)}")
    style = STYLES[tune.style]
    if style.metre != tune.metre:
        raise ValueError(f"{tune.title}: style {tune.style!r} is in {style.metre}, the tune in {tune.metre}")
    return style


def _program(tune: Tune, name: str) -> int:
    if name not in INSTRUMENTS:
        raise ValueError(f"{tune.title}: instrument {name!r} is none of {', '.join(INSTRUMENTS)}")
    return INSTRUMENTS[name]


def _pitches(harmony: Harmony, section: Section, shift: int) -> tuple[int, list[int]] | None:
    """Bass from A1 (33, so that the fifth below it is E1 at least) and chord from G3 (55), by the label."""
    root, bitmap, bass = mir_eval.chord.encode(harmony.label(section.key.transposed(shift)))
    if root < 0:
        return None
    classes = (root + np.flatnonzero(bitmap)) % 12
    chord = sorted(55 + (int(pitch_class) - 55) % 12 for pitch_class in classes)
    return 33 + (root + bass - 33) % 12, chord


def _tone(chord: list[int], number: int) -> int:
    octave, place = divmod(number - 1, len(chord))
    return chord[place] + 12 * octave


def _strokes(pattern: str, harmony: Harmony) -> list[tuple[float, float, str]]:
    """Onset and length in quarters, and sign, of what a chord's part of the pattern plays.

    A chord that enters where the pattern holds on is struck all the same.
    """
    first, last = round(harmony.onset_q * 2), round((harmony.onset_q + harmony.length_q) * 2)
    strokes: list[tuple[float, float, str]] = []
    for slot in range(first, last):
        place = slot % len(pattern)
        sign = pattern[place]
        enters = slot == first and place > 0 and sign == "-"
        if sign not in "-." or enters:
            strokes.append((slot / 2, 0.5, pattern[0] if enters and pattern[0] != "." else "x" if enters else sign))
        elif sign == "-" and strokes:
            onset_q, length_q, before = strokes[-1]
            strokes[-1] = (onset_q, length_q + 0.5, before)
    return strokes


def _drumming(style: Style, section: Section) -> list[tuple[float, int, float]]:
    """Onset in quarters, note and velocity: the pattern, a fill at the end, a crash to open a chorus."""
    num_slots = len(style.comp)
    total = round(section.length_q * 2)
    strokes: list[tuple[float, int, float]] = []
    for slot in range(total):
        if slot >= total - num_slots // 2 and total > 2 * num_slots:
            strokes.append((slot / 2, _SNARE, 60 + 12 * (slot - total + num_slots // 2)))
            continue
        for pitch, pattern in style.drums.items():
            sign = pattern[slot % num_slots]
            if sign != ".":
                strokes.append((slot / 2, pitch, 100 if sign == "X" else 72))
    if section.function == "chorus":
        strokes.append((0.0, _CRASH, 95))
    return strokes
