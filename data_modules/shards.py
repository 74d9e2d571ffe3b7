"""Prepared audio on disk: flat files of 24 kHz mono int16 samples, and one Parquet index with the labels.

A prepared folder holds

    corpus.json             what it was made from: name, licence, settings, counts
    index.parquet           one row a track: where its samples lie, its split, group and labels
    shards/00000.pcm        samples of some tracks, end to end
    shards/00000.parquet    the index of that shard; written last, so that it marks the shard as done
    set_aside.tsv           tracks that could not be used, each with its reason
    gaps.tsv                tracks that lack a kind of label, with kind and reason
    mel/*.json              mel statistics, by mel settings
"""

from __future__ import annotations

import contextlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.spans import Spans

_ROWS = pa.schema(
    [
        ("track_id", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("first_sample", pa.int64()),
        ("num_samples", pa.int64()),
        ("crc32", pa.int64()),
        ("problem", pa.string()),  # why the track was set aside; null if it is usable
        ("gaps", pa.list_(pa.struct([("kind", pa.string()), ("reason", pa.string())]))),
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


@contextlib.contextmanager
def written_aside(path: Path, mode: str = "wb") -> Iterator[IO[Any]]:
    """Opens `path` for writing under another name, and renames it when all went well; else leaves no trace."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with aside.open(mode) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def write_shard(corpus: Corpus, items: Sequence[Item], folder: Path, number: int) -> tuple[int, int]:
    """Loads some items and writes them as one shard, unless that is done already.

    Args:
        corpus: Where the items come from.
        items: The tracks of this shard.
        folder: The prepared folder.
        number: Of the shard.

    Returns:
        Samples written, and tracks set aside.
    """
    name = f"{number:05d}.pcm"
    index_file = folder / "shards" / f"{number:05d}.parquet"
    if index_file.exists():
        rows = pq.read_table(index_file, columns=["num_samples", "problem"]).to_pylist()
        return sum(row["num_samples"] for row in rows), sum(row["problem"] is not None for row in rows)
    rows = []
    position = 0
    with written_aside(folder / "shards" / name) as file:
        for item in items:
            try:
                track, gaps = corpus.load(item), corpus.gaps(item)
            except BadTrack as problem:
                rows.append(_row(item, name, position, b"", {}, {}, str(problem)))
                continue
            samples = _to_int16(track)
            file.write(samples)
            rows.append(_row(item, name, position, samples, track.labels, gaps, None))
            position += len(samples) // 2
    with written_aside(index_file) as file:
        pq.write_table(pa.Table.from_pylist(rows, schema=_ROWS), file)
    return position, sum(row["problem"] is not None for row in rows)


def _to_int16(track: Track) -> bytes:
    scaled = np.round(np.clip(track.waveform_N, -1.0, 1.0) * 32767.0)
    return scaled.astype("<i2").tobytes()


def _row(
    item: Item,
    shard: str,
    first_sample: int,
    samples: bytes,
    labels: Mapping[Kind, Spans],
    gaps: Mapping[Kind, str],
    problem: str | None,
) -> dict[str, object]:
    return {
        "track_id": item.track_id,
        "group": item.group,
        "split": item.split,
        "shard": shard,
        "first_sample": first_sample,
        "num_samples": len(samples) // 2,
        "crc32": zlib.crc32(samples),
        "problem": problem,
        "gaps": [{"kind": kind, "reason": gaps[kind]} for kind in sorted(gaps)],
        "kinds": sorted(labels),
        "labels": [
            {"kind": kind, "start_s": start_s, "end_s": end_s, "label": label}
            for kind in sorted(labels)
            for start_s, end_s, label in labels[kind]
        ],
    }


def merge_index(folder: Path, num_shards: int) -> list[tuple[str, str]]:
    """Joins the indices of all shards: `set_aside.tsv`, `gaps.tsv`, and last, since it says "done", `index.parquet`.

    Returns:
        (track, reason) of what was set aside.
    """
    tables = [pq.read_table(folder / "shards" / f"{number:05d}.parquet") for number in range(num_shards)]
    table = pa.concat_tables(tables)
    rows = table.to_pylist()
    aside = [(row["track_id"], " ".join(row["problem"].split())) for row in rows if row["problem"] is not None]
    gaps = [(row["track_id"], gap["kind"], " ".join(gap["reason"].split())) for row in rows for gap in row["gaps"]]
    for name, lines in (("set_aside.tsv", aside), ("gaps.tsv", gaps)):
        with written_aside(folder / name, "w") as file:
            file.writelines("\t".join(line) + "\n" for line in lines)
    with written_aside(folder / "index.parquet") as file:
        pq.write_table(table.filter(pa.compute.is_null(table["problem"])).drop_columns(["problem", "gaps"]), file)
    return aside


@dataclass(frozen=True)
class Entry:
    """One prepared track: where its samples lie, and what is known of it."""

    track_id: str
    group: str
    split: Split
    shard: str
    first_sample: int
    num_samples: int
    labels: Mapping[Kind, Spans]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.num_samples / SAMPLE_RATE


class Prepared:
    """A prepared folder, open for reading; its samples are memory-mapped.

    Args:
        root: A folder that `musicfm prepare` wrote.

    Raises:
        FileNotFoundError: There is no such folder, or it was not prepared to the end.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        if not (self.root / "index.parquet").exists():
            state = "was not prepared to the end" if (self.root / "shards").exists() else "is no prepared folder"
            raise FileNotFoundError(
                f"data.root: {self.root} {state} (no index.parquet); "
                f"run `musicfm prepare --corpus NAME --out {self.root}`"
            )
        self.card: dict[str, Any] = json.loads((self.root / "corpus.json").read_text())
        self._maps: dict[str, NDArray[np.int16]] = {}

    @cached_property
    def entries(self) -> list[Entry]:
        """All tracks, in the order of the corpus."""
        return [
            Entry(
                track_id=row["track_id"],
                group=row["group"],
                split=row["split"],
                shard=row["shard"],
                first_sample=row["first_sample"],
                num_samples=row["num_samples"],
                labels=_labels(row),
            )
            for row in pq.read_table(self.root / "index.parquet").to_pylist()
        ]

    def split(self, split: Split) -> list[Entry]:
        """The tracks of one split.

        Raises:
            ValueError: The split is empty.
        """
        entries = [entry for entry in self.entries if entry.split == split]
        if not entries:
            raise ValueError(f"data.root: {self.root} has no track in the split {split!r}")
        return entries

    def labelled(self, split: Split, kind: Kind) -> list[Entry]:
        """The tracks of one split that carry a kind of label.

        Raises:
            ValueError: The split is empty, or none does.
        """
        entries = [entry for entry in self.split(split) if kind in entry.labels]
        if not entries:
            raise ValueError(f"data.root: no track of {self.root}, split {split!r}, has labels of kind {kind!r}")
        return entries

    @property
    def digest(self) -> str:
        """Changes when any sample or label does."""
        return f"{zlib.crc32((self.root / 'index.parquet').read_bytes()):08x}"

    def read(self, entry: Entry, first_sample: int = 0, num_samples: int | None = None) -> NDArray[np.int16]:
        """Samples of a track, int16, copied; short where the track ends."""
        if entry.shard not in self._maps:
            self._maps[entry.shard] = self._map(entry.shard)
        last = entry.num_samples if num_samples is None else min(entry.num_samples, first_sample + num_samples)
        shard = self._maps[entry.shard]
        if entry.first_sample + last > len(shard):
            raise ValueError(
                f"{self.root / 'shards' / entry.shard} is cut short: {entry.track_id} should end at sample "
                f"{entry.first_sample + last}, the file has {len(shard)}; delete the shard's .pcm and .parquet "
                f"and run `musicfm prepare` again"
            )
        return np.array(shard[entry.first_sample + first_sample : entry.first_sample + last])

    def _map(self, shard: str) -> NDArray[np.int16]:
        path = self.root / "shards" / shard
        if path.stat().st_size == 0:
            return np.zeros(0, dtype=np.int16)
        return np.memmap(path, dtype="<i2", mode="r")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_maps": {}}  # workers map the files themselves


def _labels(row: Mapping[str, Any]) -> dict[Kind, Spans]:
    rows: dict[Kind, list[tuple[float, float, str]]] = {kind: [] for kind in row["kinds"]}
    for label in row["labels"]:
        rows[label["kind"]].append((label["start_s"], label["end_s"], label["label"]))
    return {kind: Spans.of(spans) for kind, spans in rows.items()}
