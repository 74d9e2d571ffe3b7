"""The precision in which products and convolutions are computed while they are measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from musicfm_pl.costs.cards import Card

Precision = Literal["fp32", "tf32", "bf16"]
"""fp32: every product and convolution in float32, which is what "as published" means here. tf32: all of them in TF32 on
tensor cores. bf16: by autocast, and what stays in float32 as in fp32. torch's own default is none of them: there
convolutions are in TF32 and products in float32."""


@contextmanager
def arithmetic(precision: Precision) -> Iterator[None]:
    """Products and convolutions of float32 tensors in TF32 if this is tf32, else in float32.

    It must surround the backward pass, too, which looks at the flags anew; `autocast` only the forward pass.
    """
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def peak_tflops(card: Card, precision: Precision) -> float | None:
    """What a card's maker states for all products and convolutions in this precision; None where that is not known."""
    return {"bf16": card.peak_tflops, "tf32": card.tf32_tflops, "fp32": card.fp32_tflops}[precision]


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """A context: bfloat16 where autocast says so if this is bf16."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
