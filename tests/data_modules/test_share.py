"""Some of the training tracks: which, and that pretraining hears no others."""

from __future__ import annotations

import math
from pathlib import Path

import lightning as L
import million
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.pretrain import PretrainData
from data_modules.shards import Prepared


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    folder = tmp_path_factory.mktemp("hundred")
    million.write_many(folder, 100, "int16")
    return Prepared(str(folder))


@given(
    shares=st.tuples(*[st.floats(0.0, 1.0, exclude_min=True)] * 2).map(sorted),
    seed=st.integers(0, 2**31),
)
def test_a_share_lies_within_every_larger_one(hundred: Prepared, shares: list[float], seed: int) -> None:
    tracks = hundred.tracks("train")
    small, large = ([entry.track_id for entry in tracks.share(share, seed)] for share in shares)
    assert set(small) <= set(large)
    assert (len(small), len(large)) == tuple(math.ceil(share * len(tracks)) for share in shares)
    assert len(set(large)) == len(large)


def test_seeds_draw_different_shares(hundred: Prepared) -> None:
    drawn = {tuple(e.track_id for e in hundred.tracks("train").share(0.3, seed)) for seed in range(5)}
    assert len(drawn) == 5


@pytest.mark.parametrize("share", [0.0, -0.1, 1.5, math.nan])
def test_no_share_is_refused(hundred: Prepared, share: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        hundred.tracks("train").share(share, 0)
    with pytest.raises(ValueError, match=r"data\.train_share: above 0 and at most 1"):
        PretrainData(root="unused", train_share=share)


def test_training_hears_the_share_alone(prepared: Path) -> None:
    heard = {}
    for share in (0.2, 1.0):
        data = PretrainData(root=str(prepared), clip_s=2.0, batch_size=4, num_workers=0, train_share=share)
        data.trainer = L.Trainer(logger=False, enable_progress_bar=False, enable_model_summary=False, accelerator="cpu")
        data.setup("fit")
        clips = data.train_dataloader().dataset
        heard[share] = {clips[item].track_id for item in range(len(clips))}  # type: ignore[arg-type]
    tracks = Prepared(str(prepared)).tracks("train")
    assert len(heard[1.0]) == len(tracks)
    assert heard[0.2] == {entry.track_id for entry in tracks.share(0.2, 0)}
