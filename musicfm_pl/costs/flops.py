"""How much arithmetic an encoder does, counted operation by operation on tensors without values."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils.flop_counter import FlopCounterMode

from data_modules import SAMPLE_RATE
from musicfm_pl.encoders.base import Encoder

TRAINING_FACTOR = 3
"""A training step against a forward pass: each product has two gradients. Counting the backward pass instead would
count the input gradient of a strided convolution at its full size."""


def forward_flops(encoder: Encoder, num_frames: int) -> int:
    """Products and sums (two operations each) of one clip's forward pass through the encoder.

    Args:
        encoder: Its weights are not looked at, only their shapes, and it is left as it is.
        num_frames: Mel frames F of the clip.
    """
    return int(_counted(encoder, num_frames).get_total_flops())


def convolution_share(encoder: Encoder, num_frames: int) -> float:
    """Of that arithmetic, the share from 0 to 1 that is in convolutions; 0 of an encoder that computes nothing."""
    counts = _counted(encoder, num_frames).get_flop_counts().get("Global", {})
    total = sum(counts.values())
    return sum(count for kind, count in counts.items() if "convolution" in str(kind)) / total if total else 0.0


def _counted(encoder: Encoder, num_frames: int) -> FlopCounterMode:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        functional_call(
            encoder, shells(encoder, "meta"), (torch.empty(1, encoder.num_mels, num_frames, device="meta"),)
        )
    return counter


def prediction_flops(dim: int, num_classes: int, num_tokens: float) -> float:
    """Of the prediction layer on so many masked tokens."""
    return 2.0 * dim * num_classes * num_tokens


def masked_tokens(clip_s: float, probability: float, block_s: float, rate_hz: float) -> float:
    """Of a clip, on average: blocks are masked as a whole, and what is left after the last whole block never is."""
    num_blocks = round(clip_s * SAMPLE_RATE) // round(block_s * SAMPLE_RATE)
    return probability * num_blocks * block_s * rate_hz


def shells(encoder: Encoder, device: str) -> dict[str, Tensor]:
    """Tensors of the same shapes and layouts as the encoder's parameters and buffers, by name, without its values."""
    weights: dict[str, Tensor] = {}
    for name, tensor in [*encoder.named_parameters(), *encoder.named_buffers()]:
        shell = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device=device)
        weights[name] = shell.requires_grad_(tensor.requires_grad)
    return weights
