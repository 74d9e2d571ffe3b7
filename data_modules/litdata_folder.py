"""`musicfm to_litdata`, and reading what it wrote: the same blocks as items in the chunks of litdata."""

from __future__ import annotations

import json
import os
import shutil
import uuid
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress_of

from data_modules.blocks import BLOCK_N, BadRecord
from data_modules.index import Entry
from data_modules.shards import Prepared, is_address, written_aside
from data_modules.storage import ShardFolder, Storage, decode, range_of

_REMEDY = "pip install -e '.[litdata]'"


def to_litdata(root: Path, out: Path, chunk_mb: int = 64) -> None:
    """Copies a prepared folder into the chunks of litdata: `--data.root` takes the copy as it takes the folder.

    The audio is that of the folder, byte for byte, and the clips of a run are the same: order and resumption stay
    those of the sampler here, litdata gives items by their numbers alone.

    Args:
        root: A folder that `musicfm prepare` wrote.
        out: A new folder; it can be copied to where litdata reads from, such as S3.
        chunk_mb: Size of a chunk.

    Raises:
        ValueError: The root is something else, or `out` is there already.
        BadRecord: The folder is damaged; nothing is left at `out`.
    """
    prepared = Prepared(root)
    if not isinstance(prepared.storage, ShardFolder):
        raise ValueError(f"--root: {root} holds no shards; name a folder that `musicfm prepare` wrote")
    if out.exists():
        raise ValueError(f"--out: {out} is there already; name a new folder")
    aside = out.with_name(f".{out.name}.{uuid.uuid4().hex[:12]}.part")
    try:
        num_items = _write_items(prepared, prepared.storage, aside, chunk_mb)
        for name in ("mel", "card.md", "set_aside.tsv", "gaps.tsv"):
            source = root / name
            if source.is_dir():
                shutil.copytree(source, aside / name)
            elif source.exists():
                shutil.copyfile(source, aside / name)
        with written_aside(aside / "corpus.json", "w") as file:
            json.dump({**prepared.card, "container": "litdata"}, file, indent=2)
        aside.replace(out)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    Console().print(f"written: {out}, {num_items} items", markup=False, highlight=False)


def _write_items(prepared: Prepared, storage: ShardFolder, out: Path, chunk_mb: int) -> int:
    cache = _litdata().Cache(str(out), chunk_bytes=chunk_mb * 10**6)
    firsts, number = [], 0
    for row in progress_of(range(len(prepared.index)), description="to litdata", transient=True):
        firsts.append(number)
        for block in _blocks(storage, prepared.index.entry(row)):
            cache[number] = block
            number += 1
    cache.done()
    cache.merge()
    table = pq.read_table(storage.local_file("index.parquet"))
    at = table.schema.get_field_index("first_byte")
    with written_aside(out / "index.parquet") as file:
        pq.write_table(table.set_column(at, "first_byte", pa.array(firsts, pa.int64())), file)
    return number


def _blocks(storage: ShardFolder, entry: Entry) -> Iterator[bytes]:
    """The blocks of a track as they are stored."""
    if not entry.num_samples:
        return
    wanted = range_of(entry, 0, entry.num_samples)
    stored = storage.read(wanted)
    for number, (first, last) in enumerate(wanted.blocks):
        block = stored[first - wanted.first : last - wanted.first]
        if len(entry.block_crc32_K) and zlib.crc32(block) != entry.block_crc32_K[number]:
            raise BadRecord(f"{storage.name}: track {entry.track_id}, {10 * number} s: the checksum does not fit")
        yield bytes(block)


@final
class LitDataFolder(Storage):
    """A folder that `to_litdata` wrote, here or where litdata reads from. In its index `first_byte` counts items.

    Args:
        files: The same folder, for all that is no audio.
        root: Its path or address.

    Raises:
        ImportError: litdata is not installed.
    """

    def __init__(self, files: Storage, root: str) -> None:
        self.name = files.name
        self._files = files
        self._root = root
        self._of_process: tuple[int, Any] | None = None
        _litdata()

    def local_file(self, name: str) -> Path:
        """See `Storage.local_file`."""
        return self._files.local_file(name)

    def own_file(self, name: str) -> Path:
        """See `Storage.own_file`."""
        return self._files.own_file(name)

    def samples(self, entry: Entry, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """See `Storage.samples`."""
        blocks = range(first_sample // BLOCK_N, -(-(first_sample + len(samples_N)) // BLOCK_N))
        decode(self.name, entry, self._items(entry, blocks), first_sample, samples_N)

    def _items(self, entry: Entry, blocks: Sequence[int]) -> list[memoryview]:
        try:
            return [memoryview(self._cache()[entry.first_byte + number]) for number in blocks]
        except (ConnectionError, TimeoutError):
            raise  # what does not answer is no damage of this track
        except (OSError, ValueError, IndexError) as error:  # a chunk that is gone, cut short, or has a damaged table
            raise BadRecord(f"{self.name}: track {entry.track_id}: {type(error).__name__}: {error}") from error

    def _cache(self) -> Any:
        """The reader of this process: what a forked one inherits has threads that are not there."""
        if self._of_process is None or self._of_process[0] != os.getpid():
            self._of_process = (os.getpid(), self._open())
        return self._of_process[1]

    def _open(self) -> Any:
        # Items are asked for out of order: neither chunks that are fetched whole nor windows of items are of use.
        litdata = _litdata()
        place: Any = self._root
        if is_address(self._root):
            folder = self.own_file("litdata")
            folder.mkdir(parents=True, exist_ok=True)
            place = litdata.Dir(path=str(folder), url=self._root)
        loader = litdata.PyTreeLoader(batch_decode=0)
        return litdata.Cache(place, chunk_bytes=1, item_loader=loader, on_demand_bytes=True)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_of_process": None}


def _litdata() -> Any:
    """Those of its classes that give items by number; its `StreamingDataset` has an order of its own."""
    try:
        from litdata.streaming import Cache
        from litdata.streaming.item_loader import PyTreeLoader
        from litdata.streaming.resolver import Dir
    except ImportError as error:
        raise ImportError(f"litdata is needed to read or write its chunks ({error}); {_REMEDY}") from error
    return SimpleNamespace(Cache=Cache, Dir=Dir, PyTreeLoader=PyTreeLoader)
