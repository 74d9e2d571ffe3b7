"""A corpus of eight short made-up tracks with labels of all five kinds.

This folder is on the path of Python in the tests, so that the processes which `musicfm` starts find it too. They
should start quickly: nothing here needs torch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.spans import Spans

DURATION_S = 20.3
BEAT_S = 0.5
_SPLITS: tuple[Split, ...] = ("train", "train", "train", "train", "val", "val", "test", "test")
_DEGREES = (0, 5, 7, 0)
_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@final
class Miniature(Corpus):
    """Chords of sines over clicks.

    Args:
        bad: Names of tracks that cannot be used.
        test_only: Whether all tracks are for testing, as in data sets that are never trained on: such a one is called
            `miniature_test`.
        loud: Name of a track that is turned up far beyond full scale.
        fold: Of four, each with other tracks to validate and to test on.

    With MINIATURE_DELAY_S in the environment, loading a track takes at least so many seconds.
    """

    name: str = "miniature"
    licence: ClassVar[str] = "CC0"

    def __init__(self, bad: Sequence[str] = (), test_only: bool = False, loud: str = "", fold: int = 0) -> None:
        self.bad = bad
        self.test_only = test_only
        self.loud = loud
        self.fold = fold
        if test_only:
            self.name = "miniature_test"

    def items(self) -> Sequence[Item]:
        return [
            Item(f"song{number}", f"song{number}", "test" if self.test_only else _SPLITS[(number + 2 * self.fold) % 8])
            for number in range(len(_SPLITS))
        ]

    def load(self, item: Item) -> Track:
        time.sleep(float(os.environ.get("MINIATURE_DELAY_S", 0)))
        if item.track_id in self.bad:
            raise BadTrack(f"{item.track_id}: made\tup to be bad")
        number = int(item.track_id.removeprefix("song"))
        rng = np.random.default_rng(number)
        time_N = np.arange(round(DURATION_S * SAMPLE_RATE)) / SAMPLE_RATE
        waveform_N = 0.01 * rng.standard_normal(len(time_N))
        beats_s = np.arange(0.25, DURATION_S, BEAT_S)
        click_N = 0.2 * np.hanning(480) * np.sin(9000 * time_N[:480])
        for first in np.round(beats_s * SAMPLE_RATE).astype(int):
            waveform_N[first : first + 480] += click_N[: len(waveform_N) - first]
        chords = []
        for bar, start_s in enumerate(beats_s[::4]):
            root, end_s = (number + _DEGREES[bar % 4]) % 12, min(start_s + 4 * BEAT_S, DURATION_S)
            inside = (time_N >= start_s) & (time_N < end_s)
            for step in (0, 4 if number % 2 else 3, 7):
                waveform_N[inside] += 0.1 * np.sin(2 * np.pi * 261.63 * 2 ** ((root + step) / 12) * time_N[inside])
            chords.append((start_s, end_s, f"{_NAMES[root]}:{'maj' if number % 2 else 'min'}"))
        if item.track_id == self.loud:
            waveform_N = np.clip(20 * waveform_N, -1, 1)
        mode = "major" if number % 2 else "minor"
        labels: dict[Kind, Spans] = {
            "beat": Spans.events(beats_s, [str(beat % 4 + 1) for beat in range(len(beats_s))]),
            "chord": Spans.of(chords),
            "section": Spans.of([(0.25, 8.25, "verse"), (8.25, 16.25, "chorus"), (16.25, DURATION_S, "outro")]),
            "key": Spans.of([(0.25, DURATION_S, f"{_NAMES[number % 12]} {mode}")]),
            "tag": Spans.of([(0.0, DURATION_S, mode), (0.0, DURATION_S, "low" if number % 4 < 2 else "high")]),
        }
        return Track(item, waveform_N.astype(np.float32), labels)
