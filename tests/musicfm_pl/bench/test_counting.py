"""What is counted on tensors without values, against counts by hand; and the study's model in figures."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from musicfm_pl.bench.counting import Count, _Traffic, count, forward_flops, our_loss, public_loss
from musicfm_pl.bench.memory import memory
from musicfm_pl.bench.pairs import Pair, pair
from musicfm_pl.bench.sizes import SIZES, Size
from musicfm_pl.costs.memory import saved_activations

TINY = Size(16, 2, 24, 3, num_layers=2)


def test_traffic_by_hand() -> None:
    a, b = torch.randn(30, 20), torch.randn(20, 10)
    with _Traffic() as traffic:
        c = a @ b
    assert traffic.moved_bytes == 4 * (600 + 200 + 300)
    with _Traffic() as traffic:
        c.t().unsqueeze(0).expand(5, 10, 30)
    assert traffic.moved_bytes == 0, "views move nothing"
    with _Traffic() as traffic:
        c.relu_()
    assert traffic.moved_bytes == 4 * 2 * 300
    with _Traffic() as traffic:
        c + c[:1].expand(30, 10)
    assert traffic.moved_bytes == 4 * (300 + 10 + 300)


@pytest.mark.parametrize(("rate_hz", "clip_s"), [(25, 0.3), (75, 0.4)])
def test_what_a_product_and_a_relu_keep(rate_hz: int, clip_s: float) -> None:
    """By hand: the input in bfloat16 for the product's weight, and the output of the ReLU, in a clip of 30 frames."""

    def loss(models: Pair, mel_BMF: Tensor, masked_P: Tensor) -> Tensor:
        return torch.relu(models.ours.prediction(mel_BMF[:, :16].transpose(1, 2))).sum()

    found = count(lambda: pair(TINY, rate_hz, num_codes=7), loss, clip_s)
    assert found.saved_bytes == 2 * 30 * 16 + 2 * 30 * 7
    assert found.flops == 2 * (2 * 30 * 16 * 7), "forward, and backward to the weight; the mel needs no gradient"


@pytest.mark.parametrize(
    ("function", "kept", "moved"),
    [
        # What stays, a byte each. Forward it reads, writes and writes the mask; backward it reads both, and writes.
        (lambda x: F.dropout(x, 0.1, True), 1, (4 + 4 + 1) + (4 + 1 + 4)),
        # Its input. Forward it reads and writes; backward it reads input and gradient, and writes.
        (lambda x: F.silu(x), 4, (4 + 4) + (4 + 4 + 4)),
    ],
)
def test_dropout_and_swish_are_a_kernel_each_way_as_on_a_gpu(
    function: Callable[[Tensor], Tensor], kept: int, moved: int
) -> None:
    """By hand, in float32: what a second one adds, whose gradient is no constant."""

    def times(number: int) -> Callable[[Pair, Tensor, Tensor], Tensor]:
        def loss(models: Pair, mel_BMF: Tensor, masked_P: Tensor) -> Tensor:
            x = mel_BMF.requires_grad_()
            for _ in range(number):
                x = function(x)
            return x.sum()

        return loss

    once, twice = (count(lambda: pair(TINY, num_codes=7), times(number), 0.3) for number in (1, 2))
    elements = 30 * 128
    assert twice.saved_bytes - once.saved_bytes == kept * elements
    assert twice.moved_bytes - once.moved_bytes == moved * elements


@pytest.mark.parametrize("name", ["2m", "10m"])
def test_what_is_kept_is_what_plan_counts(name: str) -> None:
    """Counted twice: there a forward pass on tensors of a GPU, here both passes on those of a CPU made to do the same.

    They part by one tensor, 2 %: without a GPU torch takes convolutions there for channels-first, and what the front
    end gives its linear layer for a copy.
    """
    size = SIZES[name]
    found = count(lambda: pair(size), lambda models, mel_BMF, masked_P: models.encoder(mel_BMF)[-1].sum(), 4.0)
    planned = saved_activations(pair(size).encoder.train(), 400, autocast=True)
    assert planned.bytes_a_clip - found.saved_bytes == 2 * size.conv_channels * 32 * 100


def test_recomputing_all_costs_a_forward_pass() -> None:
    plain = count(lambda: pair(TINY, num_codes=16), our_loss, 4.0)
    again = count(lambda: pair(TINY, num_codes=16, recomputed_layers=2, recomputed_blocks=(0, 1)), our_loss, 4.0)
    # All but the prediction of 60 masked tokens, of 8192 codes there; the last product of a part is not needed again.
    forward = forward_flops(TINY, 4.0, 25) - 2 * 60 * 16 * 8192
    assert 0.7 * forward < again.flops - plain.flops <= forward
    assert again.saved_bytes < plain.saved_bytes / 3
    assert again.moved_bytes > plain.moved_bytes
    public = count(lambda: pair(TINY, num_codes=16), public_loss, 4.0)
    assert isinstance(public, Count) and public.saved_bytes > plain.saved_bytes


@pytest.mark.parametrize(
    ("rate_hz", "clip_s", "num_frames", "num_masked", "num_tokens"),
    [(25, 4.0, 400, 60, 100), (75, 5.0, 375, 216, 375)],  # of 5 s, 0.6 of the twelve whole blocks of 0.4 s
)
def test_arithmetic_is_that_of_a_forward_pass_that_is_made(
    rate_hz: int, clip_s: float, num_frames: int, num_masked: int, num_tokens: int
) -> None:
    """On tensors with values, attention included."""
    models = pair(TINY, rate_hz)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        models.ours.logits(torch.randn(1, 128, num_frames), torch.arange(num_masked), num_tokens)
    assert forward_flops(TINY, clip_s, rate_hz) == counter.get_total_flops()


@pytest.mark.parametrize(
    ("name", "clip_s", "rate_hz", "tflop"),
    [
        ("330m", 30.0, 50, 6.5),
        ("330m", 30.0, 75, 10.0),
        ("330m", 5.0, 25, 0.63),
        ("330m", 5.0, 75, 1.6),
        # 24 layers are 5.25 TFLOP, 12 are 3.87; FM8 has 26.
        ("660m", 30.0, 25, 5.25 + (5.25 - 3.87) / 6),
    ],
)
def test_arithmetic_of_a_training_step(name: str, clip_s: float, rate_hz: int, tflop: float) -> None:
    """That the study's sizes give by hand."""
    assert 3e-12 * forward_flops(SIZES[name], clip_s, rate_hz) == pytest.approx(tflop, rel=0.04)


def test_the_study_s_model_in_figures() -> None:
    """The arithmetic that the study's sizes give by hand, and how much less ours keeps and moves."""
    figures = {(figure.way, figure.unit): figure for figure in memory(SIZES["330m"], "330m", clip_s=30.0, rate_hz=25)}
    assert figures["ours", "TFLOP"].value == pytest.approx(3.87, rel=0.02)
    kept = {way: figure.ratio for (way, unit), figure in figures.items() if unit == "GB saved"}
    assert kept["ours"] <= 0.66 and kept["ours, all recomputed"] <= 1 / 40
    assert figures["ours, all recomputed", "TFLOP"].ratio <= 1.35
    assert figures["ours", "GB moved"].ratio <= 0.6
