"""`salami`: sections of 1359 recordings of all kinds of music, many by two annotators (Smith et al., ISMIR 2011).

mirdata 1.0 reads the letters as we do (the tests compare them), but not the functions, fails on a blank line, ends a
file without a row `End` one section early, and needs an index from the network; so it is not used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Literal, final, get_args

from data_modules.corpora import group_splits
from data_modules.corpora.base import Absent, Corpus, Item, Kind, Split, Track
from data_modules.corpora.lab_files import read_boundaries, read_events, spans_of
from data_modules.corpora.label_maps import FunctionMap
from data_modules.corpora.label_rows import Label
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.matched_audio import MatchedAudio, by_identifier, match_audio, track_by_identifier
from data_modules.corpora.notes import joined, map_note, split_note
from data_modules.corpora.remarks import missing
from data_modules.corpora.tables import read_records

Level = Literal["functions", "uppercase", "lowercase"]

_NO_ARTIST = ("", "compilations")
"""What `metadata.csv` has where it knows no artist."""

_NO_FUNCTION = "no_function"
"""What SALAMI's parser writes where a large section begins without a function."""

_NO_MUSIC = "Z"
"""The large section that is no music, such as applause or the talk before a song."""


@final
class Salami(Corpus):
    """The public annotations of SALAMI 2.0 on one's own recordings, called by their numbers: `10.mp3`.

    Sections are functions, by `maps/salami.csv`, or letters of similarity: of the large sections (upper case)
    or the small ones (lower case, here written in capitals). Of functions a stretch that has none is silence where
    its large section is Z, which is no music. Where the chosen annotator did not annotate a recording it has no
    sections.

    Artists are groups, split by a hash of their names: about 70 % train, 10 % val, 20 % test. A recording
    without an artist is a group by itself. A fold or a list takes the place of these shares.

    Args:
        root: The repository `salami-data-public`, which holds `annotations` and `metadata`.
        audio: The folder of audio files; `root/audio` if it is not given.
        level: functions, uppercase or lowercase.
        annotator: 1 or 2, of `textfile1` or `textfile2`.
        label_map: A table of one's own of functions, see `FunctionMap`.
        fold: From 0 to 7, to test, with the next for validation: our own eight, by a hash of the artist; in a list that
            has folds, the one of that number. None for shares.
        split_file: Lists of numbers of recordings with their splits or folds, see `group_splits.from_lists`; takes the
            place of ours. What it does not name is left out; artists stay groups.
    """

    name: str = "salami"
    licence: str = "CC0 (SALAMI annotations, McGill University); audio: the user's own"
    expected_tracks: int | None = 1359
    """As in mirdata's table of data sets: recordings, of which most have two annotations."""

    def __init__(
        self,
        root: Path,
        audio: Path | None = None,
        level: Level = "functions",
        annotator: int = 1,
        label_map: Path | None = None,
        fold: int | None = None,
        split_file: Path | None = None,
    ) -> None:
        if level not in get_args(Level):
            raise ValueError(f"level: {level!r} is unknown; choose one of {', '.join(get_args(Level))}")
        if annotator not in (1, 2):
            raise ValueError(f"annotator: there are 1 and 2, got {annotator}")
        self.root = Path(root)
        self.audio = Path(audio) if audio is not None else self.root / "audio"
        self.level = level
        self.annotator = annotator
        self.label_map = label_map
        self.note = joined(
            split_note(split_file, fold),
            "" if level == "functions" else f"level {level}",
            "" if annotator == 1 else f"annotator {annotator}",
            map_note(label_map),
        )
        self.fold = fold
        self.split_file = split_file
        if split_file is not None:
            self.expected_tracks = None
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: No annotations or no audio there, or no `metadata/metadata.csv`.
            ValueError: No such fold, or lists of splits that cannot be read.
        """
        _ = self._functions  # A table that cannot be read is told before the first track is.
        audio = self._audio.files
        artists, splits = self._artists, self._splits
        return [
            Item(name, artists[name], splits[name]) for name in self._identifiers if name in audio and name in splits
        ]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._identifiers if self.split_file is None else self._splits

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        name = f"textfile{self.annotator}_{self.level}.txt"
        path = self.root / "annotations" / item.track_id / "parsed" / name
        track, self._gaps[item.track_id] = load_labelled(
            item,
            self._audio.files[item.track_id],
            {"section": lambda duration_s: spans_of("section", self._rows(path, duration_s), duration_s)},
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

    def _rows(self, path: Path, duration_s: float) -> list[Label]:
        rows = read_boundaries(path, duration_s)
        if self.level == "functions":
            letters = _letters(path.with_name(f"textfile{self.annotator}_uppercase.txt"))
            return self._functions.applied(_as_annotated(rows, letters))
        return [replace(row, label="silence" if row.label.lower() == "silence" else row.label.upper()) for row in rows]

    @cached_property
    def _splits(self) -> dict[str, Split]:
        track_of = track_by_identifier(self._identifiers)
        return group_splits.splits(self._artists, self.fold, self.split_file, track_of)

    @cached_property
    def _artists(self) -> dict[str, str]:
        path = self.root / "metadata" / "metadata.csv"
        rows = read_records(path, ("SONG_ID", "ARTIST"), "the table of SALAMI that names the artists")
        named = {row["SONG_ID"]: row["ARTIST"] for row in rows}
        artists = {name: named.get(name, "") for name in self._identifiers}
        return {name: name if artist.lower() in _NO_ARTIST else artist for name, artist in artists.items()}

    @cached_property
    def _functions(self) -> FunctionMap:
        return FunctionMap("salami", table=self.label_map)

    @cached_property
    def _identifiers(self) -> list[str]:
        found = [folder.parent.name for folder in (self.root / "annotations").glob("*/parsed")]
        if not found:
            raise FileNotFoundError(
                f"salami: no annotations below {self.root}; expected annotations/10/parsed/textfile1_functions.txt, ..."
            )
        return sorted(found, key=lambda name: (len(name), name))

    @cached_property
    def _audio(self) -> MatchedAudio:
        return match_audio(self._identifiers, self.audio, by_identifier)


def _letters(path: Path) -> dict[float, str]:
    """The large section that begins at each time, of several the last; nothing where there is no such file."""
    try:
        return {row.start_s: row.label.strip("'`") for row in read_events(path)}
    except Absent:
        return {}


def _as_annotated(rows: Sequence[Label], letters: Mapping[float, str]) -> list[Label]:
    """Functions without what SALAMI's parser (`get_sections_sept_2012.rb` of its repository) makes of them.

    Where an annotation does not begin with silence, it puts a row `0.0 silence` before it and sorts the functions by
    time and name: `0.0 Intro` and `0.0 silence` are an Intro, and a silence alone may be a letter without a function.
    It also lets a `Z` without a function be `no_function`, which elsewhere is a piece of music.

    Args:
        rows: Of the file of functions.
        letters: As `_letters` has them.
    """
    first = [row for row in rows if row.start_s == rows[0].start_s]
    rest = rows[len(first) :]
    if first and first[-1].label == "silence":
        added = first.pop()
        if first:
            first[-1] = replace(first[-1], end_s=added.end_s, end_source=added.end_source)
        else:
            is_silent = letters.get(added.start_s, "silence").lower() == "silence"
            first = [added if is_silent else replace(added, label=_NO_FUNCTION)]
    return [
        replace(row, label="silence")
        if row.label.lower() == _NO_FUNCTION and letters.get(row.start_s) == _NO_MUSIC
        else row
        for row in (*first, *rest)
    ]
