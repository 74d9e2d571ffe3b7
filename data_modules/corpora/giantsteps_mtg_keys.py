"""`giantsteps_mtg_keys`: 1486 previews of electronic dance music with keys, on which the field trains.

mirdata 1.0 has them in another edition, `beatport_key`, a file for each and no table: without the confidences, by
which the field chooses its tracks; so it is not used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple, final, get_args

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora import audio_files, key_labels, tables
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.giantsteps_key import lofi_audio
from data_modules.corpora.giantsteps_mtg_split import split_by_artist
from data_modules.corpora.remarks import remark, without_audio
from data_modules.labels import check
from data_modules.spans import Spans

Several = Literal["leave_out", "first"]

_EXPECTED = (
    "annotations/annotations.txt with the columns id, key, confidence (and comment), as in the repository "
    "giantsteps-mtg-key-dataset"
)
_REPLACED = "\ufffd"
"""What stands for bytes that are not UTF-8."""
_SURE = 2
"""The highest of the confidences 0, 1 and 2."""
_BY_DEFAULT = 1159
"""Of 1486 rows (mirdata's table of data sets), those with one key and confidence 2: 923 for training and 236 for
validation in JukeMIR's tests (github.com/p-lambda/jukemir, `jukemir/datasets/test.py`)."""


class _Row(NamedTuple):
    """A row of the annotations: the number of its line, the key as it is written, and the confidence in it."""

    line: int
    key: str
    confidence: int


@final
class GiantStepsMtgKeys(Corpus):
    """GiantSteps MTG Keys: `audio/<id>.LOFI.mp3` and `annotations/annotations.txt`; for training and validation.

    By default the tracks whose one key is sure (confidence 2), as JukeMIR and MARBLE use them; the others are
    passed over and counted in the remarks, and `GiantStepsMtgKeys.left_out` names them.

    The split and the groups are by artist, by the rule in `giantsteps_mtg_split`, where
    `annotations/beatport_metadata.txt` names the artists. Without that file each id stands for an artist: then
    the split is not the published one, and artists may be in both halves.

    Args:
        root: The folder that holds `audio` and `annotations`.
        min_confidence: 0, 1 or 2: what the annotator's confidence in the key must be at least.
        several: What becomes of a track with more than one key, which have no times: `leave_out`, or take the
            `first`.
    """

    name = "giantsteps-mtg-keys"
    licence = "annotations: no licence stated (MTG, Universitat Pompeu Fabra); audio: previews of Beatport, not free"
    expected_tracks: int | None = _BY_DEFAULT

    def __init__(self, root: Path, min_confidence: int = _SURE, several: Several = "leave_out") -> None:
        if min_confidence not in range(_SURE + 1):
            raise ValueError(f"min_confidence: {min_confidence} given; choose 0, 1 or 2")
        if several not in get_args(Several):
            raise ValueError(f"several: {several!r} is unknown; choose one of {', '.join(get_args(Several))}")
        self.root = Path(root)
        self.min_confidence = min_confidence
        self.several = several
        if (min_confidence, several) != (_SURE, "leave_out"):
            self.note = f"keys of confidence {min_confidence} or more; of several keys: {several.replace('_', ' ')}"
            self.expected_tracks = None

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: There are no annotations.
            ValueError: They are no such table; the message names the line.
        """
        left_out, places = self.left_out(), self._places()
        return [Item(track, *places[track]) for track in self._rows() if track not in left_out]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        waveform_N = read_audio(audio_files.first_file(self._audio(item.track_id)))
        row = self._rows()[item.track_id]
        source = f"{self._path()}:{row.line}"
        found = _keys(row, source)
        if not found:
            return Track(item, waveform_N)
        duration_s = len(waveform_N) / SAMPLE_RATE
        labels: dict[Kind, Spans] = {"key": Spans.of([(0.0, duration_s, found[0])])}
        check(labels, duration_s, source)
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> dict[Kind, str]:
        """See `Corpus.gaps`."""
        row = self._rows()[item.track_id]
        source = f"{self._path()}:{row.line}"
        return {} if _keys(row, source) else {"key": f"{source}: {row.key!r} says that there is no key"}

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        by_reason: dict[str, list[str]] = {}
        for track, reason in self.left_out().items():
            by_reason.setdefault(reason.partition(": ")[0], []).append(track)
        lines = [line for reason, found in by_reason.items() for line in remark(found, f"left out, {reason}")]
        artists = self._artists()
        anonymous = [item.track_id for item in self.items() if item.track_id not in artists]
        if anonymous:
            lines.append(
                f"{len(anonymous)} tracks are split by their ids, not by artist as published, since "
                f"{self._metadata()} does not name their artists"
            )
        return [*lines, *without_audio({item.track_id: self._audio(item.track_id) for item in self.items()})]

    def left_out(self) -> Mapping[str, str]:
        """The tracks that the settings pass over, each with the reason, a colon, and what its row says.

        Raises:
            FileNotFoundError, ValueError: As `items`.
        """
        reasons = {}
        for track, row in self._rows().items():
            if row.confidence < self.min_confidence:
                reasons[track] = f"confidence below {self.min_confidence}: {row.confidence}"
            elif self.several == "leave_out" and "/" in row.key:
                reasons[track] = f"more than one key: {row.key}"
        return reasons

    def _path(self) -> Path:
        return self.root / "annotations" / "annotations.txt"

    def _metadata(self) -> Path:
        return self.root / "annotations" / "beatport_metadata.txt"

    def _audio(self, track_id: str) -> list[Path]:
        return lofi_audio(self.root, track_id)

    def _rows(self) -> dict[str, _Row]:
        return _read_rows(self._path(), tables.version(self._path()))

    def _artists(self) -> dict[str, tuple[str, ...]]:
        path = self._metadata()
        return _read_artists(path, tables.version(path)) if path.is_file() else {}

    def _places(self) -> dict[str, tuple[str, Split]]:
        """Group and split of each track, annotated or not: any of them may link artists."""
        artists = self._artists()
        return split_by_artist(artists | {track: (track,) for track in self._rows() if track not in artists})


@lru_cache(maxsize=4)
def _read_rows(path: Path, version: tuple[int, int]) -> dict[str, _Row]:
    """The annotations by id; `version` tells one state of the file from another."""
    found: dict[str, _Row] = {}
    # A comment may be in any encoding; all that counts is in ASCII.
    for line, row in tables.read_rows(path, "\t", _EXPECTED, quoted=False, errors="replace"):
        if row[0].strip().upper() == "ID":
            continue
        if len(row) < 3:
            raise ValueError(f"{path}:{line}: expected id, key and confidence between tabs, got {row!r}")
        track, confidence = row[0].strip(), row[2].strip()
        if not (track.isascii() and track.isdigit()):
            raise ValueError(f"{path}:{line}: {track!r} is no id; expected a number")
        if confidence not in ("0", "1", "2"):
            raise ValueError(f"{path}:{line}: {confidence!r} is no confidence; expected 0, 1 or 2")
        if track in found:
            raise ValueError(f"{path}:{line}: {track} is there already, on line {found[track].line}")
        found[track] = _Row(line, row[1].strip(), int(confidence))
    return found


@lru_cache(maxsize=4)
def _read_artists(path: Path, version: tuple[int, int]) -> dict[str, tuple[str, ...]]:
    """The artists of each track, in the order of the file; a track without any is absent."""
    found: dict[str, tuple[str, ...]] = {}
    columns: dict[str, int] | None = None
    for line, row in tables.read_rows(path, "\t", "the columns ID and ARTIST", errors="replace"):
        if columns is None:
            columns = {name.strip(): at for at, name in enumerate(row)}
            if not {"ID", "ARTIST"} <= columns.keys():
                raise ValueError(f"{path}:{line}: expected the columns ID and ARTIST, got {row!r}")
            continue
        if len(row) <= max(columns["ID"], columns["ARTIST"]):
            raise ValueError(f"{path}:{line}: ends before the columns ID and ARTIST")
        names = tuple(name.strip() for name in row[columns["ARTIST"]].split(",") if name.strip())
        # Titles may be in any encoding, but the split counts on the bytes of an artist's name.
        if any(_REPLACED in name for name in names):
            raise ValueError(f"{path}:{line}: the artist {', '.join(names)!r} is not UTF-8; save the file as UTF-8")
        if names:
            found[row[columns["ID"]].strip()] = names
    return found


def _keys(row: _Row, source: str) -> tuple[str, ...]:
    try:
        return key_labels.keys(row.key)
    except ValueError as error:
        raise BadTrack(f"{source}: {error}") from error
