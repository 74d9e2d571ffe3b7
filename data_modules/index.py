"""`index.parquet` of a prepared folder, by columns: about 100 bytes a track and 8 a block, however many labels."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.blocks import BLOCK_N, SUFFIXES
from data_modules.corpora.base import Kind, Split
from data_modules.spans import Spans

ROWS = pa.schema(
    [
        ("track_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("first_byte", pa.int64()),
        ("num_samples", pa.int64()),
        ("crc32", pa.int64()),  # of the samples as little-endian int16, whatever they are stored as
        ("block_bytes", pa.list_(pa.uint32())),  # of each block of ten seconds, as it is stored
        ("block_crc32", pa.list_(pa.uint32())),
        ("origin", pa.string()),  # format, rate and channels that it was made from, as far as known
        ("licence", pa.string()),  # what the file says of itself
        ("problem", pa.string()),  # why the track was set aside; null if it is usable
        ("gaps", pa.list_(pa.struct([("kind", pa.string()), ("reason", pa.string()), ("faulty", pa.bool_())]))),
        ("kinds", pa.list_(pa.string())),  # kinds that are annotated, even if with nothing
        (
            "labels",
            pa.list_(
                pa.struct(
                    [("kind", pa.string()), ("start_s", pa.float64()), ("end_s", pa.float64()), ("label", pa.string())]
                )
            ),
        ),
    ]
)
"""Columns of the index of a shard; that of the folder has neither `problem` nor `gaps`."""

_SHARD = re.compile(rf"[0-9A-Za-z_-][0-9A-Za-z._-]*({'|'.join(map(re.escape, SUFFIXES))})")

_NO_BLOCKS: NDArray[np.uint32] = np.zeros(0, dtype=np.uint32)


@dataclass(frozen=True)
class Entry:
    """One prepared track: where its samples lie, and what is known of it.

    Attributes:
        first_byte: In the shard.
        block_bytes_K: Length of each of its blocks; none in PCM, where it follows.
        block_crc32_K: Checksum of each of its blocks; none in folders of earlier versions.
    """

    track_id: str
    group: str
    split: Split
    shard: str
    first_byte: int
    num_samples: int
    labels: Mapping[Kind, Spans] = field(default_factory=dict)
    block_bytes_K: NDArray[np.uint32] = field(default_factory=lambda: _NO_BLOCKS, compare=False, repr=False)
    block_crc32_K: NDArray[np.uint32] = field(default_factory=lambda: _NO_BLOCKS, compare=False, repr=False)

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / SAMPLE_RATE

    def byte_ranges(self, first_block: int, last_block: int) -> list[tuple[int, int]]:
        """First and last byte (exclusive) of some blocks; they lie end to end."""
        if len(self.block_bytes_K):
            ends = self.first_byte + np.cumsum(self.block_bytes_K[:last_block], dtype=np.int64)
            edges = [self.first_byte, *ends.tolist()][first_block:]
        else:
            edges = [
                self.first_byte + 2 * min(self.num_samples, number * BLOCK_N)
                for number in range(first_block, last_block + 1)
            ]
        return list(itertools.pairwise(edges))


class Index:
    """The tracks of a prepared folder, without their labels.

    Args:
        file: `index.parquet`. It may come from anyone: names that are no plain file names are refused.
        has_shards: Whether there are shards; else each track is a file of its own.

    Raises:
        ValueError: The file is not such an index, or names what lies outside its folder.
    """

    def __init__(self, file: Path, has_shards: bool = True) -> None:
        try:
            has = set(pq.read_schema(file).names)
            # Earlier versions counted samples, and had PCM without checksums of blocks.
            first = "first_byte" if "first_byte" in has else "first_sample"
            table = _read(file, ["track_id", "group", "split", "shard", "num_samples", first])
            # The longest by far, one after the other: what reading takes for a moment would double.
            self.block_bytes, self.block_crc32 = (
                _Lists(_read(file, [name])[name]) if name in has else None for name in ("block_bytes", "block_crc32")
            )
        except (pa.ArrowException, KeyError) as error:
            raise ValueError(
                f"{file} is not the index of a prepared folder, or is damaged ({error}); "
                f"prepare it again, or copy it anew"
            ) from error
        self.track_ids = _whole(table["track_id"])
        self.groups = _whole(table["group"])
        self.splits = _whole(table["split"])
        self.shards = _whole(table["shard"])
        for shard in self.shards.dictionary.to_pylist() if has_shards else ():
            if not _SHARD.fullmatch(shard or ""):
                raise ValueError(
                    f"{file} names a shard {shard!r}, which is not the name of a file in shards/: "
                    f"the index was not written by `musicfm prepare`; do not use it"
                )
        self.num_samples_E = _integers(table["num_samples"])
        self.first_byte_E = _integers(table[first]) * (1 if first == "first_byte" else 2)
        if len(self) and min(self.num_samples_E.min(), self.first_byte_E.min()) < 0:
            raise ValueError(f"{file}: a track with a negative place or length; prepare the folder again")

    def __len__(self) -> int:
        return len(self.num_samples_E)

    def entry(self, row: int, labels: Mapping[Kind, Spans] | None = None) -> Entry:
        """A track by its number."""
        return Entry(
            self.track_ids[row].as_py(),
            self.groups[row].as_py(),
            self.splits[row].as_py(),
            self.shards[row].as_py(),
            int(self.first_byte_E[row]),
            int(self.num_samples_E[row]),
            labels or {},
            _NO_BLOCKS if self.block_bytes is None else self.block_bytes[row],
            _NO_BLOCKS if self.block_crc32 is None else self.block_crc32[row],
        )

    def tracks(self, split: Split) -> Tracks:
        """Those of a split."""
        return Tracks(self, np.flatnonzero(pc.equal(self.splits, split).to_numpy(zero_copy_only=False)))


class Tracks(Sequence[Entry]):
    """Tracks of an index, made when they are asked for: a list of a million would fill every worker."""

    def __init__(self, index: Index, rows_E: NDArray[np.int64]) -> None:
        self._of = index
        self.rows_E = rows_E

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Samples of each track, (E,)."""
        return self._of.num_samples_E[self.rows_E]

    def share(self, share: float, seed: int) -> Tracks:
        """Some of the tracks, drawn by a seed: at least one, and each share within every larger one of that seed.

        Raises:
            ValueError: The share is not above 0 and at most 1.
        """
        if not 0 < share <= 1:
            raise ValueError(f"a share of the tracks is above 0 and at most 1, got {share}")
        order = np.random.default_rng([seed, len(self)]).permutation(len(self))
        return Tracks(self._of, self.rows_E[np.sort(order[: math.ceil(share * len(self))])])

    def __len__(self) -> int:
        return len(self.rows_E)

    @overload
    def __getitem__(self, number: int) -> Entry: ...
    @overload
    def __getitem__(self, number: slice) -> Tracks: ...
    def __getitem__(self, number: int | slice) -> Entry | Tracks:
        if isinstance(number, slice):
            return Tracks(self._of, self.rows_E[number])
        return self._of.entry(int(self.rows_E[number]))

    def __iter__(self) -> Iterator[Entry]:
        return (self._of.entry(int(row)) for row in self.rows_E)


def read_labels(file: Path) -> list[dict[Kind, Spans]]:
    """The labels of all tracks, in the order of the index."""
    return [_labels(row) for row in pq.read_table(file, columns=["kinds", "labels"]).to_pylist()]


def _labels(row: Mapping[str, Any]) -> dict[Kind, Spans]:
    rows: dict[Kind, list[tuple[float, float, str]]] = {kind: [] for kind in row["kinds"]}
    for label in row["labels"]:
        rows[label["kind"]].append((label["start_s"], label["end_s"], label["label"]))
    return {kind: Spans.of(spans) for kind, spans in rows.items()}


class _Lists:
    """A column of lists of numbers as two arrays; rows without a list have an empty one."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        array = _whole(column)
        self._values = array.values.to_numpy(zero_copy_only=False).astype(np.uint32, copy=False)
        self._offsets = array.offsets.to_numpy()

    def __getitem__(self, row: int) -> NDArray[np.uint32]:
        return self._values[self._offsets[row] : self._offsets[row + 1]]


def _read(file: Path, columns: list[str]) -> pa.Table:
    # The groups and shards of a corpus are few.
    table = pq.read_table(file, columns=columns, read_dictionary=["group", "split", "shard"])
    table = table.unify_dictionaries().combine_chunks()
    pa.default_memory_pool().release_unused()
    return table


def _whole(column: pa.ChunkedArray) -> Any:
    """One array of the chunks of a column."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _integers(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.to_numpy(), dtype=np.int64)
