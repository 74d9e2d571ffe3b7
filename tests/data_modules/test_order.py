"""Every clip once an epoch, and the same global batches, however the work is shared out and wherever it stops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import command
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from data_modules.batches import PretrainBatch
from data_modules.clips import Clip, RandomClips
from data_modules.masking import MelNoise, WaveNoise
from data_modules.mel import LogMel
from data_modules.order import Place, ResumableSampler, check_global_batch, permutation
from data_modules.pretrain import PretrainData, collate
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
def shards(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same corpus in shards of other sizes and formats."""
    folders = []
    for number, more in enumerate((("1", "int16", "1"), ("3", "flac", "1024"), ("8", "flac", "1"))):
        out = tmp_path_factory.mktemp("shards") / str(number)
        shape = ("--tracks_per_shard", more[0], "--format", more[1], "--shard_mb", more[2])
        command.succeed("prepare", "--corpus", "miniature.Miniature", "--out", out, "--jobs", "1", *shape)
        folders.append(out)
    return folders


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
def test_the_same_audio_for_any_ranks_workers_and_shards(shards: list[Path]) -> None:
    undisturbed = global_batches(shards[0], 1, 0, 0)
    assert len(undisturbed) == 10
    assert len({audio for audio, _ in undisturbed}) == 10
    for folder, world_size, workers, stop in (
        (shards[1], 2, 0, 3),
        (shards[2], 4, 0, 9),
        (shards[1], 1, 2, 0),
        (shards[0], 2, 1, 5),
    ):
        assert global_batches(folder, world_size, workers, stop) == undisturbed[stop:]


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
