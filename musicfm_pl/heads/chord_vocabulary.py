"""The chords a head knows: their names in Harte syntax, and which of them a label is."""

from __future__ import annotations

from typing import Literal

import mir_eval
import numpy as np

VocabularyName = Literal["majmin", "large"]

_PITCHES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_MAJMIN = ("maj", "min")
_LARGE = (
    *_MAJMIN,
    "dim",
    "aug",
    "min6",
    "maj6",
    "min7",
    "minmaj7",
    "maj7",
    "7",
    "dim7",
    "hdim7",
    "sus2",
    "sus4",
)
"""The 14 qualities of McFee & Bello (ISMIR 2017)."""
_MAJMIN_NOTES = 8
"""`mir_eval.chord.majmin` compares the notes up to the fifth, so that a seventh or sixth does not matter."""


class ChordVocabulary:
    """Classes of chords: each quality on each root, then N, and in the large vocabulary X.

    Args:
        name: `majmin` has 25 classes; a label is the triad that `mir_eval.chord.majmin` takes it for. `large`
            has 170; a label has exactly the notes of its class, and X is any chord that no class has.
    """

    def __init__(self, name: VocabularyName) -> None:
        if name not in ("majmin", "large"):
            raise ValueError(f"head.vocabulary must be 'majmin' or 'large', got {name!r}")
        self.name = name
        self.qualities = _MAJMIN if name == "majmin" else _LARGE
        self.labels = (
            *(f"{pitch}:{quality}" for quality in self.qualities for pitch in _PITCHES),
            mir_eval.chord.NO_CHORD,
            *((mir_eval.chord.X_CHORD,) if name == "large" else ()),
        )
        self._num_notes = _MAJMIN_NOTES if name == "majmin" else 12
        self._bitmaps = np.array([mir_eval.chord.QUALITIES[quality][: self._num_notes] for quality in self.qualities])
        self._known: dict[str, int | None] = {}

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def num_answers(self) -> int:
        """Classes that may be estimated, the first so many: all but X, with which no reference agrees."""
        return 12 * len(self.qualities) + 1

    def class_of(self, label: str) -> int | None:
        """The class of a label; None for "X", and for what the small vocabulary lacks.

        Raises:
            mir_eval.chord.InvalidChordException: The label is no chord.
        """
        if label not in self._known:
            self._known[label] = self._match(label)
        return self._known[label]

    def _match(self, label: str) -> int | None:
        if label == mir_eval.chord.X_CHORD:
            return None
        root, notes, _ = mir_eval.chord.encode(label)
        if root < 0:
            return self.num_answers - 1
        matches = np.flatnonzero((self._bitmaps == notes[: self._num_notes]).all(axis=1))
        if len(matches) == 0:
            return self.num_answers if self.name == "large" else None
        return 12 * int(matches[0]) + int(root)
