"""Losses over what is known: a NaN among the targets says "not annotated" and does not count."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def _mean_of_known(losses: Tensor, known: Tensor) -> Tensor:
    # A sum and a division rather than a selection: no synchronisation with the device, and with nothing known
    # the result is 0 and still has a gradient (of 0).
    return torch.where(known, losses, 0.0).sum() / known.sum().clamp(min=1)


def cross_entropy_of_known(logits_BNK: Tensor, targets_BN: Tensor) -> Tensor:
    """Mean cross-entropy, a scalar, in float32.

    Args:
        logits_BNK: Logits of K classes.
        targets_BN: Class indices as floats; NaN where unknown.
    """
    known = ~targets_BN.isnan()
    classes = torch.where(known, targets_BN, 0.0).long()
    losses = F.cross_entropy(logits_BNK.float().flatten(0, 1), classes.flatten(), reduction="none")
    return _mean_of_known(losses, known.flatten())


def binary_cross_entropy_of_known(logits: Tensor, targets: Tensor, positive_weight: Tensor | None = None) -> Tensor:
    """Mean binary cross-entropy, a scalar, in float32.

    Args:
        logits: Any shape.
        targets: The same shape, in [0, 1]; NaN where unknown.
        positive_weight: By how much a positive counts more, to broadcast over the last dimension.
    """
    known = ~targets.isnan()
    losses = F.binary_cross_entropy_with_logits(
        logits.float(), torch.where(known, targets, 0.0), reduction="none", pos_weight=positive_weight
    )
    return _mean_of_known(losses, known)
