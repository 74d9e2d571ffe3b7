"""Where the audio of a folder lies: in shards on a local disk, or elsewhere (`remote.py`, `audio_folder.py`)."""

from __future__ import annotations

import abc
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, final

import numpy as np
from numpy.typing import NDArray

from data_modules.blocks import BLOCK_N, BadRecord, encoding_of
from data_modules.index import Entry

_READINGS = 3
"""Of what may have been damaged on its way, before it counts as damaged where it lies."""


class Storage(abc.ABC):
    """The files of a folder, and the samples of its tracks. Subclasses are final; they are pickled to workers."""

    name: str
    """As the user gave it, for messages."""
    has_shards: ClassVar[bool] = True
    """Whether the index names shards; else each track is a file of its own."""

    @abc.abstractmethod
    def local_file(self, name: str) -> Path:
        """A small file of the folder, on this disk.

        Raises:
            FileNotFoundError: The folder has none.
        """

    @abc.abstractmethod
    def own_file(self, name: str) -> Path:
        """Where a file that belongs to the folder can be written: in it, or in the cache."""

    @abc.abstractmethod
    def samples(self, entry: Entry, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """Fills an array with the samples of a track from one on, within its length; at least one is asked for.

        Raises:
            BadRecord: They are not what was written: a checksum or the decoder says so, or the file is cut short.
            FileNotFoundError: The file is gone.
        """

    def expect(self, crops: Sequence[tuple[Entry, int, int]]) -> None:  # noqa: B027 - a disk reads ahead by itself
        """Fetches ahead, all at once, what `samples` will be asked for, where that is worth it."""


class Range(NamedTuple):
    """Blocks of a shard that lie end to end: the first and the last byte (exclusive) of each."""

    shard: str
    blocks: tuple[tuple[int, int], ...]

    @property
    def first(self) -> int:
        """First byte."""
        return self.blocks[0][0]

    @property
    def last(self) -> int:
        """Last byte, exclusive."""
        return self.blocks[-1][1]


class ShardFolder(Storage):
    """A folder that `musicfm prepare` wrote, wherever its bytes come from."""

    @abc.abstractmethod
    def read(self, wanted: Range) -> memoryview:
        """Bytes of a shard.

        Raises:
            BadRecord: The shard is shorter.
            FileNotFoundError: There is no such shard.
        """

    @abc.abstractmethod
    def forget(self, wanted: Range) -> bool:
        """Drops what may have been damaged on its way; whether reading it again may help."""

    def samples(self, entry: Entry, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """See `Storage.samples`."""
        wanted = range_of(entry, first_sample, first_sample + len(samples_N))
        for left in reversed(range(_READINGS)):
            try:
                return self._decode(entry, wanted, first_sample, samples_N)
            except BadRecord:
                if not self.forget(wanted) or not left:
                    raise
        raise AssertionError("read once at least")

    def _decode(self, entry: Entry, wanted: Range, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        try:
            stored = self.read(wanted)
        except BadRecord as problem:
            raise BadRecord(f"track {entry.track_id}: {problem}") from problem
        blocks = [stored[first - wanted.first : last - wanted.first] for first, last in wanted.blocks]
        decode(self.name, entry, blocks, first_sample, samples_N)


def decode(
    name: str, entry: Entry, blocks: Sequence[memoryview], first_sample: int, samples_N: NDArray[np.int16]
) -> None:
    """Fills an array with the samples of a track out of the blocks that they lie in.

    Args:
        name: Of the folder, for messages.
        entry: The track.
        blocks: As they are stored, from the one on that has `first_sample`.
        first_sample: Within the track.
        samples_N: Is filled.

    Raises:
        BadRecord: A checksum or the decoder says that a block is not what was written.
    """
    encoding = encoding_of(entry.shard)
    last_sample = first_sample + len(samples_N)
    for number, block in enumerate(blocks, start=first_sample // BLOCK_N):
        where = f"{name}: shard {entry.shard}, track {entry.track_id}, {10 * number} s"
        if len(entry.block_crc32_K) and zlib.crc32(block) != entry.block_crc32_K[number]:
            raise BadRecord(f"{where}: the checksum does not fit; the shard was damaged since it was written")
        begin, end = max(first_sample, number * BLOCK_N), min(last_sample, (number + 1) * BLOCK_N)
        try:
            encoding.decode(block, begin - number * BLOCK_N, samples_N[begin - first_sample : end - first_sample])
        except BadRecord as problem:
            raise BadRecord(f"{where}: {problem}") from problem


def range_of(entry: Entry, first_sample: int, last_sample: int) -> Range:
    """The blocks that some samples of a track lie in.

    Raises:
        BadRecord: The index has fewer blocks than samples.
    """
    first_block, last_block = first_sample // BLOCK_N, -(-last_sample // BLOCK_N)
    blocks = entry.byte_ranges(first_block, last_block)
    if len(blocks) < last_block - first_block or 0 < len(entry.block_crc32_K) < last_block:
        raise BadRecord(f"index.parquet: track {entry.track_id} has fewer blocks than samples")
    return Range(entry.shard, tuple(blocks))


@final
class LocalFolder(ShardFolder):
    """A folder on a local disk.

    Its shards are read, not memory-mapped: one that is cut short while it is mapped would end the process by SIGBUS.
    None stays open: they may be more than the files that a process may have open.

    Args:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = str(root)

    def local_file(self, name: str) -> Path:
        """See `Storage.local_file`."""
        path = self.root / name
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        return path

    def own_file(self, name: str) -> Path:
        """See `Storage.own_file`."""
        return self.root / name

    def read(self, wanted: Range) -> memoryview:
        """See `ShardFolder.read`."""
        path = self.root / "shards" / wanted.shard
        try:
            with path.open("rb") as file:
                file.seek(wanted.first)
                stored = file.read(wanted.last - wanted.first)
        except FileNotFoundError as error:
            raise FileNotFoundError(f"{path} is missing; run `musicfm prepare` again, or copy the file anew") from error
        if len(stored) < wanted.last - wanted.first:
            raise BadRecord(
                f"{path} is cut short: there should be something up to byte {wanted.last}, the file has "
                f"{path.stat().st_size}; run `musicfm prepare` again, or copy the file anew"
            )
        return memoryview(stored)

    def forget(self, wanted: Range) -> bool:
        """See `ShardFolder.forget`: a disk says the same again."""
        return False
