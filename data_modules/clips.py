"""Datasets of clips: random for training, on a fixed grid for validation, whole tracks for test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import Kind
from data_modules.order import mixed_seed, permutation
from data_modules.shards import Entry, Prepared
from data_modules.spans import Spans


class Source(Protocol):
    """Where a clip's values come from: samples, or cached hidden states."""

    rate_hz: float
    """Steps a second along the time axis, to which starts are rounded."""

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        """The values of a clip; what lies beyond the end of the track is zero."""


class Samples:
    """Waveforms as int16 (N,): they cross the bus as they lie on the disk."""

    rate_hz: float = SAMPLE_RATE

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        """See `Source.read`."""
        num_samples = round(duration_s * SAMPLE_RATE)
        samples = self.prepared.read(entry, round(start_s * SAMPLE_RATE), num_samples)
        if len(samples) < num_samples:
            samples = np.pad(samples, (0, num_samples - len(samples)))
        return torch.from_numpy(samples)


class Clip(NamedTuple):
    """One item of a dataset."""

    values: Tensor
    """int16 samples (N,), or cached hidden states (L, T, D)."""
    seed: int
    """What is random about the clip on the device (its mask) is drawn from this."""
    track_id: str
    start_s: float
    duration_s: float
    labels: Mapping[Kind, Spans]


class RandomClips(Dataset[Clip]):
    """Clips that tile each track from a random offset, in a random order, both new in every epoch.

    Item i is clip i % length of epoch i // length: any process can make it, at any time, from the seed alone.

    Args:
        entries: Tracks.
        source: Where values come from.
        clip_s: Length of every clip in seconds; a shorter track is one clip, filled up with zeros.
        seed: Of order and offsets.
        with_labels: Whether labels are cut along.
    """

    def __init__(
        self, entries: Sequence[Entry], source: Source, clip_s: float, seed: int, with_labels: bool = False
    ) -> None:
        self.entries = entries
        self.source = source
        self.clip_s = clip_s
        self.seed = seed
        self.with_labels = with_labels
        counts = [max(1, int(entry.duration_s / clip_s + 1e-9)) for entry in entries]
        self._first = np.concatenate([[0], np.cumsum(counts)])
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> np.ndarray:
        return permutation(self.seed, epoch, len(self))

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, item: int) -> Clip:
        entry, start_s = self.place(item)
        return cut(entry, self.source, start_s, self.clip_s, mixed_seed(self.seed, item), self.with_labels)

    def place(self, item: int) -> tuple[Entry, float]:
        """Where a clip lies: its track, and its start in seconds."""
        epoch, position = divmod(item, len(self))
        flat = int(self._order(epoch)[position])
        index = int(np.searchsorted(self._first, flat, side="right")) - 1
        entry, number = self.entries[index], flat - int(self._first[index])
        count = int(self._first[index + 1] - self._first[index])
        spare_s = max(0.0, entry.duration_s - count * self.clip_s)
        offset = np.random.default_rng([self.seed, epoch, index]).random()
        return entry, number * self.clip_s + offset * spare_s

    def __getstate__(self) -> dict[str, object]:
        return {key: value for key, value in self.__dict__.items() if key != "_order"}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._order = lru_cache(maxsize=2)(self._permutation)


class GridClips(Dataset[Clip]):
    """The same clips every time: each track cut end to end; a rest shorter than a clip is left out."""

    def __init__(
        self, entries: Sequence[Entry], source: Source, clip_s: float, seed: int, with_labels: bool = False
    ) -> None:
        self.source = source
        self.clip_s = clip_s
        self.seed = seed
        self.with_labels = with_labels
        self.clips = [
            (entry, number * clip_s)
            for entry in entries
            for number in range(max(1, int(entry.duration_s / clip_s + 1e-9)))
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, item: int) -> Clip:
        entry, start_s = self.clips[item]
        return cut(entry, self.source, start_s, self.clip_s, mixed_seed(self.seed, item), self.with_labels)


class WholeTracks(Dataset[Clip]):
    """One item a track, with all its labels."""

    def __init__(self, entries: Sequence[Entry], source: Source) -> None:
        self.entries = entries
        self.source = source

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, item: int) -> Clip:
        entry = self.entries[item]
        return cut(entry, self.source, 0.0, entry.duration_s, item, True)


def cut(entry: Entry, source: Source, start_s: float, duration_s: float, seed: int, with_labels: bool) -> Clip:
    """One clip; its start is moved to the source's time grid, so that labels and values stay together."""
    start_s = int(start_s * source.rate_hz + 1e-6) / source.rate_hz
    labels = (
        {kind: spans.slice(start_s, start_s + duration_s) for kind, spans in entry.labels.items()}
        if with_labels
        else {}
    )
    return Clip(source.read(entry, start_s, duration_s), seed, entry.track_id, start_s, duration_s, labels)
