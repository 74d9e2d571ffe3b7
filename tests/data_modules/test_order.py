"""Every clip once an epoch, and the same global batches, however the work is shared out and wherever it stops."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from miniature import Miniature
from torch.utils.data import DataLoader

from data_modules.batches import PretrainBatch
from data_modules.card import settle
from data_modules.clips import Clip, RandomClips
from data_modules.masking import MelNoise, WaveNoise
from data_modules.mel import LogMel
from data_modules.order import Place, ResumableSampler, check_global_batch, permutation
from data_modules.pretrain import PretrainData, collate
from data_modules.shard_writer import Shape, merge_index, write_shard
from data_modules.shards import Prepared
from data_modules.waveforms import Samples


@st.composite
def splits_of_work(draw: st.DrawFn) -> tuple[int, int, int]:
    """Clips an epoch, global batch, and processes."""
    world_size = draw(st.sampled_from([1, 2, 3, 4]))
    global_batch = world_size * draw(st.integers(1, 4))
    return draw(st.integers(global_batch, 80)), global_batch, world_size


def batches(length: int, global_batch: int, world_size: int, first: int, last: int) -> list[list[Place]]:
    """Global batches `first` to `last`, as the ranks share them, each beginning anew whenever an epoch ends."""

    def order(epoch: int) -> np.ndarray:
        return permutation(7, epoch, length)

    taken = [first]
    samplers = [
        ResumableSampler(length, global_batch, rank, world_size, lambda: taken[0], order) for rank in range(world_size)
    ]
    found: list[list[Place]] = []
    local = global_batch // world_size
    while taken[0] < last:
        items = [list(sampler) for sampler in samplers]
        assert len({len(one) for one in items}) == 1, "ranks that wait for each other need equal numbers"
        steps = len(items[0]) // local
        found += [[item for one in items for item in one[at * local : (at + 1) * local]] for at in range(steps)]
        taken[0] += steps
    return found[: last - first]


@given(splits_of_work(), st.data())
def test_any_ranks_from_any_stop_to_any_other_ranks(work: tuple[int, int, int], data: st.DataObject) -> None:
    length, global_batch, world_size = work
    last = 4 * length // global_batch
    stop = data.draw(st.integers(0, last))
    undisturbed = batches(length, global_batch, 1, 0, last)
    before = batches(length, global_batch, world_size, 0, stop)
    other = data.draw(st.sampled_from([one for one in (1, 2, 3, 4) if global_batch % one == 0]))
    assert before + batches(length, global_batch, other, stop, last) == undisturbed


@given(splits_of_work())
def test_every_clip_once_an_epoch_across_its_ends(work: tuple[int, int, int]) -> None:
    length, global_batch, world_size = work
    seen = [place for batch in batches(length, global_batch, world_size, 0, 3 * length) for place in batch]
    assert [place.item for place in seen] == list(range(3 * length * global_batch))
    orders = set()
    for epoch in range(3):
        clips = [place.flat for place in seen[epoch * length : (epoch + 1) * length]]
        assert sorted(clips) == list(range(length))
        orders.add(tuple(clips))
    assert len(orders) == 3 or length < 8


def test_global_batches_of_other_sizes_are_refused() -> None:
    check_global_batch(None, 8, 1)
    check_global_batch(8, 8, 2)
    with pytest.raises(ValueError, match=r"8 clips a step over all devices, this one has 16; .* --data\.batch_size 2,"):
        check_global_batch(8, 16, 4)
    with pytest.raises(ValueError, match="use a number of devices that divides 8"):
        check_global_batch(8, 9, 3)


@given(st.integers(0, 1000), st.integers(0, 5), st.integers(1, 3000))
def test_the_order_is_that_of_numpy(seed: int, epoch: int, length: int) -> None:
    np.testing.assert_array_equal(
        permutation(seed, epoch, length), np.random.default_rng([seed, epoch]).permutation(length)
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Shape], Path]:
    """The same corpus in shards of any size and format; each is made once."""
    root = tmp_path_factory.mktemp("shards")
    corpus = Miniature()
    items = corpus.items()

    def make(shape: Shape) -> Path:
        folder = root / "-".join(map(str, shape))
        if not folder.exists():
            starts = range(0, len(items), shape.tracks_per_shard)
            settle(corpus, items, folder, shape._asdict())
            for number, first in enumerate(starts):
                write_shard(corpus, items[first : first + shape.tracks_per_shard], folder, number, shape)
            merge_index(folder, len(starts))
        return folder

    return make


@pytest.fixture(scope="module")
def undisturbed(stored: Callable[[Shape], Path]) -> list[tuple[bytes, list[int]]]:
    """The batches of an epoch, made by one process."""
    batches = global_batches(stored(Shape()), 1, 0, 0)
    assert len(batches) == 10
    assert len({audio for audio, _ in batches}) == 10
    return batches


def global_batches(folder: Path, world_size: int, workers: int, stop: int) -> list[tuple[bytes, list[int]]]:
    """Audio and seeds of the batches of an epoch, from one on."""
    clips = RandomClips(Prepared(folder).tracks("train"), Samples(Prepared(folder)), 2.0, seed=3)
    loaders = [
        DataLoader(
            clips,
            batch_size=4 // world_size,
            sampler=ResumableSampler(len(clips), 4, rank, world_size, lambda: stop, clips.order),
            num_workers=workers,
            collate_fn=collate,
        )
        for rank in range(world_size)
    ]
    return [
        (
            b"".join(one.samples_BN.numpy().tobytes() for one in ranks),
            [origin.seed for one in ranks for origin in one.origins],
        )
        for ranks in zip(*loaders, strict=True)
    ]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@given(
    # Of one megabyte a file holds two tracks.
    st.builds(Shape, st.sampled_from(["int16", "flac"]), st.integers(1, 8), st.sampled_from([1, 1024])),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 2),
    st.integers(0, 9),
)
@settings(max_examples=12)
def test_the_same_audio_for_any_ranks_workers_and_shards(
    stored: Callable[[Shape], Path],
    undisturbed: list[tuple[bytes, list[int]]],
    shape: Shape,
    world_size: int,
    workers: int,
    stop: int,
) -> None:
    assert global_batches(stored(shape), world_size, workers, stop) == undisturbed[stop:]


@pytest.mark.parametrize("masking", [WaveNoise(), MelNoise()], ids=["wave", "mel"])
@given(st.permutations(range(4)), st.integers(1, 4))
@settings(max_examples=5)
def test_the_mask_of_a_clip_does_not_depend_on_its_neighbours(masking: Any, order: list[int], count: int) -> None:
    samples = torch.randint(-3000, 3000, (4, 24_000), generator=torch.Generator().manual_seed(0), dtype=torch.int16)
    data = PretrainData(root="anywhere", clip_s=1.0, masking=masking, features=LogMel(hop_length=240))

    def batch(rows: list[int]) -> PretrainBatch:
        raw = collate([Clip(samples[row], 100 + row, "track", float(row), 1.0, {}) for row in rows])
        return data.on_after_batch_transfer(raw, 0)

    together, some = batch([0, 1, 2, 3]), batch(order[:count])
    for ours, theirs in zip(some[:3], together[:3], strict=True):
        torch.testing.assert_close(ours, theirs[order[:count]])
    assert [origin.start_s for origin in some.origins] == order[:count]
    assert not torch.equal(together.mask_BF[0], together.mask_BF[1]) or together.mask_BF.float().mean() in (0, 1)
