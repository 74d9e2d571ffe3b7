"""`billboard`: chords and sections of 890 entries of the American charts (Burgoyne et al., ISMIR 2011).

mirdata 1.0 reads the chords of clean files as we do (the tests compare them), but gives silence and sections without
a function to the section before them, lets NaN pass, and needs an index from the network; so it is not used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal, final, get_args

from data_modules.corpora import group_splits
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.billboard_sections import header, read_sections
from data_modules.corpora.lab_files import read_intervals, spans_of
from data_modules.corpora.label_maps import FunctionMap
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.matched_audio import MatchedAudio, by_identifier, match_audio, track_by_identifier
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import missing
from data_modules.corpora.tables import read_records

Chords = Literal["full", "majmin", "majmininv", "majmin7", "majmin7inv"]
_INDEX = "billboard-2.0-index.csv"


@final
class Billboard(Corpus):
    """The McGill Billboard annotations on one's own recordings, called by their numbers: `0003.mp3` or `3.mp3`.

    The audio is not public; entries without are left out and named. Chords come from the `.lab` files, sections
    from `salami_chords.txt`: the seven functions by `maps/salami.csv`, or the letter of a section that is given
    no function.

    Artists are groups, split by a hash of their names: about 70 % train, 10 % val, 20 % test. The 890 entries
    are about 740 songs, so a split by entry would have a song on both sides. A fold or a list takes
    the place of these shares.

    Args:
        root: The folder `McGill-Billboard` that holds `0003/full.lab`, `0003/salami_chords.txt`, ..., or its
            parent. Artists are read from `billboard-2.0-index.csv` beside it where it is, else from the headers
            of `salami_chords.txt`.
        audio: The folder of audio files; `root/audio` if it is not given.
        chords: Which `.lab` file: full, majmin, majmininv, majmin7 or majmin7inv.
        label_map: A table of one's own of functions, see `FunctionMap`.
        fold: From 0 to 7, to test, with the next for validation: our own eight, by a hash of the artist; in a list that
            has folds, the one of that number. None for shares.
        split_file: Lists of numbers of entries with their splits or folds, see `group_splits.from_lists`; takes the
            place of ours. What it does not name is left out; artists stay groups.
    """

    name: str = "billboard"
    licence: str = "CC0 (McGill Billboard annotations); audio: the user's own"
    expected_tracks: int | None = 890
    """As in mirdata's table of data sets: entries, of which several may be of one song."""

    def __init__(
        self,
        root: Path,
        audio: Path | None = None,
        chords: Chords = "full",
        label_map: Path | None = None,
        fold: int | None = None,
        split_file: Path | None = None,
    ) -> None:
        if chords not in get_args(Chords):
            raise ValueError(f"chords: {chords!r} is unknown; choose one of {', '.join(get_args(Chords))}")
        self.root = Path(root)
        self.audio = Path(audio) if audio is not None else self.root / "audio"
        self.chords = chords
        self.label_map = label_map
        self.note = joined(
            split_note(split_file, fold), "" if chords == "full" else f"chords {chords}", map_note(label_map)
        )
        self.fold = fold
        self.split_file = split_file
        if split_file is not None:
            self.expected_tracks = None
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: No annotations or no audio there.
            ValueError: No such fold, or lists of splits that cannot be read.
        """
        _ = self._functions  # A table that cannot be read is told before the first track is.
        audio = self._audio.files
        artists, splits = self._artists, self._splits
        return [Item(name, artists[name], splits[name]) for name in self._entries if name in audio and name in splits]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._entries if self.split_file is None else self._splits

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        folder = self._folder / item.track_id
        chords, sections = folder / f"{self.chords}.lab", folder / "salami_chords.txt"
        track, self._gaps[item.track_id] = load_labelled(
            item,
            self._audio.files[item.track_id],
            {
                "chord": lambda duration_s: spans_of("chord", read_intervals(chords), duration_s),
                "section": lambda duration_s: spans_of(
                    "section", self._functions.applied(read_sections(sections, duration_s)), duration_s
                ),
            },
        )
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

    @cached_property
    def _splits(self) -> dict[str, Split]:
        track_of = track_by_identifier(self._entries)
        return group_splits.splits(self._artists, self.fold, self.split_file, track_of)

    @cached_property
    def _artists(self) -> dict[str, str]:
        indexed: dict[str, str] = {}
        for path in (self._folder / _INDEX, self._folder.parent / _INDEX):
            if path.is_file():
                rows = read_records(path, ("id", "artist"), "the index of the Billboard annotations")
                indexed = {row["id"].zfill(4): row["artist"] for row in rows}
                break
        return {name: indexed.get(name) or self._artist(name) for name in self._entries}

    def _artist(self, entry: str) -> str:
        try:
            return header(self._folder / entry / "salami_chords.txt").get("artist") or entry
        except BadTrack:
            return entry

    @property
    def _folder(self) -> Path:
        inner = self.root / "McGill-Billboard"
        return inner if inner.is_dir() else self.root

    @cached_property
    def _functions(self) -> FunctionMap:
        return FunctionMap("salami", table=self.label_map)

    @cached_property
    def _entries(self) -> list[str]:
        found = {file.parent.name for name in ("*.lab", "salami_chords.txt") for file in self._folder.glob(f"*/{name}")}
        if not found:
            raise FileNotFoundError(
                f"billboard: no annotations below {self.root}; expected McGill-Billboard/0003/full.lab, "
                f"McGill-Billboard/0003/salami_chords.txt, ..."
            )
        return sorted(found)

    @cached_property
    def _audio(self) -> MatchedAudio:
        return match_audio(self._entries, self.audio, by_identifier)
