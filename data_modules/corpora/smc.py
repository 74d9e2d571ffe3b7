"""`smc`: 217 excerpts of 40 s that are hard to track (Holzapfel et al., 2012), with beats but no downbeats."""

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
from data_modules.spans import Spans

_NAME = re.compile(r"smc_(\d{3})(?:_.*)?", re.IGNORECASE)
"""`SMC_001_2_1_1_a`: the excerpt, another metre that would do, and the annotator."""

_FOLDERS = ("SMC_MIREX_Annotations_05_08_2014", "SMC_MIREX_Annotations")
"""In the later one the last beats of five excerpts that lay outside the audio are taken out (its readme)."""


class Smc(Corpus):
    """SMC_MIREX, with beats whose place in the bar is not known ("?"); each excerpt is its own group.

    Tracks without audio or without beats are left out and named; faulty beats set a track aside.

    Args:
        root: The folder that holds `SMC_MIREX_Audio` and `SMC_MIREX_Annotations_05_08_2014`.
        annotations: The folder of `SMC_001_2_1_1_a.txt` (or `smc_001.beats`) and so on, if not within `root`;
            of the two that the archive has the corrected one is taken.
        fold: Which of eight folds is for test, with the next for validation. They are made by a hash of the
            name, and are not those of publications.
        split_file: A list of tracks with their folds or splits, such as beat_this's `8-folds.split`; takes the
            place of our folds. Tracks that it does not name are left out.
    """

    name = "smc"
    licence = "SMC_MIREX: for research, cite Holzapfel et al. 2012; excerpts of published recordings"
    expected_tracks: ClassVar[int | None] = 217

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
            FileNotFoundError: A folder is not there or holds nothing of the kind.
            ValueError: Two files for one track, no such fold, or a list of splits that cannot be read.
        """
        return [Item(track, track, self._splits[track]) for track in self._both if track in self._splits]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        if item.track_id not in self._files or item.track_id not in self._audio:
            raise BadTrack(f"{self.root}: audio or beats of {item.track_id} are gone")
        waveform_N = read_audio(self._audio[item.track_id])
        beats = read_beats(self._files[item.track_id], len(waveform_N) / SAMPLE_RATE)
        return Track(item, waveform_N, {"beat": Spans.events(beats.starts_s, ["?"] * len(beats))})

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
        return files_below(self.root, AUDIO_SUFFIXES, _track, "smc: audio such as SMC_MIREX_Audio/SMC_001.wav")

    @cached_property
    def _files(self) -> dict[str, Path]:
        folder = self.annotations or self.root
        inner = [folder / name for name in _FOLDERS if (folder / name).is_dir()]
        what = f"smc: beats such as {_FOLDERS[0]}/SMC_001_2_1_1_a.txt"
        option = "annotations" if self.annotations else "root"
        return files_below(inner[0] if inner else folder, SUFFIXES, _track, what, option)

    @cached_property
    def _splits(self) -> dict[str, Split]:
        if self.split_file is None:
            return fold_splits.by_hash({track: track for track in self._both}, self.fold)
        return fold_splits.from_lists(self.split_file, self.fold, _track)


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return f"SMC_{match[1]}" if match else None
