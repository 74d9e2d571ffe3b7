"""Datasets of clips: random for training, on a fixed grid for validation, whole tracks for test."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from data_modules import SAMPLE_RATE
from data_modules.blocks import BadRecord
from data_modules.corpora.base import Kind
from data_modules.index import Entry, Tracks
from data_modules.order import Place, mixed_seed, permutation
from data_modules.spans import Spans

NOT_COUNTED = -1
"""Seed of a clip that is there to make shares even."""
MAX_ATTEMPTS = 8
"""Damaged records in the place of one clip, one after another: then there is no point in looking for a sound one."""


class Source(Protocol):
    """Where a clip's values come from: samples, or cached hidden states."""

    rate_hz: float
    """Steps a second along the time axis, to which starts are rounded."""

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        """The values of a clip; what lies beyond the end of the track is zero.

        Raises:
            BadRecord: What is stored is damaged.
        """

    def expect(self, crops: Sequence[tuple[Entry, float, float]]) -> None:
        """Says what will be read next (track, start, duration): where that is far away, it is fetched at once."""


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
    problems: tuple[str, ...] = ()
    """Why the clips were set aside in whose place this one is."""


class RandomClips(Dataset[Clip]):
    """Clips that tile each track from a random offset, in a random order, both new in every epoch.

    Item i is clip i % length of epoch i // length: any process can make it, at any time, from the seed alone.
    In the place of a clip whose record is damaged there is another, the same for every process.

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
        self._first = np.concatenate([[0], np.cumsum(clips_of(entries, clip_s))])
        self._order: tuple[int, NDArray[Any]] = (-1, np.zeros(0))  # of an epoch; for those who ask without a sampler

    def order(self, epoch: int) -> NDArray[Any]:
        """Number of the clip at each position of an epoch, for `ResumableSampler`."""
        return permutation(self.seed, epoch, len(self))

    def __len__(self) -> int:
        return int(self._first[-1])

    def __getitem__(self, item: int | Place) -> Clip:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int | Place]) -> list[Clip]:
        """A batch: what a source can fetch at once, it does."""
        places = [item if isinstance(item, Place) else self._place(item) for item in items]
        crops = [self._crop(place) for place in places]
        self.source.expect([(entry, start_s, self.clip_s) for entry, start_s in crops])
        return [self._clip(place, *crop) for place, crop in zip(places, crops, strict=True)]

    def _place(self, item: int) -> Place:
        epoch, position = divmod(item, len(self))
        if self._order[0] != epoch:
            self._order = (epoch, self.order(epoch))
        return Place(item, int(self._order[1][position]))

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_order": (-1, np.zeros(0))}

    def _crop(self, place: Place) -> tuple[Entry, float]:
        epoch = place.item // len(self)
        index = int(np.searchsorted(self._first, place.flat, side="right")) - 1
        entry, number = self.entries[index], place.flat - int(self._first[index])
        count = int(self._first[index + 1] - self._first[index])
        spare_s = max(0.0, entry.duration_s - count * self.clip_s)
        offset = np.random.default_rng([self.seed, epoch, index]).random()
        return entry, number * self.clip_s + offset * spare_s

    def _clip(self, place: Place, entry: Entry, start_s: float) -> Clip:
        seed = mixed_seed(self.seed, place.item)

        def choice(number: int) -> Clip:
            other = Place(place.item, mixed_seed(self.seed, place.item, number) % len(self))
            crop = self._crop(other) if number else (entry, start_s)
            return cut(crop[0], self.source, crop[1], self.clip_s, seed, self.with_labels)

        return first_sound(choice)


def clips_of(entries: Sequence[Entry], clip_s: float) -> NDArray[np.int64]:
    """How many clips each track has: whole ones, or one that is filled up."""
    lengths_E = entries.lengths if isinstance(entries, Tracks) else np.array([entry.num_samples for entry in entries])
    return np.maximum(1, (lengths_E / SAMPLE_RATE / clip_s + 1e-9).astype(np.int64))


class GridClips(Dataset[Clip]):
    """The same clips every time: each track cut end to end; a rest shorter than a clip is left out.

    Items beyond the last are the first ones over again, with the seed `NOT_COUNTED`.
    """

    def __init__(
        self, entries: Sequence[Entry], source: Source, clip_s: float, seed: int, with_labels: bool = False
    ) -> None:
        self.source = source
        self.clip_s = clip_s
        self.seed = seed
        self.with_labels = with_labels
        self.entries = entries
        self._first = np.concatenate([[0], np.cumsum(clips_of(entries, clip_s))])
        self._step = 1

    def thin(self, most: int) -> None:
        """Keeps at most so many clips, spread evenly."""
        self._step = max(1, -(-int(self._first[-1]) // most))

    def __len__(self) -> int:
        return -(-int(self._first[-1]) // self._step)

    def _crop(self, item: int) -> tuple[Entry, float]:
        flat = item * self._step
        index = int(np.searchsorted(self._first, flat, side="right")) - 1
        return self.entries[index], (flat - int(self._first[index])) * self.clip_s

    def __getitem__(self, item: int) -> Clip:
        return self.__getitems__([item])[0]

    def __getitems__(self, items: Sequence[int]) -> list[Clip]:
        """A batch: what a source can fetch at once, it does."""
        self.source.expect([(*self._crop(item % len(self)), self.clip_s) for item in items])
        return [self._clip(item) for item in items]

    def _clip(self, item: int) -> Clip:
        """A clip, or the next after it whose record is sound."""
        seed = mixed_seed(self.seed, item) if item < len(self) else NOT_COUNTED

        def choice(number: int) -> Clip:
            entry, start_s = self._crop((item + number) % len(self))
            return cut(entry, self.source, start_s, self.clip_s, seed, self.with_labels)

        return first_sound(choice)


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


def first_sound(choice: Callable[[int], Clip]) -> Clip:
    """The first clip whose record is sound; it says why those before it were set aside.

    Args:
        choice: Makes the clip itself for 0, and for higher numbers what is to take its place, one after another.

    Raises:
        BadRecord: `MAX_ATTEMPTS` others were damaged, too.
    """
    problems: list[str] = []
    while True:
        try:
            return choice(len(problems))._replace(problems=tuple(problems))
        except BadRecord as problem:
            problems.append(str(problem))
            if len(problems) > MAX_ATTEMPTS:
                raise


def cut(entry: Entry, source: Source, start_s: float, duration_s: float, seed: int, with_labels: bool) -> Clip:
    """One clip; its start is moved to the source's time grid, so that labels and values stay together."""
    start_s = int(start_s * source.rate_hz + 1e-6) / source.rate_hz
    labels = (
        {kind: spans.slice(start_s, start_s + duration_s) for kind, spans in entry.labels.items()}
        if with_labels
        else {}
    )
    return Clip(source.read(entry, start_s, duration_s), seed, entry.track_id, start_s, duration_s, labels)
