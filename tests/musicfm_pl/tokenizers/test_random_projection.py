"""Random-projection tokens against a direct cosine nearest neighbour in float64."""

import math

import pytest
import torch

from musicfm_pl.tokenizers.base import stack_frames
from musicfm_pl.tokenizers.random_projection import RandomProjection


def frames(num_tokens: int, frame_dim: int = 512) -> torch.Tensor:
    return torch.randn(num_tokens, frame_dim, generator=torch.Generator().manual_seed(1))


def cosines(tokenizer: RandomProjection, frames_TD: torch.Tensor, book: int = 0) -> torch.Tensor:
    projected = frames_TD.double() @ tokenizer.projection[book].double()
    codes = tokenizer.codes[book].double()
    return (projected @ codes.T) / projected.norm(dim=1, keepdim=True) / codes.norm(dim=1)


@pytest.mark.parametrize(("num_codes", "book"), [(8192, 0), (4096, 0), (7, 0), (64, 2)])
def test_is_the_nearest_code_by_cosine(num_codes: int, book: int) -> None:
    tokenizer = RandomProjection(512, num_codes, num_books=book + 1)
    x = frames(3000)
    tokens, similarity = tokenizer(x)[:, book], cosines(tokenizer, x, book)
    assert tokens.dtype == torch.int64 and tokens.shape == (3000,)
    best = similarity.topk(2, dim=1)
    other = tokens != best.indices[:, 0]
    assert (best.values[other, 0] - similarity[other, tokens[other]] < 1e-5).all()
    assert other.float().mean() < 1e-3
    # The same as the least Euclidean distance of unit vectors, as the study words it.
    unit = torch.nn.functional.normalize(x.double() @ tokenizer.projection[book].double(), dim=1)
    distance = torch.cdist(unit, tokenizer.codes[book].double())
    assert (distance.gather(1, tokens[:, None])[:, 0] - distance.min(dim=1).values).max() < 1e-3


def test_projection_and_codes_have_the_study_s_distributions() -> None:
    tokenizer = RandomProjection(512)
    assert tokenizer.projection.shape == (1, 512, 16) and tokenizer.codes.shape == (1, 8192, 16)
    # Xavier: standard deviation sqrt(2 / (in + out)).
    assert tokenizer.projection.std().item() == pytest.approx(math.sqrt(2 / 528), rel=0.03)
    torch.testing.assert_close(tokenizer.codes[0].norm(dim=1), torch.ones(8192))
    assert tokenizer.codes[0].mean(dim=0).abs().max() < 0.02


def test_more_books_leave_the_first_as_it_is_and_differ() -> None:
    x = frames(2000, 64)
    single, several = RandomProjection(64, 32)(x), RandomProjection(64, 32, num_books=3)(x)
    assert torch.equal(single[:, 0], several[:, 0])
    for other in (1, 2):
        assert (several[:, 0] == several[:, other]).float().mean() < 0.2


def test_the_seed_decides_and_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = RandomProjection(64, 100, seed=3)
    first(frames(10, 64))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again, other = RandomProjection(64, 100, seed=3), RandomProjection(64, 100, seed=4)
    assert torch.equal(first.codes, again.codes) and torch.equal(first.projection, again.projection)
    assert not torch.equal(first.codes, other.codes) and not torch.equal(first.projection, other.projection)


def test_checkpoints_carry_the_codebook() -> None:
    first, other = RandomProjection(64, 100, seed=1), RandomProjection(64, 100, seed=2)
    assert set(first.state_dict()) == {"projection", "codes"}
    other.load_state_dict(first.state_dict())
    assert torch.equal(first(frames(50, 64)), other(frames(50, 64)))
    assert not list(first.parameters())


def test_precision_is_float32_whatever_surrounds_it() -> None:
    tokenizer, x = RandomProjection(512), frames(500)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokenizer(x), tokenizer(x.float()))
        inside = tokenizer(x)
    assert torch.equal(inside, tokenizer(x))


def test_no_frames_have_no_tokens() -> None:
    assert RandomProjection(128, 64)(frames(0, 128)).shape == (0, 1)


def test_length_of_a_frame_does_not_matter() -> None:
    tokenizer, x = RandomProjection(128), frames(200, 128)
    assert torch.equal(tokenizer(x), tokenizer(x * 8))


def test_stacking_is_that_of_the_authors() -> None:
    mel_BMF = torch.arange(2 * 3 * 9).reshape(2, 3, 9)
    stacked = stack_frames(mel_BMF, 4)
    assert stacked.shape == (2, 2, 12)
    assert stacked[1, 1].tolist() == [int(mel_BMF[1, band, frame]) for frame in range(4, 8) for band in range(3)]


@pytest.mark.parametrize("arguments", [{"num_codes": 0}, {"code_dim": 0}, {"num_books": 0}])
def test_bad_settings_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(arguments))):
        RandomProjection(8, **arguments)


def test_frames_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(tokens, 512\), got \(3, 128\)"):
        RandomProjection(512)(frames(3, 128))
