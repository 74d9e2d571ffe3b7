"""`isophonics`: the Beatles or Queen with beats, chords, keys and sections (Mauch et al., ISMIR 2009)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, final

from data_modules.corpora import group_splits
from data_modules.corpora.audio_files import matching
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.key_labels import harte_key
from data_modules.corpora.lab_files import last_column, read_events, read_intervals, relabelled, spans_of
from data_modules.corpora.label_maps import FunctionMap
from data_modules.corpora.label_rows import Label
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.matched_audio import MatchedAudio, by_song, match_audio, plain, track_by_song
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import missing
from data_modules.spans import Spans

Collection = Literal["beatles", "queen"]
_ARTISTS = {"beatles": "the beatles", "queen": "queen"}
_TRACKS = {"beatles": 180, "queen": 51}
"""As in mirdata's table of data sets, and in its indexes (1.2 and 1.0). Of Queen, 20 have chords and none has beats."""

_PLACE = re.compile(r"[1-9][0-9]{0,2}")

_FILES: Mapping[Kind, tuple[str, str]] = {
    "beat": ("beat", ".txt"),
    "chord": ("chordlab", ".lab"),
    "key": ("keylab", ".lab"),
    "section": ("seglab", ".lab"),
}


@final
class Isophonics(Corpus):
    """The reference annotations of Isophonics on one's own recordings.

    Below `root` lies `annotations/{beat,chordlab,keylab,seglab}/<artist>/<album>/<song>.{txt,lab}`, as the
    archives unpack. Audio files are found by the names of album and song, whatever their case and signs; songs
    without audio are left out and named. Albums are groups, split by a hash of their names: about 70 % train,
    10 % val, 20 % test; a fold or a list takes the place of these shares. Sections become the seven functions by
    `maps/isophonics.csv`.

    Args:
        root: The folder that holds `annotations`, or that folder itself.
        audio: The top of the tree of audio files; `root/audio` if it is not given.
        collection: beatles or queen.
        label_map: A table of one's own of section labels, see `FunctionMap`.
        fold: From 0 to 7, to test, with the next for validation: our own eight, by a hash of the album; in a list that
            has folds, the one of that number. None for shares.
        split_file: Lists of names of songs with their splits or folds, see `group_splits.from_lists`; takes the place
            of ours. Songs that it does not name are left out; albums stay groups.
    """

    name: str = "beatles"
    licence: str = (
        "annotations: Isophonics (Queen Mary, University of London), licence not stated; audio: the user's own"
    )
    expected_tracks: int | None = _TRACKS["beatles"]

    def __init__(
        self,
        root: Path,
        audio: Path | None = None,
        collection: Collection = "beatles",
        label_map: Path | None = None,
        fold: int | None = None,
        split_file: Path | None = None,
    ) -> None:
        if collection not in _ARTISTS:
            raise ValueError(f"collection: {collection!r} is unknown; choose one of {', '.join(_ARTISTS)}")
        self.name = collection
        self.expected_tracks = _TRACKS[collection] if split_file is None else None
        self.root = Path(root)
        self.audio = Path(audio) if audio is not None else self.root / "audio"
        self.collection = collection
        self.label_map = label_map
        self.fold = fold
        self.split_file = split_file
        self.note = joined(split_note(split_file, fold), map_note(label_map))
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a track is `album/song`.

        Raises:
            FileNotFoundError: No annotations or no audio there, or none of the audio is of an annotated song.
            ValueError: No such fold, or lists of splits that cannot be read.
        """
        _ = self._functions  # A table that cannot be read is told before the first track is.
        audio, splits = self._audio.files, self._splits
        return [Item(song, _album(song), splits[song]) for song in self._songs if song in audio and song in splits]

    def named(self) -> Sequence[str]:
        """See `Corpus.named`."""
        return list(self._songs if self.split_file is None else self._splits)

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        found = self._songs[item.track_id]
        readers = {
            "beat": lambda duration_s: spans_of("beat", counted(read_events(found["beat"])), duration_s),
            "chord": lambda duration_s: spans_of("chord", read_intervals(found["chord"]), duration_s),
            "key": lambda duration_s: spans_of("key", _keys(found["key"]), duration_s),
            "section": lambda duration_s: self._sections(found["section"], duration_s),
        }
        kinds = [kind for kind in _FILES if kind in self._kinds]
        absent: dict[Kind, str] = {
            kind: f"{self._annotations / _FILES[kind][0]}: no file for {item.track_id}"
            for kind in kinds
            if kind not in found
        }
        track, gaps = load_labelled(
            item, self._audio.files[item.track_id], {kind: readers[kind] for kind in kinds if kind in found}
        )
        self._gaps[item.track_id] = {**absent, **gaps}
        return track

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return [
            *self._audio.remarks(),
            *missing(self._audio.files, self._splits, f"tracks are in no list of {self.split_file}"),
        ]

    def _sections(self, path: Path, duration_s: float) -> Spans:
        rows = last_column(read_intervals(path))
        return spans_of("section", self._functions.applied(rows), duration_s)

    @property
    def _annotations(self) -> Path:
        inner = self.root / "annotations"
        return inner if inner.is_dir() else self.root

    @cached_property
    def _functions(self) -> FunctionMap:
        return FunctionMap("isophonics", table=self.label_map)

    @cached_property
    def _kinds(self) -> set[Kind]:
        """What the collection annotates, by the folders that are there."""
        return {kind for found in self._songs.values() for kind in found}

    @cached_property
    def _songs(self) -> dict[str, dict[Kind, Path]]:
        """The annotation files of each `album/song` by kind. Folders and files of a song may be written in two ways."""
        songs: dict[str, dict[Kind, Path]] = {}
        names: dict[tuple[str, str], str] = {}
        for kind, (folder, suffix) in _FILES.items():
            for artist in matching(self._annotations / folder, "*"):
                if plain(artist.name) != _ARTISTS[self.collection]:
                    continue
                for file in matching(artist, f"*/*{suffix}"):
                    same = (plain(file.parent.name), plain(file.stem))
                    songs.setdefault(names.setdefault(same, f"{file.parent.name}/{file.stem}"), {})[kind] = file
        if not songs:
            raise FileNotFoundError(
                f"{self.name}: no annotations below {self.root}; expected "
                f"annotations/chordlab/<artist>/<album>/<song>.lab and {_ARTISTS[self.collection]!r} as the artist"
            )
        return dict(sorted(songs.items()))

    @cached_property
    def _splits(self) -> dict[str, Split]:
        albums = {song: _album(song) for song in self._songs}
        return group_splits.splits(albums, self.fold, self.split_file, track_by_song(list(self._songs)))

    @cached_property
    def _audio(self) -> MatchedAudio:
        return match_audio(list(self._songs), self.audio, by_song)


def _album(song: str) -> str:
    return song.partition("/")[0]


def counted(rows: Sequence[Label]) -> list[Label]:
    """Beats with their places in the bar; `New Point`, a beat that was moved, is counted by its neighbours.

    It comes one before the next beat that has a place, unless that is a downbeat: then one after the beat before.
    So does a beat without a label if both its neighbours have a place. Any other's place is `?`.
    """
    labels = [row.label if row.label and row.label.lower() != "new point" else "?" for row in rows]
    places = [int(label) if _PLACE.fullmatch(label) else None for label in labels]
    between = [False, *(None not in pair for pair in zip(places, places[2:], strict=False)), False]
    counts = [
        row.label.lower() == "new point" or (not row.label and is_between)
        for row, is_between in zip(rows, between, strict=False)
    ]
    longest = max((place for place in places if place is not None), default=0)
    for at in reversed(range(len(rows) - 1)):
        following = places[at + 1]
        if counts[at] and following is not None and following > 1:
            places[at] = following - 1
    for at in range(1, len(rows)):
        before = places[at - 1]
        if counts[at] and places[at] is None and before is not None:
            is_last_of_bar = places[at + 1 : at + 2] == [1]
            places[at] = before + 1 if is_last_of_bar else before % longest + 1
    return [
        replace(row, label=label if place is None else str(place))
        for row, label, place in zip(rows, labels, places, strict=True)
    ]


def _keys(path: Path) -> list[Label]:
    """Rows of `start end Key C#:minor`, a bare tonic for major; `start end Silence` is no key."""
    rows = []
    for row in read_intervals(path):
        word, _, key = row.label.replace("\t", " ").partition(" ")
        if word.lower() == "key":
            rows.append(replace(row, label=key.strip()))
        elif word.lower() != "silence":
            raise BadTrack(f"{row.source}: expected `Key` and a key, or `Silence`, got {row.label!r}")
    return relabelled(rows, harte_key)
