"""Prepared audio on disk: flat files of 24 kHz mono audio in blocks of ten seconds, and one index with the labels.

A prepared folder holds

    corpus.json             what it was made from: name, licence, settings, counts
    card.md                 the same for people: hours, formats, licences, mel statistics, what was set aside
    index.parquet           one row a track: where its samples lie, its split, group and labels, and checksums
    shards/00000.pcm        blocks of some tracks, end to end (or 00000.flacs); 00000-1.pcm if one would be too large
    shards/00000.parquet    the index of that shard; written last, so that it marks the shard as done
    SHA256SUMS              of the shard files, for `sha256sum -c`
    set_aside.tsv           tracks that could not be used, each with its reason
    gaps.tsv                tracks that lack a kind of label: the kind, the reason, and whether it is absent or faulty
    mel/*.json              mel statistics, by mel settings
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import uuid
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data_modules.audio import SUFFIXES
from data_modules.corpora.audio_files import walk
from data_modules.corpora.base import Kind, Split, Tested
from data_modules.index import Entry, Index, Tracks, read_labels
from data_modules.storage import LocalFolder, Storage

if TYPE_CHECKING:
    from data_modules.remote import Remote


@contextlib.contextmanager
def written_aside(path: Path, mode: str = "wb", durable: bool = True) -> Iterator[IO[Any]]:
    """Opens `path` for writing under another name, and renames it when all went well; else leaves no trace.

    Args:
        path: Of the file; folders above it are made.
        mode: Of opening.
        durable: Whether to wait until the disk has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by the process alone: on another machine that shares the folder there may be one of the same number.
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        with aside.open(mode) as file:
            yield file
            file.flush()
            if durable:
                os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


class Prepared:
    """A prepared folder, open for reading.

    Args:
        root: A folder that `musicfm prepare` or `to_litdata` wrote, or the address of a copy of it (`s3://`,
            `https://`), or any folder of audio files, which are then decoded as they are read.
        remote: How an address is read.

    Raises:
        FileNotFoundError: There is no such folder, or it was not prepared to the end.
        OSError: The address does not answer.
        ValueError: Its index is damaged, or was made to lead out of the folder.
    """

    def __init__(self, root: str | Path, remote: Remote | None = None) -> None:
        self.root = Path(root)
        self.storage: Storage
        if is_address(root):
            self.storage = _remote_folder(str(root), remote)
        elif self._is_audio():
            from data_modules.audio_folder import AudioFolder

            self.storage = AudioFolder(self.root, None if remote is None else remote.cache_dir)
        else:
            self.storage = LocalFolder(self.root)
            self._check()
        self.card: dict[str, Any] = json.loads(self.storage.local_file("corpus.json").read_text())
        if self.card.get("container") == "litdata":
            from data_modules.litdata_folder import LitDataFolder

            self.storage = LitDataFolder(self.storage, str(root))

    def _is_audio(self) -> bool:
        """Whether there is nothing of a prepared folder, but something to hear."""
        names = ("index.parquet", "corpus.json", "shards")
        if not self.root.is_dir() or any((self.root / name).exists() for name in names):
            return False
        return any(path.name.lower().endswith(SUFFIXES) for path in walk(self.root))

    def _check(self) -> None:
        if not (self.root / "index.parquet").exists():
            state = "was not prepared to the end" if (self.root / "shards").exists() else "is no prepared folder"
            raise FileNotFoundError(
                f"data.root: {self.root} {state} (no index.parquet); "
                f"run `musicfm prepare --corpus NAME --out {self.root}`"
            )

    @cached_property
    def index(self) -> Index:
        """All tracks, without labels, at the cost of some columns of numbers."""
        return Index(self.storage.local_file("index.parquet"), self.storage.has_shards)

    @cached_property
    def entries(self) -> list[Entry]:
        """All tracks with their labels, in the order of the corpus: a list, for corpora of the size of tasks."""
        labels = read_labels(self.storage.local_file("index.parquet"))
        return [self.index.entry(row, of_track) for row, of_track in enumerate(labels)]

    def tracks(self, split: Split) -> Tracks:
        """The tracks of one split, without labels, in the memory that their index takes.

        Raises:
            ValueError: The split is empty.
        """
        tracks = self.index.tracks(split)
        if not tracks:
            raise ValueError(f"data.root: {self.storage.name} has no track in the split {split!r}")
        return tracks

    def split(self, split: Tested) -> list[Entry]:
        """The tracks of one split, or of all, with their labels and in the order of the corpus.

        Raises:
            ValueError: The split is empty.
        """
        entries = [entry for entry in self.entries if split in (entry.split, "all")]
        if not entries:
            raise ValueError(f"data.root: {self.storage.name} has no track in the split {split!r}")
        return entries

    def labelled(self, split: Tested, kind: Kind) -> list[Entry]:
        """The tracks of one split, or of all, that carry a kind of label.

        Raises:
            ValueError: The split is empty, or none does.
        """
        entries = [entry for entry in self.split(split) if kind in entry.labels]
        if not entries:
            raise ValueError(
                f"data.root: no track of {self.storage.name}, split {split!r}, has labels of kind {kind!r}"
            )
        return entries

    @property
    def digest(self) -> str:
        """Changes when any sample or label does."""
        return f"{zlib.crc32(self.storage.local_file('index.parquet').read_bytes()):08x}"

    def read(
        self,
        entry: Entry,
        first_sample: int = 0,
        num_samples: int | None = None,
        samples_N: NDArray[np.int16] | None = None,
    ) -> NDArray[np.int16]:
        """Samples of a track, int16, copied; short where the track ends.

        Args:
            entry: The track.
            first_sample: Within the track.
            num_samples: How many; all that follow by default.
            samples_N: An array with room for them, which is filled from its start; a new one by default.

        Raises:
            BadRecord: They are not what was written: a checksum or the decoder says so, or the shard is cut short.
        """
        last = entry.num_samples if num_samples is None else min(entry.num_samples, first_sample + num_samples)
        length = max(0, last - first_sample)
        found = np.empty(length, dtype=np.int16) if samples_N is None else samples_N[:length]
        if length:
            self.storage.samples(entry, first_sample, found)
        return found

    def expect(self, crops: Sequence[tuple[Entry, int, int]]) -> None:
        """Fetches ahead, all at once, what will be read next: track, first sample and number of samples of each."""
        self.storage.expect(
            [
                (entry, first, min(entry.num_samples, first + num_samples))
                for entry, first, num_samples in crops
                if first < entry.num_samples and num_samples > 0
            ]
        )


def corpus_in(root: str | Path, remote: Remote | None = None) -> str:
    """The name of the corpus in a prepared folder; that of the folder, with a warning, if it cannot be read."""
    try:
        return str(Prepared(root, remote).card["corpus"])
    except (OSError, ValueError) as error:
        name = Path(root).name
        logging.getLogger(__name__).warning("%s cannot be read (%s): its corpus is taken for %s", root, error, name)
        return name


def is_address(root: str | Path) -> bool:
    """Whether it names something that is not on a local disk."""
    return "://" in str(root)


def _remote_folder(address: str, remote: Remote | None) -> Storage:
    # What reads addresses is not needed for anything else, and takes its time to import.
    from data_modules.remote import Remote, RemoteFolder

    try:
        return RemoteFolder(address, remote or Remote())
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"data.root: {address} is no prepared folder (no index.parquet); "
            f"copy one there that `musicfm prepare` wrote"
        ) from error
