"""Writes shards: some tracks of a corpus, end to end, in files of bounded size, and the index of those."""

from __future__ import annotations

import contextlib
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_modules.blocks import FORMATS, Encoding, Format, cut_up
from data_modules.corpora.base import BadTrack, Corpus, Fault, Item, Kind, Track
from data_modules.index import ROWS
from data_modules.shards import written_aside
from data_modules.spans import Spans

_FILES = b"files"
"""Key of the metadata in a shard's index: its files with their sizes and digests, as JSON."""

SUMS = "SHA256SUMS"
FAULTY = "faulty"
"""What ends a line of `gaps.tsv` if labels are at fault; of others it is `absent`."""


class Shape(NamedTuple):
    """What the files of a prepared folder look like; part of its card."""

    format: Format = "int16"
    tracks_per_shard: int = 4
    shard_mb: int = 1024


def write_shard(corpus: Corpus, items: Sequence[Item], folder: Path, number: int, shape: Shape) -> tuple[int, int]:
    """Loads some items and writes them as one shard.

    Args:
        corpus: Where the items come from.
        items: The tracks of this shard.
        folder: The prepared folder.
        number: Of the shard.
        shape: A file that reaches its size is followed by another; a track is never divided.

    Returns:
        Samples written, and tracks set aside.
    """
    index_file = folder / "shards" / f"{number:05d}.parquet"
    index_file.unlink(missing_ok=True)
    rows = []
    with _Files(folder / "shards", f"{number:05d}", FORMATS[shape.format], shape.shard_mb * 10**6) as files:
        for item in items:
            try:
                track, gaps = corpus.load(item), corpus.gaps(item)
            except BadTrack as problem:
                rows.append(_row(item, files.add(np.zeros(0, dtype=np.int16)), None, {}, str(problem)))
                continue
            rows.append(_row(item, files.add(_to_int16(track)), track, gaps, None))
        written = files.finish()
    schema = ROWS.with_metadata({_FILES: json.dumps(written)})
    with written_aside(index_file) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    return counts_of(folder, number)


def counts_of(folder: Path, number: int) -> tuple[int, int]:
    """Samples in a finished shard, and tracks that were set aside."""
    rows = pq.read_table(folder / "shards" / f"{number:05d}.parquet", columns=["num_samples", "problem"]).to_pylist()
    return sum(row["num_samples"] for row in rows), sum(row["problem"] is not None for row in rows)


def is_whole(folder: Path, number: int) -> bool:
    """Whether a shard is finished by this version, and its files as long as they were; not whether they are sound."""
    index_file = folder / "shards" / f"{number:05d}.parquet"
    return index_file.exists() and bool(_files_of(index_file)) and not is_damaged(folder, number)


def is_damaged(folder: Path, number: int) -> bool:
    """Whether something of a shard that was finished is gone, or has another length."""
    index_file = folder / "shards" / f"{number:05d}.parquet"
    return not index_file.exists() or any(
        not (path := folder / "shards" / name).exists() or path.stat().st_size != told["bytes"]
        for name, told in _files_of(index_file).items()
    )


def _files_of(index_file: Path) -> dict[str, dict[str, Any]]:
    """Sizes and digests; nothing of shards that were written by earlier versions."""
    metadata = pq.read_schema(index_file).metadata or {}
    return dict(json.loads(metadata[_FILES])) if _FILES in metadata else {}


def merge_index(folder: Path, num_shards: int) -> list[tuple[str, str]]:
    """Joins the indices of all shards into one, with `SHA256SUMS`, `set_aside.tsv` and `gaps.tsv`.

    `index.parquet` comes last, since it says "done".

    Returns:
        (track, reason) of what was set aside.
    """
    aside: list[tuple[str, str]] = []
    gaps: list[tuple[str, str, str, str]] = []
    sums: list[tuple[str, str]] = []
    with contextlib.ExitStack() as stack:
        writer: pq.ParquetWriter | None = None
        for number in range(num_shards):
            index_file = folder / "shards" / f"{number:05d}.parquet"
            table = pq.read_table(index_file)
            for row in table.select(["track_id", "problem", "gaps"]).to_pylist():
                if row["problem"] is not None:
                    aside.append((row["track_id"], _line(row["problem"])))
                # Shards of earlier versions do not tell which gaps are faults.
                gaps += [
                    (row["track_id"], gap["kind"], _line(gap["reason"]), FAULTY if gap.get("faulty") else "absent")
                    for gap in row["gaps"]
                ]
            sums += [(told["sha256"], name) for name, told in _files_of(index_file).items()]
            usable = table.filter(pc.is_null(table["problem"])).drop_columns(["problem", "gaps"])
            usable = usable.replace_schema_metadata(None)
            if writer is None:
                file = stack.enter_context(written_aside(folder / "index.parquet"))
                writer = stack.enter_context(pq.ParquetWriter(file, usable.schema))
            writer.write_table(usable)
        for name, lines in (("set_aside.tsv", aside), ("gaps.tsv", gaps)):
            with written_aside(folder / name, "w") as file:
                file.writelines("\t".join(line) + "\n" for line in lines)
        with written_aside(folder / SUMS, "w") as file:
            file.writelines(f"{digest}  shards/{name}\n" for digest, name in sorted(sums, key=lambda one: one[1]))
    return aside


def _line(text: str) -> str:
    return " ".join(text.split())


class _Place(NamedTuple):
    """Where a track was written."""

    shard: str
    first_byte: int
    num_samples: int
    crc32: int
    block_bytes: list[int]
    block_crc32: list[int]


class _Files:
    """The files of one shard, one open at a time; they get their names when all is well."""

    def __init__(self, folder: Path, stem: str, encoding: Encoding, max_bytes: int) -> None:
        self._folder = folder
        self._stem = stem
        self._encoding = encoding
        self._max_bytes = max_bytes
        self._stack = contextlib.ExitStack()
        self._written: dict[str, dict[str, Any]] = {}
        self._open()

    def __enter__(self) -> _Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, traceback)

    def add(self, samples_N: NDArray[np.int16]) -> _Place:
        """Writes a track."""
        if self._bytes >= self._max_bytes:
            self.finish()
            self._open()
        blocks = [self._encoding.encode(block) for block in cut_up(samples_N)]
        first_byte = self._bytes
        for block in blocks:
            self._file.write(block)
            self._sha256.update(block)
            self._bytes += len(block)
        return _Place(
            self._name,
            first_byte,
            len(samples_N),
            zlib.crc32(samples_N.astype("<i2").tobytes()),
            [len(block) for block in blocks],
            [zlib.crc32(block) for block in blocks],
        )

    def finish(self) -> dict[str, dict[str, Any]]:
        """Closes the file; sizes and digests of all by now."""
        self._written[self._name] = {"bytes": self._bytes, "sha256": self._sha256.hexdigest()}
        self._stack.close()
        return self._written

    def _open(self) -> None:
        more = f"-{len(self._written)}" if self._written else ""
        self._name = f"{self._stem}{more}{self._encoding.suffix}"
        self._bytes = 0
        self._sha256 = hashlib.sha256()
        self._file: IO[Any] = self._stack.enter_context(written_aside(self._folder / self._name))


def _to_int16(track: Track) -> NDArray[np.int16]:
    scaled = np.round(np.clip(track.waveform_N, -1.0, 1.0) * 32767.0)
    return np.asarray(scaled.astype(np.int16))


def _row(
    item: Item, place: _Place, track: Track | None, gaps: Mapping[Kind, str], problem: str | None
) -> dict[str, object]:
    labels: Mapping[Kind, Spans] = track.labels if track else {}
    return {
        "track_id": item.track_id,
        "group": item.group,
        "split": item.split,
        **place._asdict(),
        "origin": track.origin if track else None,
        "licence": track.licence if track else None,
        "problem": problem,
        "gaps": [
            {"kind": kind, "reason": gaps[kind], "faulty": isinstance(gaps[kind], Fault)} for kind in sorted(gaps)
        ],
        "kinds": sorted(labels),
        "labels": [
            {"kind": kind, "start_s": start_s, "end_s": end_s, "label": label}
            for kind in sorted(labels)
            for start_s, end_s, label in labels[kind]
        ],
    }
