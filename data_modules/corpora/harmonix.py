"""`harmonix`: beats, downbeats and functions of 912 pop songs (Nieto et al., ISMIR 2019)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import final

from data_modules.corpora.audio_files import matching
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.group_splits import NUM_FOLDS, from_lists, split_by_hash, split_of
from data_modules.corpora.lab_files import read_boundaries, read_events, spans_of
from data_modules.corpora.label_maps import FunctionMap
from data_modules.corpora.label_rows import Label
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.matched_audio import MatchedAudio, by_identifier, match_audio
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import missing
from data_modules.corpora.tables import read_records

_NUM_SONGS = 912
"""In the abstract of the paper (Nieto et al., ISMIR 2019)."""


@final
class Harmonix(Corpus):
    """The Harmonix Set on one's own recordings, which are called by its identifiers: `0001_12step.mp3`.

    Labels: beats with their places in the bar, and sections by the seven functions (`maps/harmonix.csv`). What
    ends up to a second after the audio is cut; where more does, the audio is another recording, and that kind
    is left out.

    Three ways to split. By default artists are groups, split by a hash of their names: about 70 % train, 10 %
    val, 20 % test. With a `fold` it is the cross-validation of all-in-one (Kim & Nam, WASPAA 2023): song n in the
    order of all 912 identifiers is in fold n mod 8, `fold` is tested and the one after it validates; that divides
    artists. With a `split_file` it is what the file says; there, too, a song is a group, and one that it does not
    name is left out.

    Args:
        root: The repository `harmonixset`, or its folder `dataset`.
        audio: The folder of audio files; `root/audio` if it is not given.
        fold: From 0 to 7, to test; in a split file that has folds, the one of that number.
        split_file: Lists of identifiers with their split or fold, see `group_splits.from_lists`.
        label_map: A table of one's own of section labels, see `FunctionMap`.
    """

    name: str = "harmonix"
    licence: str = "MIT (Oriol Nieto and others; annotations by Harmonix); audio: the user's own"
    expected_tracks: int | None = _NUM_SONGS

    def __init__(
        self,
        root: Path,
        audio: Path | None = None,
        fold: int | None = None,
        split_file: Path | None = None,
        label_map: Path | None = None,
    ) -> None:
        if fold is not None and split_file is None and not 0 <= fold < NUM_FOLDS:
            raise ValueError(f"fold: {fold} asked for, but there are folds 0 to {NUM_FOLDS - 1}")
        self.root = Path(root)
        self.audio = Path(audio) if audio is not None else self.root / "audio"
        self.fold = fold
        self.split_file = split_file
        if split_file is not None:
            self.expected_tracks = None
        self.label_map = label_map
        self.note = joined(split_note(split_file, fold, of="the eight by the order of songs"), map_note(label_map))
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: No annotations or no audio there, or no `metadata.csv`, which names the artists.
            ValueError: A fold is asked for, but the annotations are not those of all songs, so that the folds would
                be others; or lists of splits that cannot be read.
        """
        _ = self._functions  # A table that cannot be read is told before the first track is.
        audio = self._audio.files
        groups, splits = self._groups_and_splits
        return [
            Item(name, groups[name], splits[name]) for name in self._identifiers if name in audio and name in splits
        ]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._groups_and_splits[1] if self.split_file else self._identifiers

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        beats = self._dataset / "beats_and_downbeats" / f"{item.track_id}.txt"
        segments = self._dataset / "segments" / f"{item.track_id}.txt"
        track, self._gaps[item.track_id] = load_labelled(
            item,
            self._audio.files[item.track_id],
            {
                "beat": lambda duration_s: spans_of("beat", _beats(beats), duration_s),
                "section": lambda duration_s: spans_of(
                    "section", self._functions.applied(read_boundaries(segments, duration_s)), duration_s
                ),
            },
        )
        return track

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        splits = self._groups_and_splits[1]
        return [
            *self._audio.remarks(),
            *missing(self._audio.files, splits, f"tracks are in no list of {self.split_file}"),
        ]

    @cached_property
    def _groups_and_splits(self) -> tuple[Mapping[str, str], Mapping[str, Split]]:
        songs = {name: name for name in self._identifiers}
        if self.split_file is not None:
            return songs, from_lists(Path(self.split_file), self.fold, lambda name: songs.get(name))
        if self.fold is not None:
            if len(songs) != _NUM_SONGS:
                raise ValueError(
                    f"--corpus.fold: the folds count all {_NUM_SONGS} songs of Harmonix, but {self._dataset} annotates "
                    f"{len(songs)}; bring its annotations to {_NUM_SONGS}, or name a split_file"
                )
            numbered = enumerate(self._identifiers)
            return songs, {name: split_of(at % NUM_FOLDS, self.fold, NUM_FOLDS) for at, name in numbered}
        artists = self._artists()
        by_artist = split_by_hash(artists.values())
        return artists, {name: by_artist[artist] for name, artist in artists.items()}

    def _artists(self) -> dict[str, str]:
        path = self._dataset / "metadata.csv"
        rows = read_records(path, ("File", "Artist"), "the table that names the artists, or the choice of a fold")
        named = {row["File"]: row["Artist"] for row in rows}
        return {name: named.get(name) or name for name in self._identifiers}

    @property
    def _dataset(self) -> Path:
        inner = self.root / "dataset"
        return inner if inner.is_dir() else self.root

    @cached_property
    def _functions(self) -> FunctionMap:
        return FunctionMap("harmonix", table=self.label_map)

    @cached_property
    def _identifiers(self) -> list[str]:
        found = {
            file.stem
            for folder in ("beats_and_downbeats", "segments")
            for file in matching(self._dataset / folder, "*.txt")
        }
        if not found:
            raise FileNotFoundError(
                f"harmonix: no annotations below {self.root}; expected dataset/beats_and_downbeats/0001_12step.txt, "
                f"dataset/segments/0001_12step.txt, ..."
            )
        return sorted(found)

    @cached_property
    def _audio(self) -> MatchedAudio:
        return match_audio(self._identifiers, self.audio, by_identifier)


def _beats(path: Path) -> list[Label]:
    """Rows of `time place bar`, of which the number of the bar is dropped."""
    rows = []
    for row in read_events(path):
        words = row.label.split()
        if len(words) not in (1, 2):
            raise BadTrack(f"{row.source}: expected `time beat bar`, got {row.label!r} after the time")
        rows.append(replace(row, label=words[0]))
    return rows
