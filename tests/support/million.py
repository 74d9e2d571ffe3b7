"""Start-up and memory of training on an index of many tracks, all of them the same few minutes of noise.

PYTHONPATH=. python tests/support/million.py FOLDER [--tracks 1000000] [--format flac] [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from data_modules import SAMPLE_RATE
from data_modules.blocks import Format
from data_modules.corpora.base import Corpus, Item, Track
from data_modules.shard_writer import Shape, merge_index, write_shard

LENGTH_S = 235.0
_ROWS = 100_000


class _Noise(Corpus):
    name = "noise"
    licence = "CC0"

    def items(self) -> list[Item]:
        return [Item("noise", "noise", "train")]

    def load(self, item: Item) -> Track:
        samples = np.random.default_rng(0).normal(0, 0.1, round(LENGTH_S * SAMPLE_RATE))
        return Track(item, samples.astype(np.float32))


def write_many(folder: Path, num_tracks: int, format: Format) -> None:
    """A prepared folder with one track, and an index that has it many times, under other names."""
    corpus = _Noise()
    write_shard(corpus, corpus.items(), folder, 0, Shape(format))
    merge_index(folder, 1)
    row = pq.read_table(folder / "index.parquet")
    with pq.ParquetWriter(folder / "many", row.schema) as writer:
        for first in range(0, num_tracks, _ROWS):
            count = min(_ROWS, num_tracks - first)
            table = row.take(pa.array(np.zeros(count, dtype=np.int64)))
            for name, place in (("track_id", "an album/of many/track"), ("group", "an album/of many")):
                at = table.schema.get_field_index(name)
                values = [
                    f"{place} {number // (1 if name == 'track_id' else 10)}" for number in range(first, first + count)
                ]
                table = table.set_column(at, name, pa.array(values))
            writer.write_table(table)
    (folder / "many").replace(folder / "index.parquet")
    (folder / "corpus.json").write_text(json.dumps({"corpus": "noise", "licence": "CC0", "note": ""}))


def private_mb() -> float:
    """Memory of this process that it shares with no other."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


def measure(folder: Path, workers: int, batches: int = 4) -> dict[str, float]:
    """Seconds to open the folder and to the first batch; private MB of a worker, and MB of the process that trains."""
    import torch
    from torch.utils.data import DataLoader

    from data_modules.clips import Clip, RandomClips
    from data_modules.order import ResumableSampler
    from data_modules.shards import Prepared
    from data_modules.waveforms import Samples

    before_mb = private_mb()
    began_s = time.monotonic()
    prepared = Prepared(folder)
    clips = RandomClips(prepared.tracks("train"), Samples(prepared), 30.0, seed=0)
    opened_s = time.monotonic() - began_s
    parent = os.getpid()

    def collate(made: list[Clip]) -> tuple[float, int]:
        torch.stack([clip.values for clip in made])
        return private_mb() if os.getpid() != parent else 0.0, len(made)

    sampler = ResumableSampler(len(clips), 32, order=clips.order)
    loader = DataLoader(clips, batch_size=32, sampler=sampler, num_workers=workers, collate_fn=collate)
    found = []
    first_s = 0.0
    for batch in loader:
        first_s = first_s or time.monotonic() - began_s
        found.append(batch[0])
        if len(found) == batches * max(1, workers):
            break
    return {
        "tracks": len(prepared.index),
        "clips": len(clips),
        "opened_s": round(opened_s, 2),
        "first_batch_s": round(first_s, 2),
        "worker_private_mb": round(max(found)),
        "trainer_grew_mb": round(private_mb() - before_mb),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tracks", type=int, default=1_000_000)
    parser.add_argument("--format", default="flac")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    if not (given.folder / "index.parquet").exists():
        write_many(given.folder, given.tracks, given.format)
    print(json.dumps(measure(given.folder, given.workers)))
