"""`mtg_jamendo`: 55 000 full tracks with tags of genre, instrument, mood and theme (Bogdanov et al., 2019).

mirdata 1.0 has the subset of mood and theme alone, drops the category of each tag, and needs an index from the network;
so it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, final, get_args

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora import audio_files, tables
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.remarks import without_audio
from data_modules.labels import check
from data_modules.spans import Spans

Subset = Literal["top50tags", "genre", "instrument", "moodtheme"]

_ALL = frozenset({"genre", "instrument", "mood/theme"})
_CATEGORIES: dict[Subset, frozenset[str]] = {
    "top50tags": _ALL,
    "genre": frozenset({"genre"}),
    "instrument": frozenset({"instrument"}),
    "moodtheme": frozenset({"mood/theme"}),
}
_TRACKS: dict[Subset, int] = {"top50tags": 54_380, "genre": 55_094, "instrument": 24_976, "moodtheme": 17_982}
"""Of split-0, as the Music Semantic Understanding Benchmark counts (README of Doh et al., arXiv 2211.14558). The data
set's own README counts the subsets before some rare tags are taken out of the splits."""
_SPLITS: dict[str, Split] = {"train": "train", "validation": "val", "test": "test"}
_FIXED = 5
"""Columns before the tags: TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION."""


class _Row(NamedTuple):
    """A row of a split: its file and line, the artist, the path of the audio, the split, and the tags."""

    source: str
    artist: str
    audio: str
    split: Split
    tags: tuple[str, ...]


@final
class MtgJamendo(Corpus):
    """One subset of MTG-Jamendo with its split-0: `data/splits/split-0/autotagging_<subset>-train.tsv` and so on.

    Tags are written as the data set has them, such as `genre---rock`. A group is an artist, whom the splits
    leave whole. The subsets are different test sets, and so are different corpora by name.

    Args:
        root: A clone of the repository mtg-jamendo-dataset, the folder that holds `data`.
        subset: top50tags, genre, instrument or moodtheme.
        audio: The folder that holds 00, 01, ..., 99 with `<id>.mp3` or `<id>.low.mp3`; `root`/audio if not given.
    """

    name = "mtg-jamendo"
    family = "mtg-jamendo"
    licence = "tags: CC BY-NC-SA 4.0 (MTG, Universitat Pompeu Fabra); audio: a Creative Commons licence for each track"

    def __init__(self, root: Path, subset: Subset = "top50tags", audio: Path | None = None) -> None:
        if subset not in get_args(Subset):
            raise ValueError(f"subset: {subset!r} is unknown; choose one of {', '.join(get_args(Subset))}")
        self.root = Path(root)
        self.subset: Subset = subset
        self.audio = Path(audio) if audio is not None else self.root / "audio"
        self.name = f"mtg-jamendo-{subset}"
        self.expected_tracks = _TRACKS[subset]

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A table is missing.
            ValueError: A table is damaged, or a track is in two; the message names file and line.
        """
        return [Item(track, row.artist, row.split) for track, row in self._rows().items()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        row = self._rows()[item.track_id]
        waveform_N = read_audio(audio_files.first_file(self._audio(row)))
        if not row.tags:
            return Track(item, waveform_N)
        for tag in row.tags:
            category, dashes, name = tag.partition("---")
            if not (dashes and name.strip() and category in _CATEGORIES[self.subset]):
                expected = " or ".join(f"{one}---..." for one in sorted(_CATEGORIES[self.subset]))
                raise BadTrack(f"{row.source}: {tag!r} is no tag of this subset; expected {expected}")
        duration_s = len(waveform_N) / SAMPLE_RATE
        labels: dict[Kind, Spans] = {"tag": Spans.of((0.0, duration_s, tag) for tag in row.tags)}
        check(labels, duration_s, row.source)
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> dict[Kind, str]:
        """See `Corpus.gaps`."""
        row = self._rows()[item.track_id]
        return {} if row.tags else {"tag": f"{row.source}: the row has no tags"}

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return without_audio({track: self._audio(row) for track, row in self._rows().items()})

    def _audio(self, row: _Row) -> list[Path]:
        stem = self.audio / row.audio.removesuffix(".mp3")
        return [stem.with_name(f"{stem.name}{suffix}") for suffix in (".mp3", ".low.mp3")]

    def _rows(self) -> dict[str, _Row]:
        folder = self.root / "data" / "splits" / "split-0"
        paths = tuple(folder / f"autotagging_{self.subset}-{split}.tsv" for split in _SPLITS)
        return _read_splits(paths, tuple(tables.version(path) for path in paths))


@lru_cache(maxsize=4)
def _read_splits(paths: tuple[Path, ...], versions: tuple[tuple[int, int], ...]) -> dict[str, _Row]:
    """The rows of the tables by track; `versions` tell one state of the files from another."""
    expected = "the repository mtg-jamendo-dataset in the root, with data/splits/split-0"
    found: dict[str, _Row] = {}
    for path, split in zip(paths, _SPLITS.values(), strict=True):
        for line, row in tables.read_rows(path, "\t", expected, quoted=False):
            source = f"{path}:{line}"
            if row[0] == "TRACK_ID":
                continue
            if len(row) < _FIXED or not all(cell.strip() for cell in row[:_FIXED]):
                raise ValueError(f"{source}: expected track, artist, album, path, duration and tags, got {row!r}")
            track, artist, _, audio, _ = (cell.strip() for cell in row[:_FIXED])
            if PurePosixPath(audio).is_absolute() or ".." in PurePosixPath(audio).parts or "\0" in audio:
                raise ValueError(f"{source}: {audio!r} is no path within the folder of audio")
            if track in found:
                raise ValueError(f"{source}: {track} is there already, in {found[track].source}")
            tags = dict.fromkeys(cell.strip() for cell in row[_FIXED:] if cell.strip())
            found[track] = _Row(source, artist, audio, split, tuple(tags))
    return found
