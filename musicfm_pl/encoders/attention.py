"""Self-attention, with or without rotary positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.dropout import draws_slowly, dropout

ROTARY_BASE = 10_000.0
"""Wavelengths run from 2 pi to 2 pi x base tokens (arXiv 2104.09864; `rotary_embedding_base` in HF)."""


def rotary_table(num_tokens: int, head_dim: int, device: torch.device) -> Tensor:
    """Cosines and sines of the rotary angles, (2, T, head_dim) in float32.

    The two halves of a head rotate together, so that every angle stands twice; the first sines are negative, so that
    rotation takes no other sign. One table serves all layers of
    a forward pass; it is made anew each time, which costs microseconds and leaves no state for DDP to
    broadcast, for `.half()` to round or for the compiler to guard.
    """
    even = torch.arange(0, head_dim, 2, device=device, dtype=torch.float32)
    frequencies = 1.0 / ROTARY_BASE ** (even / head_dim)
    angles = torch.arange(num_tokens, device=device, dtype=torch.float32)[:, None] * frequencies
    cosines, sines = angles.cos(), angles.sin()
    return torch.stack([torch.cat([cosines, cosines], dim=1), torch.cat([-sines, sines], dim=1)])


def rotate(h_BTD: Tensor, table: Tensor) -> Tensor:
    """Turns each pair (i, i + head_dim / 2) of every head by the angle of its token."""
    cos_T1d, sin_T1d = table.to(h_BTD.dtype).unsqueeze(2)
    h_BTHd = h_BTD.unflatten(2, (-1, table.shape[-1]))
    first, second = h_BTHd.chunk(2, dim=-1)
    return torch.addcmul(h_BTHd * cos_T1d, torch.cat([second, first], dim=-1), sin_T1d).flatten(2)


class SelfAttention(nn.Module):
    """Multi-head self-attention over tokens, without a mask.

    With a rotary table it is the *hidden state* that is rotated, before it is projected to queries and keys,
    as in HF `Wav2Vec2ConformerSelfAttention`; values see it as it is. So queries and keys share one product.

    Args:
        dim: Width D.
        num_heads: Heads; must divide `dim`.
        dropout: Of the attention weights, while training.

    Raises:
        ValueError: `num_heads` does not divide `dim`.
    """

    def __init__(self, dim: int, num_heads: int, dropout: float) -> None:
        super().__init__()
        if num_heads < 1 or dim % num_heads:
            raise ValueError(f"encoder.num_heads must divide encoder.dim, got {num_heads} heads and width {dim}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query_key = nn.Linear(dim, 2 * dim)
        self.value = nn.Linear(dim, dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, h_BTD: Tensor, table: Tensor | None = None) -> Tensor:
        """Attention of the tokens to one another, (B, T, D) to (B, T, D).

        Args:
            h_BTD: Tokens.
            table: As `rotary_table` gives it; None for no positions.
        """
        rotated_BTD = h_BTD if table is None else rotate(h_BTD, table)
        query, key = self.query_key(rotated_BTD).chunk(2, dim=-1)
        heads = self._heads(query), self._heads(key), self._heads(self.value(h_BTD))
        # The function knows no training mode: dropout must be switched off here.
        probability = self.dropout if self.training else 0.0
        if probability > 0 and draws_slowly(h_BTD):
            out_BHTd = self._with_dropout(*heads)
        else:
            out_BHTd = F.scaled_dot_product_attention(*heads, dropout_p=probability)
        return self.out(out_BHTd.transpose(1, 2).flatten(2))

    def _with_dropout(self, query_BHTd: Tensor, key_BHTd: Tensor, value_BHTd: Tensor) -> Tensor:
        """The same on CPUs, where torch has no kernel with dropout either, but draws more slowly."""
        scores_BHTT = (query_BHTd * query_BHTd.shape[-1] ** -0.5) @ key_BHTd.transpose(-2, -1)
        return dropout(scores_BHTT.softmax(dim=-1), self.dropout, self.training) @ value_BHTd

    def _heads(self, x_BTD: Tensor) -> Tensor:
        return x_BTD.unflatten(2, (self.num_heads, -1)).transpose(1, 2)
