"""What lies before and after: convolutions over a head's frames, for tasks whose frames mean little by themselves."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.dropout import Dropout


@final
class DilatedContext(nn.Module):
    """Residual convolutions of three frames, each twice as wide as the one before: 2^n - 1 frames to each side.

    The scheme is that of temporal convolutional networks for beats (Davies and Böck, EUSIPCO 2019), looking both ways.

    Args:
        dim: Width of a frame, in and out.
        num_layers: Convolutions n; 7 reach 127 frames.
        dropout: Of what each adds.
    """

    def __init__(self, dim: int, num_layers: int, dropout: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(num_layers))
        self.convs = nn.ModuleList(
            nn.Conv1d(dim, dim, 3, padding=2**number, dilation=2**number) for number in range(num_layers)
        )
        self.dropout = Dropout(dropout)

    def forward(self, h_BND: Tensor) -> Tensor:
        """Frames (B, N, D) that know of their surroundings; beyond the ends there is nothing."""
        for norm, conv in zip(self.norms, self.convs, strict=True):
            update_BDN = F.gelu(conv(norm(h_BND).transpose(1, 2)))
            h_BND = h_BND + self.dropout(update_BDN.transpose(1, 2))
        return h_BND
