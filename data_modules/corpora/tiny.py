"""`tiny`: public-domain tunes as text in the repository, played by a small band in seconds, offline."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path

from data_modules.corpora.accompaniment import band
from data_modules.corpora.base import Corpus, Item, Kind, Track
from data_modules.corpora.other_soundfont import take_soundfont
from data_modules.corpora.tune_notation import parse
from data_modules.corpora.tunes import METRES, Tune
from data_modules.labels import check
from data_modules.spans import Spans
from data_modules.synth import check_soundfont, render

_LEAD_IN_S = 0.25
_TAIL_S = 1.5
"""Before the first note, and for the last ones to die away."""

_SLOW, _FAST = 90, 130
"""Beats a minute below which a tune is tagged slow, and from which on fast."""


class Tiny(Corpus):
    """Old tunes that this project wrote down itself, with labels of all five kinds: the tests' corpus.

    Args:
        soundfont: A General MIDI soundfont (.sf2) that plays them; TimGM6mb if left out.
    """

    name = "tiny"
    family = "tiny"
    licence = "CC0 1.0 (tunes in the public domain, written down and arranged for this project)"
    note = "synthetic performance"

    def __init__(self, soundfont: Path | None = None) -> None:
        self.soundfont = soundfont
        take_soundfont(self, soundfont)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a tune is its own group.

        Raises:
            FileNotFoundError: There is no such soundfont.
            ValueError: It is none.
        """
        check_soundfont(self.soundfont)
        return [Item(track_id, track_id, tune.split) for track_id, tune in _tunes().items()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        tune = _tunes()[item.track_id]
        start_s = _LEAD_IN_S + tune.arrangement[0][0].pickup_q * tune.quarter_s
        duration_s = start_s + tune.length_q * tune.quarter_s + _TAIL_S
        labels = labels_of(tune, start_s, duration_s)
        check(labels, duration_s, f"{self.name}/{item.track_id}")
        return Track(item, render(band(tune, start_s), duration_s, self.soundfont), labels)


@cache
def _tunes() -> dict[str, Tune]:
    folder = files("data_modules.corpora") / "tiny"
    texts = sorted((one.name, one.read_text("utf-8")) for one in folder.iterdir() if one.name.endswith(".txt"))
    return {name.removesuffix(".txt"): parse(text, f"tiny/{name}") for name, text in texts}


def labels_of(tune: Tune, start_s: float, duration_s: float) -> dict[Kind, Spans]:
    """What is known of a tune as it is played, all five kinds.

    The audio before the first bar and after the last belongs to no section, chord or key.

    Args:
        tune: The tune.
        start_s: When its first bar begins, in seconds.
        duration_s: Length of the audio.
    """
    beats, beat_q = METRES[tune.metre]
    num_beats = round(tune.length_q / beat_q)
    beat_times_s = [start_s + beat * beat_q * tune.quarter_s for beat in range(num_beats)]
    sections, chords, keys = [], [], []
    for begin_q, section, shift in tune.placed():
        key = section.key.transposed(shift)
        sections.append((begin_q, begin_q + section.length_q, section.function))
        keys.append((begin_q, begin_q + section.length_q, str(key)))
        for harmony in section.chords:
            onset_q = begin_q + harmony.onset_q
            chords.append((onset_q, onset_q + harmony.length_q, harmony.label(key)))

    def spans(rows: list[tuple[float, float, str]], merge: bool) -> Spans:
        merged: list[tuple[float, float, str]] = []
        for a_q, b_q, label in rows:
            if merge and merged and merged[-1][2] == label:
                merged[-1] = (merged[-1][0], b_q, label)
            else:
                merged.append((a_q, b_q, label))
        return Spans.of((start_s + a * tune.quarter_s, start_s + b * tune.quarter_s, label) for a, b, label in merged)

    return {
        "beat": Spans.events(beat_times_s, [str(beat % beats + 1) for beat in range(num_beats)]),
        "chord": spans(chords, merge=True),
        # Two verses in a row are two sections.
        "section": spans(sections, merge=False),
        "key": spans(keys, merge=True),
        "tag": Spans.of((0.0, duration_s, tag) for tag in tags_of(tune)),
    }


def tags_of(tune: Tune) -> list[str]:
    """Metre, mode, tempo and the instruments that are heard, as tags in the manner of MTG-Jamendo."""
    pace = "slow" if tune.tempo < _SLOW else "fast" if tune.tempo >= _FAST else "medium"
    heard = {tune.lead, tune.comp, tune.bass}
    functions = {section.function for section, _ in tune.arrangement}
    if "inst" in functions:
        heard.add(tune.solo)
    if "chorus" in functions:
        heard.add("strings")
    instruments = [f"instrument---{name}" for name in sorted(heard)]
    return [f"metre---{tune.metre}", f"mode---{tune.key.mode}", f"tempo---{pace}", *instruments]
