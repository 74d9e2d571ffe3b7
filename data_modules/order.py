"""Which clip comes when: pure functions of (seed, epoch, item), so that a run resumes by a number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

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
        batches_taken: How many batches this rank was trained on already, over all epochs; asked anew whenever an
            epoch begins, since a checkpoint may be restored after the sampler was made.
    """

    def __init__(
        self,
        length: int,
        global_batch: int,
        rank: int = 0,
        world_size: int = 1,
        batches_taken: Callable[[], int] = lambda: 0,
    ) -> None:
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
        self.batches_taken = batches_taken

    def __len__(self) -> int:
        return self.steps_an_epoch * self.local_batch

    def __iter__(self) -> Iterator[int]:
        # Not by Lightning's count of epochs: a run that stopped within one and goes on to more steps has a new one.
        taken = self.batches_taken()
        for batch in range(taken, (taken // self.steps_an_epoch + 1) * self.steps_an_epoch):
            yield from self.items(batch, self.rank)

    def items(self, batch: int, rank: int) -> range:
        """What a rank is given in its batch of that number, counted over all epochs."""
        epoch, step = divmod(batch, self.steps_an_epoch)
        first = epoch * self.length + step * self.global_batch + rank * self.local_batch
        return range(first, first + self.local_batch)
