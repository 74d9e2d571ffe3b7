"""BatchNorm over ranks against torch's own BatchNorm, for a group of one; two ranks are in `test_ranks.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torch.distributed as dist
from torch import nn

from musicfm_pl.systems.cross_rank_norm import CrossRankNorm


@pytest.fixture
def group() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize(("norm", "shape"), [(nn.BatchNorm1d(5), (3, 5, 7)), (nn.BatchNorm2d(5), (3, 5, 4, 6))])
def test_it_is_batch_norm(norm: nn.BatchNorm1d | nn.BatchNorm2d, shape: tuple[int, ...], group: None) -> None:
    torch.manual_seed(0)
    other = type(norm)(5).double()
    norm = norm.double()
    with torch.no_grad():
        for parameter, twin in zip(norm.parameters(), other.parameters(), strict=True):
            twin.copy_(parameter.normal_())
    kind = type(other)
    weight = other.weight
    assert CrossRankNorm().apply(nn.Sequential(other))[0] is other and type(other) is not kind
    for step in range(3):
        x = (3 + torch.randn(shape, dtype=torch.float64)).requires_grad_()
        y = x.detach().clone().requires_grad_()
        out, over_ranks = norm(x), other(y)
        torch.testing.assert_close(over_ranks, out)
        toward = torch.randn_like(out)
        out.backward(toward)
        over_ranks.backward(toward)
        torch.testing.assert_close(y.grad, x.grad)
        torch.testing.assert_close(other.state_dict(), norm.state_dict())
        assert other.num_batches_tracked == step + 1
    for parameter, twin in zip(norm.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(twin.grad, parameter.grad)
    torch.testing.assert_close(other.eval()(y), norm.eval()(x))
    CrossRankNorm().revert(nn.Sequential(other))
    assert type(other) is kind and other.weight is weight
