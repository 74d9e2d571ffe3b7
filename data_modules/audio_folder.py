"""A folder of audio files as they are: nothing is prepared, each clip is decoded and resampled when it is read."""

from __future__ import annotations

import hashlib
import json
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import soxr
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.audio import describe, mixed_down
from data_modules.blocks import BadRecord
from data_modules.corpora.base import BadTrack, Item
from data_modules.corpora.folder import Folder
from data_modules.index import ROWS, Entry
from data_modules.shards import written_aside
from data_modules.storage import Storage

_log = logging.getLogger(__name__)

_MARGIN_N = 1200
"""Samples decoded beyond either end of a clip, so that the resampler is in its stride there."""
_ROUNDING_S = 1.0
"""By so much a file may be shorter than its header says; some estimate."""


@final
class AudioFolder(Storage):
    """Files of any rate and number of channels. Their headers are read once, and kept in the cache.

    Files that cannot be opened are left out, and said; what else is wrong with a file shows when it is read.

    Args:
        root: The top of the tree.
        cache_dir: Where the index and the mel statistics are kept; None for `~/.cache/musicfm`.
    """

    has_shards = False

    def __init__(self, root: Path, cache_dir: Path | None) -> None:
        self.root = root
        self.name = str(root)
        self._corpus = Folder(root)
        items = self._corpus.items()
        status = [(root / item.track_id).stat() for item in items]
        seen = [(i.track_id, i.split, s.st_size, s.st_mtime_ns) for i, s in zip(items, status, strict=True)]
        digest = hashlib.sha256(json.dumps([str(root.resolve()), seen]).encode()).hexdigest()[:32]
        self._own = (cache_dir or Path("~/.cache/musicfm")).expanduser() / "audio" / digest
        if not self.own_file("index.parquet").exists():
            self._write_index(items)

    def local_file(self, name: str) -> Path:
        """See `Storage.local_file`."""
        path = self.own_file(name)
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file")
        return path

    def own_file(self, name: str) -> Path:
        """See `Storage.own_file`."""
        return self._own / name

    def samples(self, entry: Entry, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """See `Storage.samples`: mixed down and resampled as in `read_audio`; what exceeds full scale is clipped."""
        path = self.root / entry.track_id
        try:
            with soundfile.SoundFile(path) as file:
                rate = file.samplerate
                # From where a sample of the file and one of ours fall together: less than a second before.
                step = math.gcd(rate, SAMPLE_RATE)
                periods = max(0, first_sample - _MARGIN_N) // (SAMPLE_RATE // step)
                file.seek(periods * (rate // step))
                skip = first_sample - periods * (SAMPLE_RATE // step)
                wanted = -(-(len(samples_N) + skip + _MARGIN_N) * rate // SAMPLE_RATE)
                waveform_NC = file.read(wanted, dtype="float32", always_2d=True)
        except (soundfile.SoundFileError, OSError) as error:
            raise BadRecord(f"{path}: cannot be decoded ({error})") from error
        if not np.isfinite(waveform_NC).all():
            raise BadRecord(f"{path}: samples that are not finite numbers (NaN or infinite)")
        resampled = soxr.resample(mixed_down(waveform_NC), rate, SAMPLE_RATE, quality="HQ")
        crop = resampled[skip : skip + len(samples_N)]
        if len(crop) < len(samples_N) - _ROUNDING_S * SAMPLE_RATE:
            raise BadRecord(f"{path}: cut short: it should be {entry.duration_s:.1f} s long")
        crop = np.pad(crop, (0, len(samples_N) - len(crop)))
        samples_N[:] = np.round(np.clip(crop, -1.0, 1.0) * 32767.0)

    def _write_index(self, items: Sequence[Item]) -> None:
        _log.warning("%s: no prepared folder; reading the headers of %d audio files", self.name, len(items))
        with ThreadPoolExecutor() as pool:
            rows = [row for row in pool.map(self._row, items) if row is not None]
        with written_aside(self.own_file("corpus.json"), "w") as file:
            card = {"corpus": self._corpus.name, "licence": self._corpus.licence, "note": "", "num_items": len(rows)}
            json.dump(card, file)
        with written_aside(self.own_file("index.parquet")) as file:
            pq.write_table(pa.Table.from_pylist(rows, schema=ROWS).drop_columns(["problem", "gaps"]), file)

    def _row(self, item: Item) -> dict[str, object] | None:
        try:
            description = describe(self.root / item.track_id)
        except BadTrack as problem:
            _log.warning("set aside: %s", problem)
            return None
        return {
            "track_id": item.track_id,
            "group": item.group,
            "split": item.split,
            "shard": "",
            "first_byte": 0,
            "num_samples": int(description.duration_s * SAMPLE_RATE),
            "crc32": 0,
            "block_bytes": [],
            "block_crc32": [],
            "origin": description.origin,
            "licence": description.licence,
            "kinds": [],
            "labels": [],
        }
