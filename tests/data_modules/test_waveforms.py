"""Clips lie where their batch lies, and are what was stored, whoever reads them and in whatever order."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from data_modules import SAMPLE_RATE
from data_modules.clips import GridClips, RandomClips
from data_modules.pretrain import collate
from data_modules.shards import Prepared
from data_modules.waveforms import Samples, stacked

CLIP_S = 5.0


@pytest.mark.parametrize("folder", ["prepared", "prepared_flac"])
def test_a_batch_is_one_tensor_and_as_stored(folder: str, request: pytest.FixtureRequest) -> None:
    source = Prepared(request.getfixturevalue(folder))
    clips = RandomClips(source.entries, Samples(source), CLIP_S, seed=1).__getitems__(list(range(6)))
    batch_BN = stacked([clip.values for clip in clips])
    assert batch_BN.data_ptr() == clips[0].values.data_ptr(), "nothing was copied"
    by_name = {entry.track_id: source.read(entry) for entry in source.entries}
    for row, clip in zip(batch_BN.numpy(), clips, strict=True):
        first = round(clip.start_s * SAMPLE_RATE)
        stored = by_name[clip.track_id][first : first + len(row)]
        np.testing.assert_array_equal(row[: len(stored)], stored)
        assert not row[len(stored) :].any()


def test_workers_hand_over_the_same_batches(prepared: Path) -> None:
    clips = GridClips((source := Prepared(prepared)).entries, Samples(source), CLIP_S, seed=1)
    alone, beside = (
        [raw.samples_BN for raw in DataLoader(clips, 4, collate_fn=collate, num_workers=number)] for number in (0, 2)
    )
    assert len(alone) > 1 and all(torch.equal(a, b) for a, b in zip(alone, beside, strict=True))


def test_one_batch_does_not_change_the_last(prepared: Path) -> None:
    source = Prepared(prepared)
    clips = RandomClips(source.entries, Samples(source), CLIP_S, seed=1)
    first = collate(clips.__getitems__([0, 1])).samples_BN
    kept = first.clone()
    clips.__getitems__([2, 3])
    assert torch.equal(first, kept)


def test_stacked_copies_what_does_not_lie_in_order() -> None:
    rows = torch.arange(12).reshape(3, 4).unbind()
    assert torch.equal(stacked(rows[::-1]), torch.stack(rows[::-1]))
    assert torch.equal(stacked(rows[:2]), torch.stack(rows[:2]))
    assert torch.equal(stacked([torch.arange(3), torch.zeros(3)]), torch.stack([torch.arange(3), torch.zeros(3)]))
