"""Which clip comes when: nothing twice in an epoch, the same for any number of processes, and from any step on."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from data_modules import SAMPLE_RATE
from data_modules.clips import NOT_COUNTED, GridClips, RandomClips, WholeTracks, cut
from data_modules.index import Entry
from data_modules.order import EvenShares, ResumableSampler, mixed_seed
from data_modules.shards import Prepared
from data_modules.spans import Spans
from data_modules.waveforms import Samples


class Times:
    """A source whose values are the times they stand for."""

    def __init__(self, rate_hz: float = SAMPLE_RATE) -> None:
        self.rate_hz = rate_hz

    def expect(self, crops: Sequence[tuple[Entry, float, float]]) -> None:
        pass

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        return start_s + torch.arange(0, min(3, round(duration_s * self.rate_hz))) / self.rate_hz


def entry(number: int, duration_s: float) -> Entry:
    num_samples = round(duration_s * SAMPLE_RATE)
    beats_s = np.arange(0.0, duration_s, 0.5)
    return Entry(f"t{number}", "g", "train", "0", 0, num_samples, {"beat": Spans.events(beats_s, ["1"] * len(beats_s))})


ENTRIES = st.lists(st.floats(0.1, 100), min_size=1, max_size=8).map(
    lambda durations_s: [entry(number, duration_s) for number, duration_s in enumerate(durations_s)]
)
CLIPS_S = st.sampled_from([0.7, 5.0, 12.0, 30.0])


@given(ENTRIES, CLIPS_S, st.integers(0, 5), st.integers(0, 3))
def test_every_clip_at_most_once_an_epoch(entries: Sequence[Entry], clip_s: float, seed: int, epoch: int) -> None:
    clips = RandomClips(entries, Times(), clip_s, seed)
    made = [clips[epoch * len(clips) + position] for position in range(len(clips))]
    durations_s = {one.track_id: one.duration_s for one in entries}
    assert {clip.track_id for clip in made} == set(durations_s), "every track, however short"
    for track_id, duration_s in durations_s.items():
        starts_s = sorted(clip.start_s for clip in made if clip.track_id == track_id)
        assert all(b - a >= clip_s - 2 / SAMPLE_RATE for a, b in pairwise(starts_s)), "clips overlap"
        assert starts_s[0] >= 0
        assert starts_s[-1] + clip_s <= max(duration_s, clip_s) + 1 / SAMPLE_RATE
        assert len(starts_s) == max(1, int(duration_s / clip_s + 1e-9))


@given(ENTRIES, st.integers(0, 5))
def test_an_item_is_the_same_in_any_process_and_at_any_time(entries: Sequence[Entry], seed: int) -> None:
    clips = RandomClips(entries, Times(), 5.0, seed, with_labels=True)
    elsewhere = pickle.loads(pickle.dumps(clips))
    for item in (3 * len(clips), 0, len(clips) - 1):
        one, other = clips[item], elsewhere[item]
        assert torch.equal(one.values, other.values)
        assert one[1:] == other[1:]


def test_epochs_and_seeds_differ() -> None:
    entries = [entry(number, 40.0 + number) for number in range(6)]

    def starts(seed: int, epoch: int) -> list[tuple[str, float]]:
        clips = RandomClips(entries, Times(), 5.0, seed)
        made = [clips[epoch * len(clips) + position] for position in range(len(clips))]
        return [(clip.track_id, clip.start_s) for clip in made]

    orders = [starts(0, 0), starts(0, 1), starts(1, 0)]
    assert len({tuple(order) for order in orders}) == 3
    assert len({tuple(track for track, _ in order) for order in orders}) == 3, "the order, not the offsets alone"
    assert len({tuple(sorted(order)) for order in orders}) == 3, "the offsets, not the order alone"
    clips = RandomClips(entries, Times(), 5.0, 0)
    seeds = [clips[item].seed for item in range(2 * len(clips))]
    assert len(set(seeds)) == len(seeds), "masks are drawn anew in every epoch"


@given(ENTRIES, CLIPS_S)
def test_the_grid_is_the_same_every_time(entries: Sequence[Entry], clip_s: float) -> None:
    clips = GridClips(entries, Times(), clip_s, seed=0)
    made = [clips[item] for item in range(len(clips))]
    assert len(made) == sum(max(1, int(one.duration_s / clip_s + 1e-9)) for one in entries)
    for clip in made:
        assert clip.start_s == pytest.approx(round(clip.start_s / clip_s) * clip_s, abs=1 / SAMPLE_RATE)
    assert [clips[item].seed for item in range(len(clips))] == [clip.seed for clip in made]


@given(ENTRIES, st.integers(1, 5), st.integers(1, 12))
def test_ranks_share_the_grid(entries: Sequence[Entry], world_size: int, most: int) -> None:
    """Each clip once, as many items for all; what is over counts nowhere."""
    clips = GridClips(entries, Times(), 5.0, seed=0)
    clips.thin(most)
    shares = [list(EvenShares(clips, world_size, rank)) for rank in range(world_size)]
    assert (
        {len(share) for share in shares}
        == {-(-len(clips) // world_size)}
        == {len(EvenShares(clips, world_size, rank)) for rank in range(world_size)}
    )
    seeds = [clip.seed for share in shares for clip in clips.__getitems__(share)]
    assert sorted(seed for seed in seeds if seed != NOT_COUNTED) == sorted(clips[i].seed for i in range(len(clips)))


@given(st.floats(0, 50), st.sampled_from([25.0, 50.0, 75.0, float(SAMPLE_RATE)]))
def test_labels_move_with_the_values(start_s: float, rate_hz: float) -> None:
    track = entry(0, 60.0)
    clip = cut(track, Times(rate_hz), start_s, 5.0, 0, with_labels=True)
    assert -1e-6 < start_s - clip.start_s < 1 / rate_hz + 1e-6
    assert clip.values[0].item() == pytest.approx(clip.start_s, abs=1e-5)
    beats_s = clip.labels["beat"].starts_s + clip.start_s
    np.testing.assert_allclose(beats_s, np.round(beats_s * 2) / 2, atol=1e-9)
    assert len(beats_s) == 10


def test_samples_are_filled_up_with_zeros(prepared: Path) -> None:
    source = Samples(Prepared(prepared))
    track = source.prepared.entries[0]
    values = source.read(track, track.duration_s - 1.0, 3.0)
    assert values.dtype == torch.int16
    assert len(values) == 3 * SAMPLE_RATE
    assert values[:SAMPLE_RATE].any() and not values[SAMPLE_RATE:].any()
    whole = WholeTracks([track], source)[0]
    assert len(whole.values) == track.num_samples
    assert whole.labels == track.labels


def test_what_a_sampler_refuses() -> None:
    with pytest.raises(ValueError, match="cannot be divided by 3 ranks"):
        ResumableSampler(100, 8, world_size=3)
    with pytest.raises(ValueError, match=r"data\.batch_size: a global batch of 8 clips, .* only 7"):
        ResumableSampler(7, 8)
    assert len(ResumableSampler(17, 4, rank=1, world_size=2)) == 8


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=3))
def test_mixed_seeds_are_what_torch_takes(parts: list[int]) -> None:
    seed = mixed_seed(*parts)
    assert 0 <= seed < 2**63
    torch.Generator().manual_seed(seed)
    assert seed != mixed_seed(*parts, 1)
