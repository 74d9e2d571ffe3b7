"""The study's encoder: a Conformer with rotary positions behind the residual conv front end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.dropout import Dropout
from musicfm_pl.encoders.attention import SelfAttention, rotary_table
from musicfm_pl.encoders.base import Encoder, stack_states
from musicfm_pl.encoders.batch_statistics import folded, layers_to_recompute, recomputed
from musicfm_pl.encoders.conv_front_end import ConvFrontEnd
from musicfm_pl.encoders.feed_forward import FeedForward


class ConvModule(nn.Module):
    """The Conformer's convolution (arXiv 2005.08100, 2.2).

    LayerNorm - pointwise - GLU - depthwise - BatchNorm - swish - pointwise - dropout.

    Args:
        dim: Width D.
        kernel_size: Of the depthwise convolution, in tokens.
        dropout: At the end, while training.
    """

    def __init__(self, dim: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        # The pointwise convolutions are linear layers: tokens stay rows, without a transposition.
        self.up = nn.Linear(dim, 2 * dim, bias=False)
        self.glu = nn.GLU()
        self.depthwise = nn.Conv1d(dim, dim, kernel_size, padding=kernel_size // 2, groups=dim, bias=False)
        self.batch_norm = nn.BatchNorm1d(dim)
        self.activation = nn.SiLU()
        self.down = nn.Linear(dim, dim, bias=False)
        self.dropout = Dropout(dropout)

    def forward(self, h_BTD: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        h_BDT = self._convolved(self.glu(self.up(self.norm(h_BTD))).transpose(1, 2))
        return self.dropout(self.down(self.activation(h_BDT.transpose(1, 2))))

    def _convolved(self, h_BDT: Tensor) -> Tensor:
        conv = self.depthwise
        if self.batch_norm.training:
            return self.batch_norm(conv(h_BDT))
        weight, bias = folded(conv, self.batch_norm)
        return F.conv1d(h_BDT, weight, bias, padding=conv.padding, groups=conv.groups)


class ConformerLayer(nn.Module):
    """Half feed-forward, attention, convolution, half feed-forward, each with its residual; then LayerNorm.

    Args:
        dim: Width D.
        num_heads: Attention heads.
        ffn_dim: Width inside the feed-forward modules.
        kernel_size: Of the depthwise convolution, in tokens.
        dropout: In every module, while training.
    """

    def __init__(self, dim: int, num_heads: int, ffn_dim: int, kernel_size: int, dropout: float) -> None:
        super().__init__()
        self.ffn1_norm = nn.LayerNorm(dim)
        self.ffn1 = FeedForward(dim, ffn_dim, nn.SiLU(), dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, num_heads, dropout)
        self.dropout = Dropout(dropout)
        self.conv = ConvModule(dim, kernel_size, dropout)
        self.ffn2_norm = nn.LayerNorm(dim)
        self.ffn2 = FeedForward(dim, ffn_dim, nn.SiLU(), dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, h_BTD: Tensor, table: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D); `table` as `rotary_table` gives it."""
        h_BTD = h_BTD + 0.5 * self.ffn1(self.ffn1_norm(h_BTD))
        h_BTD = h_BTD + self.dropout(self.attention(self.attention_norm(h_BTD), table))
        h_BTD = h_BTD + self.conv(h_BTD)
        h_BTD = h_BTD + 0.5 * self.ffn2(self.ffn2_norm(h_BTD))
        return self.norm(h_BTD)


@final
class Conformer(Encoder):
    """The study's encoder: residual conv front end, then Conformer layers with rotary positions.

    The layers are those of HF `Wav2Vec2ConformerEncoder` with the settings of
    `facebook/wav2vec2-conformer-rope-large-960h-ft`, which the authors' code takes. The defaults are FM7:
    316 M parameters (655 M with 26 layers).

    Args:
        dim: Width D of every hidden state (the study: 1024).
        num_layers: Layers (the study: 12; for its 660 M model 26, inferred from the size, which is all it states).
        num_heads: Attention heads (the study: 16); `dim / num_heads` must be even.
        ffn_dim: Width inside the feed-forward modules (the study: 4096).
        kernel_size: Of the depthwise convolution, in tokens; odd (the study: 31).
        dropout: Everywhere, while training (the study: 0.1).
        num_mels: Mel bands it reads (the study: 128).
        conv_channels: Channels of the front end (the study: 512).
        time_strides: Step of the two conv blocks over time; their product is the mel frames a token
            ([2, 2] is 25 Hz at hop 240, [2, 1] 50 Hz; [1, 1] with hop 320 is 75 Hz).
        recomputed_blocks: Conv blocks, 0 or 1, whose activations are computed again in the backward pass instead of
            kept: less memory, more arithmetic. They hold most of both.
        recomputed_layers: So many layers likewise, from the first.

    Raises:
        ValueError: Sizes that do not fit one another.
    """

    def __init__(
        self,
        dim: int = 1024,
        num_layers: int = 12,
        num_heads: int = 16,
        ffn_dim: int = 4096,
        kernel_size: int = 31,
        dropout: float = 0.1,
        num_mels: int = 128,
        conv_channels: int = 512,
        time_strides: tuple[int, int] = (2, 2),
        recomputed_blocks: tuple[int, ...] = (),
        recomputed_layers: int = 0,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"encoder.num_layers must be at least 1, got {num_layers}")
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"encoder.kernel_size must be odd, to keep the number of tokens, got {kernel_size}")
        if num_heads > 0 and dim % (2 * num_heads):
            raise ValueError(
                f"encoder.dim must be an even multiple of encoder.num_heads, since rotary positions "
                f"turn pairs, got width {dim} and {num_heads} heads"
            )
        self.dim = dim
        self.num_layers = num_layers
        self.num_mels = num_mels
        self.head_dim = dim // max(1, num_heads)
        self.front_end = ConvFrontEnd(dim, num_mels, conv_channels, time_strides, recomputed_blocks)
        self.stride = self.front_end.stride
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(
            ConformerLayer(dim, num_heads, ffn_dim, kernel_size, dropout) for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(dim)
        self.recomputed_layers = layers_to_recompute(recomputed_layers, num_layers)

    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """See `Encoder.forward`."""
        if last_layer is not None:
            self.check_layer(last_layer)
        return self._layers(self.front_end(features), last_layer)

    def local_windows(self, features: Tensor, bounds: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
        """See `Encoder.local_windows`."""
        return self.front_end.windows(features, bounds)

    def from_local(self, local: Tensor, only: int | None = None) -> Tensor:
        """See `Encoder.from_local`."""
        return stack_states(self._layers(local, only), only)

    def _layers(self, h_BTD: Tensor, last_layer: int | None) -> list[Tensor]:
        hidden = [self.dropout(h_BTD)]
        table = rotary_table(h_BTD.shape[1], self.head_dim, h_BTD.device)
        for number, layer in enumerate(self.layers[:last_layer]):
            again = number in self.recomputed_layers
            hidden.append(recomputed(layer, layer, hidden[-1], table) if again else layer(hidden[-1], table))
        if len(hidden) > self.num_layers:
            hidden[-1] = self.norm(hidden[-1])
        return hidden
