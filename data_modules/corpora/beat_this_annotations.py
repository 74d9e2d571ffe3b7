"""`beat_this_annotations`: the beats of some fifteen data sets as beat_this ships them, for audio that a user has."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from data_modules.corpora import group_splits
from data_modules.corpora.audio_files import AUDIO_SUFFIXES, files_below
from data_modules.corpora.base import Corpus, Item, Split, Track
from data_modules.corpora.beat_tracks import BeatTracks
from data_modules.corpora.notes import split_note


class BeatThisAnnotations(Corpus):
    """One set of the folder `beat_this_annotations` (github.com/CPJKU/beat_this_annotations).

    Labels: beats with their place in the bar; "?" where the set's `info.json` says that it has no downbeats
    (smc, simac). Each track is its own group. Tracks without audio are left out and named.

    Splits are the set's own. With `fold` they come from `8-folds.split`: that fold is for test, the next for
    validation. Without, they come from `single.split`, which has tracks for training and validation only:
    beat_this tests on gtzan. A set without lists (gtzan) is for test.

    Audio belongs to a track if its name, or its path from the audio folder, is that of the file of beats: with
    or without the name of the set before it (`gtzan_blues_00000` and `blues.00000`), small or capital letters,
    and with dots, blanks and hyphens for underscores.

    Args:
        root: The folder that holds `ballroom`, `gtzan`, `hainsworth` and so on.
        set_name: Which of them.
        audio: The folder of the audio, of any depth.
        fold: Of eight, the one for test; none for the single split.
    """

    licence = "beats: of each set's authors, see the README of beat_this_annotations; audio: the user's own files"

    def __init__(self, root: Path, set_name: str, audio: Path, fold: int | None = None) -> None:
        self.root = Path(root)
        self.set_name = set_name
        self.audio = Path(audio)
        self.fold = fold
        self.name = f"beat_this_{set_name}"
        self.note = split_note(None, fold, of="the set's eight")

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A folder or a list is not there or holds nothing of the kind, or nothing fits
                together.
            ValueError: No such fold, or a list of splits or an `info.json` that cannot be read.
        """
        self._has_downbeats()
        return self._tracks.items()

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._tracks.named()

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        return self._tracks.load(item, with_positions=self._has_downbeats())

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return self._tracks.remarks()

    @property
    def _folder(self) -> Path:
        folder = self.root / self.set_name
        if not (folder / "annotations" / "beats").is_dir():
            sets = sorted(one.parents[1].name for one in self.root.glob("*/annotations/beats"))
            raise FileNotFoundError(
                f"--corpus.set_name: no {folder / 'annotations' / 'beats'}; "
                f"{self.root} holds the sets {', '.join(sets) or 'of nothing: --corpus.root should name it'}"
            )
        return folder

    def _has_downbeats(self) -> bool:
        path = self._folder / "info.json"
        if not path.is_file():
            return True
        try:
            return bool(json.loads(path.read_text("utf-8"))["has_downbeats"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f'{path}: expected {{"has_downbeats": true}} or false ({error!r})') from error

    @cached_property
    def _tracks(self) -> BeatTracks:
        what = f"{self.name}: beats such as {self.set_name}_001.beats"
        beats = files_below(self._folder / "annotations" / "beats", (".beats",), str, what)
        return BeatTracks(self._audio_of(beats), beats, self._splits(beats))

    def _audio_of(self, beats: Mapping[str, Path]) -> dict[str, Path]:
        tracks = {self._key(track): track for track in beats}

        def track_of(path: str) -> str | None:
            return tracks.get(self._key(path)) or tracks.get(self._key(path.rpartition("/")[2]))

        what = f"{self.name}: audio named as {next(iter(beats))}"
        return files_below(self.audio, AUDIO_SUFFIXES, track_of, what, "audio", by_path=True)

    def _splits(self, beats: Mapping[str, Path]) -> Mapping[str, Split]:
        # Earlier releases put the name of the set before that of the list, and `8-fold.folds` for the folds.
        names = ("single.split",) if self.fold is None else ("8-folds.split", "8-fold.folds")
        paths = [self._folder / f"{prefix}{name}" for name in names for prefix in ("", f"{self.set_name}_")]
        path = next((one for one in paths if one.is_file()), None)
        if path is not None:
            return group_splits.from_lists(path, self.fold, str)
        if self.fold is not None:
            raise FileNotFoundError(f"--corpus.fold: {self.set_name} has no list of folds, {paths[0]}")
        return dict.fromkeys(beats, "test")

    def _key(self, name: str) -> str:
        return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").removeprefix(f"{self.set_name}_")
