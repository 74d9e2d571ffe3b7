"""`musicfm bench_data`: how fast random clips come from a source, and how many cores feed a GPU."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from rich.console import Console
from torch.utils.data import BatchSampler, DataLoader

from data_modules import SAMPLE_RATE
from data_modules.clips import RandomClips
from data_modules.order import Place, ResumableSampler
from data_modules.pretrain import RawBatch, collate
from data_modules.remote import Remote
from data_modules.shards import Prepared
from data_modules.waveforms import Samples

_BATCH = 32
"""Clips a batch, as in pretraining."""


def bench_data(
    root: str,
    clip_s: float = 30.0,
    num_workers: int = 0,
    seconds: float = 10.0,
    gpu_speed: float = 3000.0,
    remote: Remote | None = None,
) -> None:
    """Reads random clips as training does, but trains nothing, and says how fast they come.

    The first pass over a folder measures the disk, a second one, if the folder fits, the page cache; of an address
    the blocks that are in the cache come from there: `--remote.cache_gb 0` measures the network.

    Args:
        root: What `--data.root` takes: a prepared folder, an address, or a folder of audio files.
        clip_s: Length of a clip in seconds.
        num_workers: Processes that read; 0 for this one alone.
        seconds: How long to measure.
        gpu_speed: Audio seconds that a GPU trains on in a second (one H200 with the study's largest encoder at
            25 Hz: about 3000).
        remote: Cache and patience with an address.
    """
    console = Console()
    began_s = time.monotonic()
    prepared = Prepared(root, remote)
    tracks = prepared.tracks("train")
    clips = RandomClips(tracks, Samples(prepared), clip_s, seed=0)
    cpu_s = _cpu_s()
    first_s: list[float] = []
    num_damaged, counts = 0, []
    for batch in _batches(clips, num_workers, lambda: bool(first_s) and time.monotonic() - first_s[0] > seconds):
        counts.append(len(batch.origins))
        num_damaged += len(batch.problems)
        if not first_s:
            first_s.append(time.monotonic())
            console.print(
                f"{root}: {len(tracks)} tracks, {tracks.lengths.sum() / SAMPLE_RATE / 3600:.1f} h for training; "
                f"first batch after {first_s[0] - began_s:.1f} s",
                highlight=False,
            )
    wall_s, spent_s = time.monotonic() - first_s[0], _cpu_s() - cpu_s
    console.print(
        f"{sum(counts[1:]) * clip_s / wall_s:,.0f} audio seconds per second with {num_workers or 1} process"
        f"{'es' if num_workers > 1 else ''} on {_cores()} cores, in clips of {clip_s:g} s",
        highlight=False,
    )
    if num_damaged:
        console.print(f"set aside: {num_damaged} damaged clips")
    per_core = sum(counts) * clip_s / spent_s
    cores = math.ceil(gpu_speed / per_core)
    console.print(
        f"{per_core:,.0f} per second of a core: {cores} {'core feeds' if cores == 1 else 'cores feed'} a GPU that "
        f"trains on {gpu_speed:g}",
        highlight=False,
    )


def _batches(clips: RandomClips, num_workers: int, is_over: Callable[[], bool]) -> Iterator[RawBatch]:
    """Epoch after epoch; what was begun when it is over is finished, so that no work goes uncounted."""
    size = min(_BATCH, len(clips))

    def places() -> Iterator[list[Place]]:
        taken = 0
        while True:
            sampler = ResumableSampler(len(clips), size, batches_taken=partial(int, taken), order=clips.order)
            batches: Iterable[Any] = BatchSampler(sampler, size, drop_last=True)  # type: ignore[arg-type]
            for batch in batches:  # of places, for which torch has no type
                if is_over():
                    return
                yield batch
            taken += sampler.steps_an_epoch

    yield from DataLoader(clips, batch_sampler=places(), num_workers=num_workers, collate_fn=collate)


def _cpu_s() -> float:
    """Seconds of cores that this process and those that it has waited for have taken."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def _cores() -> int:
    return len(os.sched_getaffinity(0))
