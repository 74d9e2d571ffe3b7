"""The feed-forward module of both encoders."""

from __future__ import annotations

from torch import Tensor, nn

from musicfm_pl.dropout import Dropout


class FeedForward(nn.Module):
    """Linear - activation - dropout - linear - dropout.

    Args:
        dim: Width D.
        hidden_dim: Width in between (the study: 4096 at D = 1024).
        activation: Swish in the Conformer, GELU in BERT.
        dropout: After both products, while training.
    """

    def __init__(self, dim: int, hidden_dim: int, activation: nn.Module, dropout: float) -> None:
        super().__init__()
        if hidden_dim < 1:
            raise ValueError(f"encoder.ffn_dim must be at least 1, got {hidden_dim}")
        self.up = nn.Linear(dim, hidden_dim)
        self.activation = activation
        self.down = nn.Linear(hidden_dim, dim)
        self.dropout = Dropout(dropout)

    def forward(self, h_BTD: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        return self.dropout(self.down(self.dropout(self.activation(self.up(h_BTD)))))
