"""`hainsworth`: 222 minute-long excerpts in six styles with beats (Hainsworth and Macleod, 2004; revised 2014)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora import fold_splits
from data_modules.corpora.base import BadTrack, Corpus, Item, Split, Track
from data_modules.corpora.beat_files import SUFFIXES, read_beats
from data_modules.corpora.track_files import AUDIO_SUFFIXES, files_below, listed, missing

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
    expected_tracks: ClassVar[int | None] = 222

    def __init__(
        self, root: Path, annotations: Path | None = None, fold: int = 0, split_file: Path | None = None
    ) -> None:
        self.root = Path(root)
        self.annotations = Path(annotations) if annotations else None
        self.fold = fold
        self.split_file = Path(split_file) if split_file else None

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A folder is not there or holds nothing of the kind, or no beats are for the audio.
            ValueError: Two files for one track, no such fold, or a list of splits that cannot be read.
        """
        if not self._both:
            audio, files = next(iter(self._audio.values())), next(iter(self._files.values()))
            raise FileNotFoundError(f"hainsworth: no file of beats is named as its audio: {audio} and {files}")
        return [Item(track, track, self._splits[track]) for track in self._both if track in self._splits]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        if item.track_id not in self._files or item.track_id not in self._audio:
            raise BadTrack(f"{self.root}: audio or beats of {item.track_id} are gone")
        waveform_N = read_audio(self._audio[item.track_id])
        beats = read_beats(self._files[item.track_id], len(waveform_N) / SAMPLE_RATE)
        return Track(item, waveform_N, {"beat": beats})

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        unlisted = [track for track in self._both if track not in self._splits]
        return [
            *missing(self._audio, self._files, "tracks have no file of beats and are left out"),
            *missing(self._files, self._audio, "tracks with beats have no audio"),
            *([f"{len(unlisted)} tracks are not in {self.split_file}: {listed(unlisted)}"] if unlisted else []),
        ]

    @property
    def _both(self) -> list[str]:
        return [track for track in self._audio if track in self._files]

    @cached_property
    def _audio(self) -> dict[str, Path]:
        return files_below(self.root, AUDIO_SUFFIXES, _track, "hainsworth: audio such as audio/001.wav")

    @cached_property
    def _files(self) -> dict[str, Path]:
        inner = [self.root / name for name in ("annotations/beats", "beats", "beat") if (self.root / name).is_dir()]
        folder = self.annotations or (inner[0] if inner else self.root)
        option = "annotations" if self.annotations else "root"
        return files_below(folder, SUFFIXES, _track, "hainsworth: beats such as annotations/beats/001.beats", option)

    @cached_property
    def _splits(self) -> dict[str, Split]:
        if self.split_file is None:
            return fold_splits.by_hash({track: track for track in self._both}, self.fold)
        return fold_splits.from_lists(self.split_file, self.fold, _track)


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match["name"].lower() if match else None
