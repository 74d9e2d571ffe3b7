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


def shift_tolerant_cross_entropy_of_known(
    logits_BNK: Tensor, targets_BNK: Tensor, tolerance: int, positive_weight: Tensor | None = None
) -> Tensor:
    """beat_this's loss (Foscarin, Schlüter & Widmer, ISMIR 2024), a scalar in float32.

    An event wants its largest logit within the tolerance to be high. A frame without an event wants the same
    to be low, unless an event lies within twice the tolerance: then it does not count. The first and last
    frames, of twice the tolerance, do not count either where the clip is long enough to spare them: an event
    beyond its edge would be unseen.

    Args:
        logits_BNK: Logits of K kinds of event.
        targets_BNK: 1 at events and else 0; NaN where unknown.
        tolerance: In frames (beat_this: 3 at 50 Hz).
        positive_weight: By how much an event counts more, (K,).
    """
    known = ~targets_BNK.isnan()
    targets = torch.where(known, targets_BNK, 0.0)
    highest = _largest_within(logits_BNK.float(), tolerance)
    losses = F.binary_cross_entropy_with_logits(highest, targets, reduction="none", pos_weight=positive_weight)
    is_near = (_largest_within(targets, 2 * tolerance) > 0) & (targets == 0)
    edge = 2 * tolerance
    if targets.shape[1] > 2 * edge:
        losses, known, is_near = (values[:, edge:-edge] for values in (losses, known, is_near))
    # What lies near an event is 0 in the mean rather than out of it, as in beat_this.
    return _mean_of_known(torch.where(is_near, 0.0, losses), known)


def _largest_within(values_BNK: Tensor, reach: int) -> Tensor:
    return F.max_pool1d(values_BNK.transpose(1, 2), 2 * reach + 1, stride=1, padding=reach).transpose(1, 2)
