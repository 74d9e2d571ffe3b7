"""`jams_folder`: any data set whose audio has a JAMS file of the same name beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import final

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.audio_files import audio_below, matching
from data_modules.corpora.base import Corpus, Item, Kind, Split, Track
from data_modules.corpora.group_splits import from_lists, split_by_hash
from data_modules.corpora.jams_files import jams_package, read_jams
from data_modules.corpora.labelled_audio import gaps_of
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import listed, missing, remark


@final
class JamsFolder(Corpus):
    """A tree of audio files, `song.wav` with `song.jams` beside it; see `jams_files.NAMESPACES` for what is read.

    A track is the path of the audio from the root without its suffix. A group is a folder, such as an album, or
    a track right in the root. Groups are split by a hash of their names, about 70 % train, 10 % val, 20 % test,
    unless a file says otherwise. Needs `pip install -e '.[datasets]'`.

    Args:
        root: The top of the tree.
        split_file: Lists of file names with their split or fold, see `group_splits.from_lists`; tracks that they
            do not name are left out, and names that are of no track are told.
        fold: The fold to test, where the lists have folds.
        label_map: A table of one's own of section labels, see `FunctionMap`.
    """

    name: str = "jams_folder"
    licence: str = "unknown: the user's own files"

    def __init__(
        self, root: Path, split_file: Path | None = None, fold: int = 0, label_map: Path | None = None
    ) -> None:
        self.root = Path(root)
        self.split_file = split_file
        self.fold = fold
        self.label_map = label_map
        # Without lists there are no folds.
        self.note = joined(split_note(split_file, fold) if split_file else "", map_note(label_map))
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: There is no such folder, or no audio with a JAMS file beside it.
            ModuleNotFoundError: The package jams is not installed.
            ValueError: Lists of splits that cannot be read, or that name no track or one name of several tracks.
        """
        jams_package()
        if not self._tracks:
            raise FileNotFoundError(f"jams_folder: no audio below {self.root} has a .jams file of its name beside it")
        groups = {name: name.rpartition("/")[0] or name for name in self._tracks}
        if self.split_file is not None:
            chosen = [Item(name, name, self._listed[name]) for name in self._tracks if name in self._listed]
            if not chosen:
                raise ValueError(f"--corpus.split_file: {self.split_file} names no track below {self.root}")
            return chosen
        by_group = split_by_hash(groups.values())
        return [Item(name, groups[name], by_group[groups[name]]) for name in self._tracks]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`.

        Raises:
            BadTrack: The audio or the JAMS file cannot be read.
        """
        audio = self._tracks[item.track_id]
        waveform_N = read_audio(audio)
        labels, self._gaps[item.track_id] = read_jams(
            audio.with_suffix(".jams"), len(waveform_N) / SAMPLE_RATE, self.label_map
        )
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`: annotations that are there but cannot be used."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        annotated = {audio.with_suffix(".jams") for audio in self._tracks.values()}
        bare = [file for file in audio_below(self.root) if file.with_suffix(".jams") not in annotated]
        silent = [file for file in matching(self.root, "**/*.jams") if file not in annotated]
        unpaired = [
            line
            for what, files in (("audio files without a .jams file", bare), (".jams files without audio", silent))
            for line in remark([one.relative_to(self.root).as_posix() for one in files], f"{what} are left out", None)
        ]
        if self.split_file is None:
            return unpaired
        return [
            *unpaired,
            *missing(self._tracks, self._listed, f"tracks are in no list of {self.split_file}"),
            *missing(self._listed, self._tracks, f"names in {self.split_file} are of no track"),
        ]

    @cached_property
    def _listed(self) -> dict[str, Split]:
        """The split of what the lists name: tracks, and names of no track, which stand for themselves."""
        if self.split_file is None:
            return {}
        tracks: dict[str, list[str]] = {}
        for track in self._tracks:
            tracks.setdefault(track.rpartition("/")[2], []).append(track)

        def track_of(name: str) -> str:
            found = tracks.get(name, [name])
            if len(found) > 1:
                times = "twice" if len(found) == 2 else f"{len(found)} times"
                raise ValueError(f"{name!r} occurs {times} below {self.root}: {listed(found)}; rename them")
            return found[0]

        return from_lists(Path(self.split_file), self.fold, track_of)

    @cached_property
    def _tracks(self) -> dict[str, Path]:
        tracks: dict[str, Path] = {}
        for file in audio_below(self.root):
            if file.with_suffix(".jams").is_file():
                tracks.setdefault(file.relative_to(self.root).with_suffix("").as_posix(), file)
        return tracks
