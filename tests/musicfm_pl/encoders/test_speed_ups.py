"""What makes the encoders fast changes nothing: Winograd, recomputation, windows that share, compilation."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from musicfm_pl.encoders import conv_front_end, winograd
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.conv_front_end import ConvFrontEnd

SMALL = {"dim": 16, "num_layers": 3, "num_heads": 2, "ffn_dim": 24, "num_mels": 16, "conv_channels": 4}
ENCODERS = pytest.mark.parametrize("kind", [Conformer, Bert], ids=lambda kind: kind.__name__)


def build(kind: Callable[..., Encoder], **options: object) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = kind(**{**SMALL, **options})
        for part in encoder.modules():
            if isinstance(part, nn.modules.batchnorm._BatchNorm):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)
    return encoder


@settings(max_examples=25)
@given(
    batch=st.integers(1, 2),
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 19), st.integers(1, 11)),
    at_once=st.integers(1, 40),
)
def test_winograd_is_the_convolution(batch: int, sizes: tuple[int, int, int, int], at_once: int) -> None:
    channels, num_out, height, width = sizes
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, channels, height, width, generator=generator, dtype=torch.double)
    weight = torch.randn(num_out, channels, 3, 3, generator=generator, dtype=torch.double)
    bias = torch.randn(num_out, generator=generator, dtype=torch.double)
    found = winograd.convolved(x, weight, bias, at_once)
    torch.testing.assert_close(found, F.conv2d(x, weight, bias, padding=1), rtol=1e-10, atol=1e-10)


@torch.no_grad()
def test_the_front_end_takes_winograd_where_channels_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    front_end = ConvFrontEnd(8, 16, 32).eval()
    mel_BMF = torch.randn(2, 16, 50)
    direct = front_end(mel_BMF)
    used: list[torch.Size] = []

    def convolved(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        used.append(x.shape)
        return winograd.convolved(x, weight, bias)

    monkeypatch.setattr(conv_front_end, "WINOGRAD_CHANNELS", 32)
    monkeypatch.setattr(conv_front_end, "convolved", convolved)
    torch.testing.assert_close(front_end(mel_BMF), direct, rtol=1e-5, atol=1e-5)
    assert used == [(2, 32, 25, 8), (2, 32, 13, 4)], "the second convolution of each block, whose stride is 1"
    used.clear()
    with torch.autocast("cpu", torch.bfloat16):
        front_end(mel_BMF)
    front_end.train()(mel_BMF)
    assert not used, "bfloat16 and training have better ways"


def trained(encoder: Encoder) -> tuple[list[Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Hidden states, gradients and buffers after a step with dropout."""
    torch.manual_seed(1)
    found = encoder.train()(torch.randn(2, 16, 37))
    sum(h_BTD.square().sum() * number for number, h_BTD in enumerate(found)).backward()
    gradients = {name: parameter.grad for name, parameter in encoder.named_parameters()}
    return found, gradients, dict(encoder.named_buffers())


@ENCODERS
@pytest.mark.parametrize("blocks", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("layers", [0, 2, 3])
def test_recomputed_equals_kept(kind: Callable[..., Encoder], blocks: tuple[int, ...], layers: int) -> None:
    """With dropout and batch statistics, which see the batch once though they are computed twice."""
    kept = trained(build(kind))
    again = trained(build(kind, recomputed_blocks=blocks, recomputed_layers=layers))
    for before, after in zip(kept[0], again[0], strict=True):
        assert torch.equal(before, after)
    for before, after in zip(kept[1:], again[1:], strict=True):
        assert before.keys() == after.keys()
        for name in before:
            torch.testing.assert_close(after[name], before[name], rtol=1e-6, atol=1e-6)


@ENCODERS
def test_recomputing_keeps_less(kind: Callable[..., Encoder]) -> None:
    def saved(**options: object) -> int:
        sizes: list[int] = []

        def keep(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            build(kind, **options)(torch.randn(2, 16, 400))
        return sum(sizes)

    plain = saved()
    assert saved(recomputed_layers=3) < saved(recomputed_layers=1) < plain
    assert saved(recomputed_blocks=(0, 1)) < saved(recomputed_blocks=(0,)) < plain
    assert saved(recomputed_blocks=(0, 1), recomputed_layers=3) < plain / 8


@ENCODERS
@pytest.mark.parametrize("options", [{"recomputed_layers": 4}, {"recomputed_layers": -1}, {"recomputed_blocks": (2,)}])
def test_what_there_is_not_cannot_be_recomputed(kind: Callable[..., Encoder], options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        build(kind, **options)


@settings(max_examples=60)
@given(
    time_strides=st.sampled_from([(2, 2), (2, 1), (1, 1)]),
    window=st.integers(20, 60),
    step=st.integers(1, 70),
    count=st.integers(1, 5),
    tail=st.integers(0, 7),
)
def test_windows_share_what_is_local(
    time_strides: tuple[int, int], window: int, step: int, count: int, tail: int
) -> None:
    """To rounding, each window is what the front end makes of it alone, with its own padding at both ends."""
    torch.manual_seed(0)
    front_end = ConvFrontEnd(8, 16, 3, time_strides).double().eval()
    stride = math.prod(time_strides)
    bounds = [(number * step * stride, (number * step + window) * stride) for number in range(count)]
    bounds[-1] = (bounds[-1][0], bounds[-1][1] + tail)
    mel_1MF = torch.randn(1, 16, bounds[-1][1], dtype=torch.double)
    found = list(front_end.windows(mel_1MF, bounds))
    for h_1TD, (first, last) in zip(found, bounds, strict=True):
        torch.testing.assert_close(h_1TD, front_end(mel_1MF[:, :, first:last]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("time_strides", [(2, 2), (2, 1), (1, 1)])
@torch.no_grad()
def test_no_more_tokens_are_padded_than_are(time_strides: tuple[int, int]) -> None:
    """Against what the front end makes of audio that goes on."""
    torch.manual_seed(0)
    front_end = ConvFrontEnd(8, 16, 16, time_strides).double().eval()
    edge, stride = front_end.padded_tokens(), math.prod(time_strides)
    mel_1MF = torch.randn(1, 16, 60 * stride, dtype=torch.double)
    whole, part = front_end(mel_1MF), front_end(mel_1MF[:, :, 20 * stride :])
    same = torch.isclose(whole[0, 20:], part[0], rtol=1e-9, atol=1e-12).all(dim=1)
    assert same[edge:].all() and not same[: edge - 1].any()


@torch.no_grad()
def test_sharing_saves_work() -> None:
    front_end = ConvFrontEnd(8, 16, 3).eval()
    frames: list[int] = []
    front_end.register_forward_hook(lambda _, inputs, __: frames.append(inputs[0].shape[2]))
    bounds = [(first, first + 1000) for first in range(0, 4001, 500)]
    list(front_end.windows(torch.randn(1, 16, 5000), bounds))
    assert 5000 < sum(frames) < 6000, "without sharing 9000"


@pytest.mark.parametrize(
    ("kind", "options"),
    [(Conformer, {}), (Conformer, {"recomputed_layers": 1, "recomputed_blocks": (0, 1)}), (Bert, {})],
    ids=["Conformer", "Conformer-recomputed", "Bert"],
)
def test_compiled_equals_eager_in_one_graph(kind: Callable[..., Encoder], options: dict[str, object]) -> None:
    eager, compiled = (build(kind, dropout=0.0, num_layers=2, **more) for more in ({}, options))
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    run = torch.compile(lambda mel_BMF: compiled(mel_BMF)[-1], fullgraph=True, dynamic=False, backend="aot_eager")
    for encoder in (eager, compiled):
        encoder.train()
    for step in range(3):
        mel_BMF = torch.randn(2, 16, 40, generator=torch.Generator().manual_seed(step))
        expected, found = eager(mel_BMF)[-1], run(mel_BMF)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        for h_BTD in (expected, found):
            h_BTD.square().sum().backward()
    for (name, before), after in zip(eager.named_parameters(), compiled.parameters(), strict=True):
        assert (after.grad - before.grad).norm() <= 1e-3 * before.grad.norm() + 1e-4, name
    for (name, before), after in zip(eager.named_buffers(), compiled.buffers(), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5, msg=name)
    assert counters["stats"]["unique_graphs"] == 1
    assert not counters["graph_break"]
    assert not counters["recompiles"]
