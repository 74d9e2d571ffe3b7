"""How tokens use their codebook, and what a loss on them is worth."""

from __future__ import annotations

import math

from torch import Tensor


def codebook_use(counts_K: Tensor) -> dict[str, float]:
    """How targets are spread over the codes, and what knowing only that would score.

    Args:
        counts_K: How often each code was a target.

    Returns:
        `chance_accuracy` 1/K and `chance_loss` ln K, of guessing blindly; `commonest_accuracy`, the share of the
        commonest code: a model that learnt nothing but frequencies reaches it; `unigram_loss`, the entropy in nats,
        its loss; `perplexity`, the exponential of the entropy: K if all codes are used alike; `dead_codes` and
        `dead_share`, number and share of codes never seen: among few targets many are missing by chance alone.
    """
    num_codes = len(counts_K)
    total = counts_K.sum().clamp(min=1)
    share_K = counts_K / total
    entropy = -(share_K * share_K.clamp(min=1e-12).log()).sum().item()
    dead = int((counts_K == 0).sum())
    return {
        "chance_accuracy": 1 / num_codes,
        "chance_loss": math.log(num_codes),
        "commonest_accuracy": share_K.max().item(),
        "unigram_loss": entropy,
        "perplexity": math.exp(entropy),
        "dead_codes": float(dead),
        "dead_share": dead / num_codes,
    }


def loss_beside(loss: float, use: dict[str, float]) -> dict[str, float]:
    """A loss in nats beside what guessing would give, so that codebooks of any size compare.

    Args:
        loss: Cross-entropy, a mean over tokens.
        use: See `codebook_use`.

    Returns:
        `loss_above_chance`, the loss minus ln K, and `loss_above_unigram`, minus the entropy of the tokens; below 0
        something was learnt.
    """
    return {
        "loss_above_chance": loss - use["chance_loss"],
        "loss_above_unigram": loss - use["unigram_loss"],
    }
