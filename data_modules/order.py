"""Which clip comes when: pure functions of (seed, epoch, item), so that a run resumes by a number alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, final

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset, DistributedSampler, Sampler


def mixed_seed(*parts: int) -> int:
    """One 63-bit seed of several non-negative numbers, well mixed."""
    return int(np.random.SeedSequence(parts).generate_state(1, np.uint64)[0] >> np.uint64(1))


def permutation(seed: int, epoch: int, length: int) -> NDArray[Any]:
    """The order of the clips in an epoch: numpy's `permutation(length)`, in half the memory where numbers allow."""
    order_N = np.arange(length, dtype=np.int32 if length < 2**31 else np.int64)
    np.random.default_rng([seed, epoch]).shuffle(order_N)
    return order_N


class Place(NamedTuple):
    """What a process needs to know to make a clip."""

    item: int
    """epoch * length + position in the order of that epoch."""
    flat: int
    """Number of the clip before it was shuffled."""


class ResumableSampler(Sampler[Place]):
    """The items of this rank: an endless series of global batches, each epoch's order after the last one's.

    Global batch k is items k * G to (k + 1) * G, and every rank takes its share of it. So batches are the same for
    any number of ranks, an epoch has every clip once (its end may share a batch with the beginning of the next),
    and where a run stands is one integer. What Lightning calls an epoch is as many whole batches as fit.

    Args:
        length: Clips an epoch.
        global_batch: Clips a step over all ranks.
        rank: Of this process.
        world_size: Number of processes; it divides `global_batch`.
        batches_taken: How many batches this rank was trained on already, over all epochs; asked anew whenever an
            epoch begins, since a checkpoint may be restored after the sampler was made.
        order: Number of the clip at each position of an epoch. It is asked for here alone, in the process that
            trains: an order of millions would fill every worker.
    """

    def __init__(
        self,
        length: int,
        global_batch: int,
        rank: int = 0,
        world_size: int = 1,
        batches_taken: Callable[[], int] = lambda: 0,
        order: Callable[[int], NDArray[Any]] | None = None,
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
        self.order = order or (lambda epoch: np.arange(length))

    def __len__(self) -> int:
        return self.steps_an_epoch * self.local_batch

    def __iter__(self) -> Iterator[Place]:
        # Not by Lightning's count of epochs: a run that stopped within one and goes on to more steps has a new one.
        taken = self.batches_taken()
        last = (taken // self.steps_an_epoch + 1) * self.steps_an_epoch
        at = -1
        order: NDArray[Any] = np.zeros(0)
        for batch in range(taken, last):
            for item in self.items(batch, self.rank):
                epoch, position = divmod(item, self.length)
                if epoch != at:
                    at, order = epoch, self.order(epoch)
                yield Place(item, int(order[position]))

    def items(self, batch: int, rank: int) -> range:
        """What a rank is given in its batch of that number, counted over all epochs."""
        first = batch * self.global_batch + rank * self.local_batch
        return range(first, first + self.local_batch)


@final
class EvenShares(DistributedSampler[Any]):
    """Every so-manieth item for each rank, in order, and as many for all: ranks wait for each other batch by batch.

    Where they do not come out even, the last item of some ranks lies beyond the end. torch's own would give the first
    ones over again, unmarked, and they would count twice.

    Args:
        items: What is shared out.
        world_size: Number of processes.
        rank: Of this process.
    """

    def __init__(self, items: Dataset[Any], world_size: int, rank: int) -> None:
        super().__init__(items, num_replicas=world_size, rank=rank, shuffle=False)

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, self.total_size, self.num_replicas))


def check_global_batch(before: int | None, now: int, world_size: int) -> None:
    """Refuses to go on with other global batches than a run began with: clips would be repeated or left out.

    Args:
        before: Clips a step over all ranks, from the checkpoint; None if that does not tell.
        now: The same of this run.
        world_size: Its processes.

    Raises:
        ValueError: They differ.
    """
    if before not in (None, now):
        assert before is not None
        remedy = (
            f"with {world_size} of them give --data.batch_size {before // world_size}"
            if before % world_size == 0
            else f"use a number of devices that divides {before}"
        )
        raise ValueError(
            f"data.batch_size: the checkpoint is of a run with {before} clips a step over all devices, this one has "
            f"{now}; {remedy}, or start a new run directory"
        )
