"""`fma`: the Free Music Archive, up to 106 574 tracks, most of them without labels (Defferrard et al., ISMIR 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, final, get_args

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora import audio_files, tables
from data_modules.corpora.base import Corpus, Item, Kind, Split, Track
from data_modules.corpora.remarks import without_audio
from data_modules.labels import check
from data_modules.spans import Spans

Subset = Literal["small", "medium", "large", "full"]

_WITHIN: dict[Subset, frozenset[str]] = {
    "small": frozenset({"small"}),
    "medium": frozenset({"small", "medium"}),
    "large": frozenset({"small", "medium", "large"}),
    "full": frozenset({"small", "medium", "large"}),
}
"""What the column set.subset says of the tracks in each subset: the smallest one that a track is in."""
_TRACKS: dict[Subset, int] = {"small": 8_000, "medium": 25_000, "large": 106_574, "full": 106_574}
"""From the data set's README."""
_SPLITS: dict[str, Split] = {"training": "train", "validation": "val", "test": "test"}
_COLUMNS = (("set", "split"), ("set", "subset"), ("track", "genre_top"), ("artist", "id"))
"""The names in the two header rows."""


class _Row(NamedTuple):
    """A row of tracks.csv: its line, split, artist and top genre ("" if it has none)."""

    line: int
    split: Split
    artist: str
    genre: str


@final
class Fma(Corpus):
    """A subset of FMA: `fma_metadata/tracks.csv`, `fma_<subset>/000/000002.mp3`. For tagging and for pretraining.

    The tag is the top genre, such as `genre---Hip-Hop`; about half of large and full have none, which pretraining
    needs none of. The split is the data set's, and a group is an artist.

    Args:
        root: The folder that holds `fma_metadata` and `fma_<subset>`.
        subset: small, medium, large (clips of 30 s) or full (whole tracks).
    """

    name = "fma"
    family = "fma"
    licence = "metadata: CC BY 4.0 (Defferrard et al.); audio: the licence that each artist chose; for research"

    def __init__(self, root: Path, subset: Subset = "large") -> None:
        if subset not in get_args(Subset):
            raise ValueError(f"subset: {subset!r} is unknown; choose one of {', '.join(get_args(Subset))}")
        self.root = Path(root)
        self.subset: Subset = subset
        self.name = f"fma-{subset}"
        self.expected_tracks = _TRACKS[subset]

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a track's name is its number of six digits.

        Raises:
            FileNotFoundError: There is no tracks.csv.
            ValueError: It is damaged; the message names the line.
        """
        return [Item(track, row.artist, row.split) for track, row in self._rows().items()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        row = self._rows()[item.track_id]
        waveform_N = read_audio(audio_files.first_file(self._audio(item.track_id)))
        if not row.genre:
            return Track(item, waveform_N)
        duration_s = len(waveform_N) / SAMPLE_RATE
        labels: dict[Kind, Spans] = {"tag": Spans.of([(0.0, duration_s, f"genre---{row.genre}")])}
        check(labels, duration_s, f"{self._path()}:{row.line}")
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> dict[Kind, str]:
        """See `Corpus.gaps`."""
        row = self._rows()[item.track_id]
        return {} if row.genre else {"tag": f"{self._path()}:{row.line}: the track has no top genre"}

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return without_audio({track: self._audio(track) for track in self._rows()})

    def _path(self) -> Path:
        return self.root / "fma_metadata" / "tracks.csv"

    def _audio(self, track_id: str) -> list[Path]:
        return audio_files.candidates(self.root / f"fma_{self.subset}" / track_id[:3] / track_id)

    def _rows(self) -> dict[str, _Row]:
        return _read_tracks(self._path(), _WITHIN[self.subset], tables.version(self._path()))


@lru_cache(maxsize=4)
def _read_tracks(path: Path, subsets: frozenset[str], version: tuple[int, int]) -> dict[str, _Row]:
    """The rows of some subsets by track; `version` tells one state of the file from another."""
    found: dict[str, _Row] = {}
    rows = tables.read_rows(path, ",", "fma_metadata.zip, unpacked in the root")
    (_, upper), (_, lower) = next(rows, (0, [])), next(rows, (0, []))
    headers = {names: at for at, names in enumerate(zip(upper, lower, strict=False))}
    missing = [".".join(names) for names in _COLUMNS if names not in headers]
    if missing:
        raise ValueError(f"{path}:2: the two header rows name no column {', '.join(missing)}")
    at_split, at_subset, at_genre, at_artist = (headers[names] for names in _COLUMNS)
    for line, row in rows:
        source = f"{path}:{line}"
        if row[0].strip() == "track_id":
            continue
        if len(row) != len(upper):
            raise ValueError(f"{source}: {len(row)} columns, but the header has {len(upper)}")
        number, split, subset = row[0].strip(), row[at_split].strip(), row[at_subset].strip()
        if not (number.isascii() and number.isdigit() and len(number) <= 6):
            raise ValueError(f"{source}: {number!r} is no number of a track")
        if split not in _SPLITS:
            raise ValueError(f"{source}: {split!r} is no split; expected {', '.join(_SPLITS)}")
        if subset not in _WITHIN["full"]:
            raise ValueError(f"{source}: {subset!r} is no subset; expected {', '.join(sorted(_WITHIN['full']))}")
        track = number.zfill(6)
        if track in found:
            raise ValueError(f"{source}: track {number} is there already, on line {found[track].line}")
        if subset in subsets:
            artist = row[at_artist].strip()
            group = f"artist {artist}" if artist else f"track {track}"
            found[track] = _Row(line, _SPLITS[split], group, row[at_genre].strip())
    return found
