"""`hainsworth`: 222 minute-long excerpts in six styles with beats (Hainsworth and Macleod, 2004; revised 2014)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

from data_modules.corpora import group_splits
from data_modules.corpora.audio_files import AUDIO_SUFFIXES, annotations_below, files_below
from data_modules.corpora.base import Corpus, Item, Track
from data_modules.corpora.beat_files import SUFFIXES
from data_modules.corpora.beat_tracks import BeatTracks
from data_modules.corpora.notes import split_note

_NAME = re.compile(r"(?:hainsworth_)?(?P<name>.+)", re.IGNORECASE)


class Hainsworth(Corpus):
    """Hainsworth's excerpts, with beats and their place in the bar; each excerpt is its own group.

    Tracks without audio or without beats are left out and named; faulty beats set a track aside.

    Args:
        root: The folder that holds the audio, at any depth, such as `audio/001.wav` or `wavs/001.wav`.
        annotations: The folder of the beats, named as the audio (`001.beats`, `001.txt` or
            `hainsworth_001.beats`), if not the folder `annotations/beats`, `beats` or `beat` within `root`.
        fold: Which of eight folds is for test, with the next for validation. They are made by a hash of the
            name, and are not those of publications.
        split_file: A list of tracks with their folds or splits, such as beat_this's `8-folds.split`; takes the
            place of our folds. Tracks that it does not name are left out.
    """

    name = "hainsworth"
    licence = "audio: not distributed, excerpts of published recordings; beats: CC BY-NC-SA 4.0 by mirdata"
    expected_tracks: int | None = 222

    def __init__(
        self, root: Path, annotations: Path | None = None, fold: int = 0, split_file: Path | None = None
    ) -> None:
        self.root = Path(root)
        self.annotations = Path(annotations) if annotations else None
        self.fold = fold
        self.split_file = Path(split_file) if split_file else None
        self.note = split_note(split_file, fold, usual=0)
        if split_file is not None:
            self.expected_tracks = None

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A folder is not there or holds nothing of the kind, or nothing fits together.
            ValueError: Two files for one track, no such fold, or a list of splits that cannot be read.
        """
        return self._tracks.items()

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._tracks.named()

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        return self._tracks.load(item)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return self._tracks.remarks()

    @cached_property
    def _tracks(self) -> BeatTracks:
        audio = files_below(self.root, AUDIO_SUFFIXES, _track, "hainsworth: audio such as audio/001.wav")
        inner = [self.root / name for name in ("annotations/beats", "beats", "beat") if (self.root / name).is_dir()]
        what = "hainsworth: beats such as annotations/beats/001.beats"
        beats = annotations_below(self.annotations, inner[0] if inner else self.root, SUFFIXES, _track, what)
        groups = {track: track for track in beats}
        return BeatTracks(audio, beats, group_splits.splits(groups, self.fold, self.split_file, _track))


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match["name"].lower() if match else None
