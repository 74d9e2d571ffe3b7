"""What a score does not say, drawn at random for each movement: tempo, instruments, loudness.

All of it comes from generators seeded by the movement's name, so that it is the same each time, and none of
it depends on the composer: instruments that followed the edition would give the composer away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_modules.corpora.dcml_score import Played, ScoreNote, beat_unit_q, beats, main_metre
from data_modules.synth import Note, Part

ONSETS_HZ = (3.2, 6.0)
"""Onsets a second, the range from which a movement's mean is drawn. Ours: music neither sleepy nor a blur."""
TEMPO_BPM = (52.0, 190.0)
"""Beats a minute are kept in this range. Ours: near madmom's default of 55-215 for downbeats."""
RUBATO = 0.03
"""Standard deviation of the logarithm of the tempo. Ours: audible, and far from a change of tempo."""
_MEMORY = 0.9
"""How much of a beat's deviation the next beat keeps."""
_RITARDANDO = (0.97, 0.92, 0.86, 0.78)
"""The last beats slow down to these parts of the tempo."""

FAMILIES: dict[str, tuple[tuple[int, ...], ...]] = {
    "piano": ((0,), (1,), (6,)),
    "chromatic percussion": ((11,), (12,)),
    "organ": ((19,), (16,)),
    "guitar": ((24,), (25,)),
    "strings": ((40, 41, 42), (45,), (46,)),
    "ensemble": ((48,), (52,)),
    "brass": ((56, 60, 57), (61,)),
    "reed": ((68, 71, 70), (64, 65, 66)),
    "pipe": ((73,), (74,)),
}
"""Families of General MIDI, each with sets of programs from high to low."""


def generator(track_id: str, purpose: str) -> np.random.Generator:
    """A generator of its own for each movement and purpose, the same on every machine."""
    digest = hashlib.sha256(f"dcml {purpose} {track_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


@dataclass(frozen=True)
class Timing:
    """Score time to seconds: `knots_s` at `knots_q`, straight in between, shape (K,) both."""

    knots_q: NDArray[np.float64]
    knots_s: NDArray[np.float64]

    def seconds(self, at_q: Sequence[float] | float) -> NDArray[np.float64]:
        """Seconds from the start of the movement, for quarters from its start."""
        return np.interp(np.asarray(at_q, dtype=np.float64), self.knots_q, self.knots_s)


def timing(track_id: str, played: Sequence[Played], notes: Sequence[ScoreNote]) -> Timing:
    """A tempo at which the movement has a fair number of onsets a second, with slight rubato."""
    rng = generator(track_id, "tempo")
    end_q = played[-1].end_q
    beat_q = beat_unit_q(main_metre(played))
    onsets_per_q = max(1, len({round(note.start_q, 3) for note in notes})) / end_q
    bpm = np.clip(60 * rng.uniform(*ONSETS_HZ) / onsets_per_q / beat_q, *TEMPO_BPM)
    num_beats = max(1, int(np.ceil(end_q / beat_q)))
    deviation = np.empty(num_beats)
    steps = rng.normal(0, RUBATO, num_beats)
    deviation[0] = steps[0]
    for i in range(1, num_beats):
        deviation[i] = _MEMORY * deviation[i - 1] + np.sqrt(1 - _MEMORY**2) * steps[i]
    speed = np.exp(deviation)
    slowing = _RITARDANDO[-num_beats:]
    speed[num_beats - len(slowing) :] *= slowing
    knots_q = np.minimum(np.arange(num_beats + 1) * beat_q, end_q)
    knots_s = np.concatenate([[0.0], np.cumsum(np.diff(knots_q) / beat_q * (60 / bpm) / speed)])
    return Timing(knots_q, knots_s)


def orchestrate(track_id: str, pitches: dict[int, float]) -> tuple[dict[int, int], list[str]]:
    """A General MIDI program for each staff, and the families that were drawn.

    One family plays everything, or one the top staff and another the rest, with equal chance.

    Args:
        track_id: Seeds the draw; nothing else enters it.
        pitches: The mean pitch of each staff.
    """
    rng = generator(track_id, "instruments")
    names = list(FAMILIES)
    first, second = (names[i] for i in rng.choice(len(names), 2, replace=False))
    mixed = rng.random() < 0.5
    sets = {name: FAMILIES[name][rng.integers(len(FAMILIES[name]))] for name in (first, second)}
    programs = {}
    for staff in sorted(pitches):
        name = second if mixed and staff != min(pitches) else first
        programs[staff] = _register(sets[name], pitches[staff])
    used = [first, second] if mixed and len(pitches) > 1 else [first]
    return programs, used


def _register(programs: tuple[int, ...], pitch: float) -> int:
    """The program for a mean pitch: the highest above about G4, the lowest below about E3."""
    lower = int(pitch < 67) + int(pitch < 52)
    return programs[min(lower, len(programs) - 1)]


def play(
    track_id: str, notes: Sequence[ScoreNote], when: Timing, played: Sequence[Played]
) -> tuple[list[Part], list[str]]:
    """The notes in seconds, a part for each staff, with accents on the beats; and the families that play."""
    rng = generator(track_id, "loudness")
    staves = sorted({note.staff for note in notes})
    means = {staff: float(np.mean([note.pitch for note in notes if note.staff == staff])) for staff in staves}
    programs, families = orchestrate(track_id, means)
    accents = {round(at_q, 3): 12 if position == 1 else 5 for at_q, position in beats(played)}
    parts = {staff: Part(programs[staff]) for staff in staves}
    starts_s = when.seconds([note.start_q for note in notes])
    ends_s = when.seconds([note.end_q for note in notes])
    swell = 5 * np.sin(2 * np.pi * (starts_s / rng.uniform(8, 16) + rng.random()))  # phrases of 8 to 16 s
    jitter = rng.normal(0, 3, len(notes))
    for i, note in enumerate(notes):
        level = 84 if note.staff == staves[0] else 74  # the top staff carries the tune
        velocity = level + accents.get(round(note.start_q, 3), 0) + swell[i] + jitter[i]
        parts[note.staff].notes.append(
            Note(float(starts_s[i]), float(ends_s[i]), note.pitch, int(np.clip(velocity, 20, 120)))
        )
    return list(parts.values()), families
