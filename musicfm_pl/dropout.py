"""Dropout that draws four elements from one number on CPUs, where drawing is most of its time."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16
"""Sixteen random bits an element: the probability is rounded to 1/65536, and what is kept is scaled to match."""


def draws_slowly(x: Tensor) -> bool:
    """Whether torch's own dropout would draw one by one: on CPUs, for numbers that are there and not only counted."""
    return x.device.type == "cpu" and type(x) is Tensor and not torch.compiler.is_compiling()


def dropout(x: Tensor, probability: float, training: bool) -> Tensor:
    """Zeroes elements at random while training, and scales the others up; of the shape of `x`.

    Torch's own on GPUs and in compiled code, where it is one kernel. On CPUs torch draws elements one by one, which
    costs several times the product itself. Either way the numbers are those of the global generator, so that a step can
    be repeated.

    Args:
        x: Of any shape.
        probability: Of an element to be zeroed, at least 0 and less than 1.
        training: Whether anything is done.
    """
    if not training or probability == 0.0:
        return x
    num_dropped = round(probability * _LEVELS)
    if not draws_slowly(x) or num_dropped >= _LEVELS:
        return F.dropout(x, probability, training)
    lanes = torch.iinfo(torch.int64).bits // torch.iinfo(torch.int16).bits
    bits = torch.empty(-(-x.numel() // lanes), dtype=torch.int64).random_(torch.iinfo(torch.int64).min, None)
    lowest = torch.iinfo(torch.int16).min
    kept = bits.view(torch.int16)[: x.numel()].view(x.shape) >= lowest + num_dropped
    return x * kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - num_dropped))


@final
class Dropout(nn.Dropout):
    """The same as a layer: torch's own in all but how it draws."""

    def forward(self, x: Tensor) -> Tensor:
        """Of the shape of `x`."""
        return dropout(x, self.p, self.training)
