"""`jams_folder`: any data set whose labels are JAMS files, called as the audio beside them or in another folder."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import final

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.audio_files import walk
from data_modules.corpora.base import Corpus, Item, Kind, Split, Track
from data_modules.corpora.group_splits import from_lists, split_by_hash
from data_modules.corpora.jams_files import jams_package, read_jams
from data_modules.corpora.labelled_audio import gaps_of
from data_modules.corpora.matched_audio import MatchedAudio, by_place, match_audio
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import listed, missing

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*")


@final
class JamsFolder(Corpus):
    """A tree of JAMS files, and audio called as they are; see `jams_files.NAMESPACES` for what is read.

    The audio of `album/song.jams` is `album/song.wav` below `audio`, or else the one file there that is called
    `song`: so the `jams` of Harmonix will do, with audio elsewhere. Functions of sections may be any of Harmonix,
    Isophonics, SALAMI and TUT's Beatles, and of what `label_map` adds. A track is the path of the JAMS file from the
    root without its suffix. A group is a folder, such as an album, or a track right in the root. Groups are split
    by a hash of their names, about 70 % train, 10 % val, 20 % test, unless a file says otherwise. Needs
    `pip install -e '.[datasets]'`.

    Args:
        root: The top of the tree of JAMS files.
        split_file: Lists of file names with their split or fold, see `group_splits.from_lists`; tracks that they
            do not name are left out, and names that are of no track are told.
        fold: The fold to test, where the lists have folds.
        label_map: A table of one's own of section labels, see `FunctionMap`.
        audio: The top of the tree of audio files; `root` if it is not given.
        name: What tables call the data set, and `data/<name>` where it is prepared unless another folder is named:
            small letters, digits and `._-`. The name of the folder `root` if it is not given; with `jams_folder` runs
            go on with folders that were prepared before there were names.

    Raises:
        ValueError: No such name.
    """

    name: str
    licence: str = "unknown: the user's own files"

    def __init__(
        self,
        root: Path,
        split_file: Path | None = None,
        fold: int = 0,
        label_map: Path | None = None,
        audio: Path | None = None,
        name: str | None = None,
    ) -> None:
        if name is not None and not _SLUG.fullmatch(name):
            raise ValueError(f"name: {name!r} given; choose small letters, digits and ._-, such as my-songs")
        self.root = Path(root)
        self.name = name if name is not None else _slug(self.root)
        self.audio = Path(audio) if audio is not None else self.root
        self.split_file = split_file
        self.fold = fold
        self.label_map = label_map
        # Without lists there are no folds.
        self.note = joined(split_note(split_file, fold) if split_file else "", map_note(label_map))
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: There is no such folder, no JAMS file, or no audio that is called as one.
            ModuleNotFoundError: The package jams is not installed.
            ValueError: Lists of splits that cannot be read, or that name no track or one name of several tracks.
        """
        jams_package()
        tracks = self._tracks
        if self.split_file is not None:
            chosen = [Item(name, name, self._listed[name]) for name in tracks if name in self._listed]
            if not chosen:
                raise ValueError(f"--corpus.split_file: {self.split_file} names no track below {self.root}")
            return chosen
        groups = {name: name.rpartition("/")[0] or name for name in self._annotated}
        by_group = split_by_hash(groups[name] for name in tracks)
        return [Item(name, groups[name], by_group[groups[name]]) for name in tracks]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._annotated if self.split_file is None else self._listed

    def load(self, item: Item) -> Track:
        """See `Corpus.load`.

        Raises:
            BadTrack: The audio or the JAMS file cannot be read.
        """
        waveform_N = read_audio(self._tracks[item.track_id])
        labels, self._gaps[item.track_id] = read_jams(
            self.root / f"{item.track_id}.jams", len(waveform_N) / SAMPLE_RATE, self.label_map
        )
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`: annotations that are there but cannot be used."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        unpaired = self._audio.remarks()
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
        """Audio by track, in the order of the names."""
        files = self._audio.files
        return {track: files[track] for track in self._annotated if track in files}

    @cached_property
    def _annotated(self) -> list[str]:
        files = [file.relative_to(self.root) for file in walk(self.root) if file.suffix == ".jams"]
        if not files:
            raise FileNotFoundError(f"{self.name}: no .jams file below {self.root}, --corpus.root")
        return sorted(file.with_suffix("").as_posix() for file in files)

    @cached_property
    def _audio(self) -> MatchedAudio:
        return match_audio(self._annotated, self.audio, partial(by_place, root=self.audio))


def _slug(folder: Path) -> str:
    # "." and ".." have names, too.
    return re.sub("[^a-z0-9._-]+", "-", folder.resolve().name.lower()).strip("._-") or "jams_folder"
