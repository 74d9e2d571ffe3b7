"""`smc`: 217 excerpts of 40 s that are hard to track (Holzapfel et al., 2012), with beats but no downbeats."""

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
    expected_tracks: int | None = 217
    """As MIREX describes its third collection of beats, which is this one (Audio Beat Tracking, 2012 and later)."""

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
        return self._tracks.load(item, with_positions=False)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return self._tracks.remarks()

    @cached_property
    def _tracks(self) -> BeatTracks:
        audio = files_below(self.root, AUDIO_SUFFIXES, _track, "smc: audio such as SMC_MIREX_Audio/SMC_001.wav")
        annotations = _corrected(self.annotations) if self.annotations else None
        what = f"smc: beats such as {_FOLDERS[0]}/SMC_001_2_1_1_a.txt"
        beats = annotations_below(annotations, _corrected(self.root), SUFFIXES, _track, what)
        groups = {track: track for track in beats}
        return BeatTracks(audio, beats, group_splits.splits(groups, self.fold, self.split_file, _track))


def _corrected(folder: Path) -> Path:
    return next((folder / name for name in _FOLDERS if (folder / name).is_dir()), folder)


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return f"SMC_{match[1]}" if match else None
