"""Dropout on CPUs: what torch's own does, in distribution, in gradients, and when it is repeated."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.dropout import Dropout, dropout
from musicfm_pl.encoders.attention import SelfAttention


@pytest.mark.parametrize("probability", [0.1, 0.5, 0.9])
def test_zeroes_as_many_as_it_should_and_scales_the_others(probability: float) -> None:
    torch.manual_seed(0)
    num = 1_000_003
    out = dropout(torch.ones(num), probability, True)
    kept = (out != 0).double().mean().item()
    assert abs(kept - (1 - probability)) < 5 * math.sqrt(probability * (1 - probability) / num) + 1e-5
    assert out.unique().tolist() == pytest.approx([0.0, 1 / (1 - probability)], rel=2e-4)
    assert abs(out.double().mean().item() - 1) < 5 * math.sqrt(probability / (1 - probability) / num)


def test_neighbours_are_independent() -> None:
    torch.manual_seed(1)
    kept = (dropout(torch.ones(400_000), 0.3, True) != 0).double() - 0.7
    for lag in (1, 2, 3, 4, 8):  # the first three share a number with their neighbours
        assert abs((kept[lag:] * kept[:-lag]).mean().item()) < 5 * 0.21 / math.sqrt(len(kept))


@given(shape=st.lists(st.integers(0, 9), max_size=4), dtype=st.sampled_from([torch.float32, torch.bfloat16]))
def test_any_shape_and_type_and_the_gradient_is_the_mask(shape: list[int], dtype: torch.dtype) -> None:
    x = torch.full(shape, 3.0, dtype=dtype, requires_grad=True)
    out = dropout(x, 0.25, True)
    assert (out.shape, out.dtype) == (x.shape, dtype)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    assert torch.equal(out, 3 * gradient)


def test_same_seed_same_mask_and_none_without_training() -> None:
    x = torch.randn(5, 7)
    layer = Dropout(0.4)
    drawn = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        drawn.append(layer(x))
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert layer.eval()(x) is x and Dropout(0.0)(x) is x


def test_all_or_nearly_all_may_go() -> None:
    assert dropout(torch.ones(1000), 1.0, True).abs().sum() == 0
    assert torch.isfinite(dropout(torch.ones(1000), 0.999999, True)).all()


def test_attention_with_dropout_is_torchs_on_average() -> None:
    """Means over many masks agree: the weights that are dropped are those of the softmax, and nothing else."""
    torch.manual_seed(0)
    attention = SelfAttention(16, 2, 0.2).train()
    h = torch.randn(1, 6, 16)
    ours = attention(h.expand(20_000, -1, -1)).mean(0)
    theirs = attention.eval()(h)[0]
    assert torch.allclose(ours, theirs, atol=0.01)
    # Without dropout in the mask, both ways are one.
    query, key, value = (torch.randn(1, 2, 6, 8) for _ in range(3))
    attention.train().dropout = 0.0
    assert torch.allclose(
        attention._with_dropout(query, key, value), F.scaled_dot_product_attention(query, key, value), atol=1e-6
    )
