"""Which clip comes when: pure functions of (seed, epoch, item), so that a run resumes by a number alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Sampler


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed of several non-negative numbers, well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def permutation(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """The order of the clips in an epoch."""
    return np.random.default_rng([seed, epoch]).permutation(length)


class ResumableSampler(Sampler[int]):
    """The items of this rank, epoch after epoch: item = epoch * length + position, as many for every rank.

    Every rank takes its share of each global batch, so that the global batches are the same for any number of
    ranks. What does not fill a global batch at the end of an epoch is left out; another epoch's order takes it in.

    Args:
        length: Clips an epoch.
        global_batch: Clips a step over all ranks.
        rank: Of this process.
        world_size: Number of processes; it divides `global_batch`.
        first_step: Steps (batches) that were taken already, over all epochs.
    """

    def __init__(self, length: int, global_batch: int, rank: int = 0, world_size: int = 1, first_step: int = 0) -> None:
        if global_batch % world_size:
            raise ValueError(f"a global batch of {global_batch} clips cannot be divided by {world_size} ranks")
        if length < global_batch:
            raise ValueError(
                f"data.batch_size: a global batch of {global_batch} clips, but the training split has only {length}"
            )
        self.length = length
        self.global_batch = global_batch
        self.local_batch = global_batch // world_size
        self.rank = rank
        self.steps_an_epoch = length // global_batch
        self.epoch, self._skip = divmod(first_step, self.steps_an_epoch)

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls it before every epoch."""
        if epoch != self.epoch:
            self.epoch, self._skip = epoch, 0

    def __len__(self) -> int:
        return self.steps_an_epoch * self.local_batch

    def __iter__(self) -> Iterator[int]:
        skip, self._skip = self._skip, 0
        for step in range(skip, self.steps_an_epoch):
            first = self.epoch * self.length + step * self.global_batch + self.rank * self.local_batch
            yield from range(first, first + self.local_batch)
