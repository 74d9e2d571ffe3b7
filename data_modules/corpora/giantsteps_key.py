"""`giantsteps_key`: 604 previews of electronic dance music with a key each (Knees et al., ISMIR 2015): a test set.

mirdata 1.0 has the 500 of another edition, GiantSteps+; of a file it gives the first line as it stands, which in the
older format is the header, and checks no key; so it is not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import final

from data_modules import SAMPLE_RATE
from data_modules.audio import SUFFIXES, read_audio
from data_modules.corpora import audio_files, key_labels
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Track
from data_modules.corpora.label_rows import Label, number, spans, text_of
from data_modules.corpora.remarks import without_audio
from data_modules.spans import Spans

_FOLDERS = ("key", "giantsteps")
"""Below `annotations`, the one to prefer first; both hold files of the same names in different formats."""
_LOFI = ".LOFI"
"""Part of the names of Beatport's previews."""


@final
class GiantStepsKey(Corpus):
    """GiantSteps Key as its repository lays it out: `audio/<id>.LOFI.mp3`, `annotations/key/<id>.LOFI.key`.

    Every track is in the test split: the field trains on giantsteps-mtg-keys. Where `annotations/key` lacks a
    file, the one in `annotations/giantsteps` is read. The data set names no artists: a track is its own group.

    Args:
        root: The folder that holds `audio` and `annotations`.
    """

    name = "giantsteps-key"
    licence = "annotations: no licence stated (Knees et al., ISMIR 2015); audio: previews of Beatport, not free"
    expected_tracks = 604
    """As JukeMIR's tests count (github.com/p-lambda/jukemir, `jukemir/datasets/test.py`). The 500 of mirdata are
    GiantSteps+, another edition."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`: whatever has audio or an annotation.

        Raises:
            FileNotFoundError: There is neither.
        """
        found = {path.name.removesuffix(".key") for folder in _FOLDERS for path in self._annotations(folder)}
        audio = audio_files.matching(self.root / "audio", "*")
        found |= {path.stem for path in audio if path.suffix.lower() in SUFFIXES}
        if not found:
            raise FileNotFoundError(
                f"giantsteps-key: nothing in {self.root}; expected audio/<id>.LOFI.mp3 and "
                f"annotations/key/<id>.LOFI.key, as in the repository giantsteps-key-dataset"
            )
        tracks = sorted(name.removesuffix(_LOFI) for name in found)
        return [Item(track, track, "test") for track in tracks]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        waveform_N = read_audio(audio_files.first_file(self._audio(item)))
        path = self._key_file(item)
        if path is None:
            return Track(item, waveform_N)
        labels: dict[Kind, Spans] = {"key": read_key(path, len(waveform_N) / SAMPLE_RATE)}
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> dict[Kind, str]:
        """See `Corpus.gaps`."""
        if self._key_file(item) is not None:
            return {}
        paths = [self.root / "annotations" / folder / f"{item.track_id}{_LOFI}.key" for folder in _FOLDERS]
        return {"key": f"{paths[0]}: no such file, nor {paths[1]}"}

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return without_audio({item.track_id: self._audio(item) for item in self.items()})

    def _annotations(self, folder: str) -> list[Path]:
        return audio_files.matching(self.root / "annotations" / folder, "*.key")

    def _audio(self, item: Item) -> list[Path]:
        return lofi_audio(self.root, item.track_id)

    def _key_file(self, item: Item) -> Path | None:
        names = (f"{item.track_id}{_LOFI}.key", f"{item.track_id}.key")
        paths = (self.root / "annotations" / folder / name for folder in _FOLDERS for name in names)
        return next((path for path in paths if path.is_file()), None)


def lofi_audio(root: Path, track_id: str) -> list[Path]:
    """Where the audio of one of Beatport's previews may lie."""
    folder = root / "audio"
    return audio_files.candidates(folder / f"{track_id}{_LOFI}") + audio_files.candidates(folder / track_id)


def read_key(path: Path, duration_s: float) -> Spans:
    """The keys in an annotation of either format, from their times to the next or to the end.

    Args:
        path: Holds one key, such as `E minor`; or the GiantSteps project's format: rows of `key`, a time in s,
            the key, and after tabs perhaps a confidence and a comment, under a line that starts with `#`.
        duration_s: Length of the track in seconds.

    Raises:
        BadTrack: The file is missing or no text; what it holds is no key, or lies outside the track.
    """
    rows = _rows(text_of(path), path)
    closed = [replace(row, end_s=following.start_s, end_source=following.source) for row, following in pairwise(rows)]
    return spans("key", [*closed, replace(rows[-1], end_s=duration_s)], duration_s)


def _rows(text: str, path: Path) -> list[Label]:
    """The key of each row, which as yet ends where it starts."""
    rows: list[Label] = []
    for at, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        source = f"{path}:{at}"
        cells = line.split("\t") if "\t" in line.strip() else line.split(maxsplit=2)
        is_row = cells[0].strip() == "key" and len(cells) >= 3
        if rows and not is_row:
            raise BadTrack(f"{source}: {line.strip()!r} after the key; expected one key in the file")
        start_s = number(cells[1].strip(), source, is_time=True) if is_row else 0.0
        if rows and start_s <= rows[-1].start_s:
            raise BadTrack(f"{source}: times must rise, but {start_s:g} s follows {rows[-1].start_s:g} s")
        try:
            rows.append(Label(source, start_s, start_s, key_labels.key(cells[2] if is_row else line)))
        except ValueError as error:
            raise BadTrack(f"{source}: {error}") from error
    if not rows:
        raise BadTrack(f"{path}: holds no key")
    return rows
