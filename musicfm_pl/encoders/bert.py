"""The study's other encoder: a HuBERT-style transformer behind the same conv front end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.dropout import Dropout
from musicfm_pl.encoders.attention import SelfAttention
from musicfm_pl.encoders.base import Encoder, stack_states
from musicfm_pl.encoders.batch_statistics import layers_to_recompute, recomputed
from musicfm_pl.encoders.conv_front_end import ConvFrontEnd
from musicfm_pl.encoders.feed_forward import FeedForward


class PositionalConv(nn.Module):
    """Positions as a wide grouped convolution with weight norm, then GELU (wav2vec 2.0, arXiv 2006.11477, 2).

    The weight norm is written out (one magnitude for each position of the kernel, as in fairseq and HF):
    a module parametrised by torch cannot be pickled.

    Args:
        dim: Width D.
        kernel_size: In tokens.
        num_groups: Groups of channels.
    """

    def __init__(self, dim: int, kernel_size: int, num_groups: int) -> None:
        super().__init__()
        conv = nn.Conv1d(dim, dim, kernel_size, groups=num_groups)
        assert conv.bias is not None
        self.direction = nn.Parameter(conv.weight.detach())
        self.magnitude = nn.Parameter(self._length(self.direction).detach())
        self.bias = nn.Parameter(conv.bias.detach())
        self.kernel_size = kernel_size
        self.num_groups = num_groups

    @staticmethod
    def _length(weight: Tensor) -> Tensor:
        return torch.linalg.vector_norm(weight, dim=(0, 1), keepdim=True)

    def forward(self, h_BTD: Tensor) -> Tensor:
        """What to add to the tokens (B, T, D), of the same shape."""
        weight = self.direction * (self.magnitude / self._length(self.direction))
        h_BDT = F.conv1d(
            h_BTD.transpose(1, 2), weight, self.bias, padding=self.kernel_size // 2, groups=self.num_groups
        )
        # An even kernel gives one token too many.
        return F.gelu(h_BDT[:, :, : h_BTD.shape[1]]).transpose(1, 2)


class BertLayer(nn.Module):
    """Attention and feed-forward, each with its residual and its LayerNorm.

    Args:
        dim: Width D.
        num_heads: Attention heads.
        ffn_dim: Width inside the feed-forward module.
        dropout: In both modules, while training.
        pre_norm: LayerNorm before each module, or after its residual.
    """

    def __init__(self, dim: int, num_heads: int, ffn_dim: int, dropout: float, pre_norm: bool) -> None:
        super().__init__()
        self.pre_norm = pre_norm
        self.attention = SelfAttention(dim, num_heads, dropout)
        self.attention_norm = nn.LayerNorm(dim)
        self.dropout = Dropout(dropout)
        self.ffn = FeedForward(dim, ffn_dim, nn.GELU(), dropout)
        self.ffn_norm = nn.LayerNorm(dim)

    def forward(self, h_BTD: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D)."""
        if self.pre_norm:
            h_BTD = h_BTD + self.dropout(self.attention(self.attention_norm(h_BTD)))
            return h_BTD + self.ffn(self.ffn_norm(h_BTD))
        h_BTD = self.attention_norm(h_BTD + self.dropout(self.attention(h_BTD)))
        return self.ffn_norm(h_BTD + self.ffn(h_BTD))


@final
class Bert(Encoder):
    """HuBERT-style transformer behind the same conv front end as the Conformer, so that the two compare.

    The layers are those of HuBERT (arXiv 2106.07447) in HF transformers: with `pre_norm` its large model
    (`HubertEncoderStableLayerNorm`, 24 layers of 1024), without it its base model (`HubertEncoder`). Whether
    the study's BERT had this front end or pre-norm is not published. The defaults are FM3 but for the rate:
    337 M parameters.

    Args:
        dim: Width D of every hidden state (the study: 1024).
        num_layers: Layers (the study: 24).
        num_heads: Attention heads (the study: 16).
        ffn_dim: Width inside the feed-forward modules (the study: 4096).
        dropout: Everywhere, while training (HuBERT: 0.1).
        pre_norm: LayerNorm before each module and once at the end (HuBERT large), or after each (base).
        position_kernel: Of the convolution that gives positions, in tokens (HuBERT: 128).
        position_groups: Its groups of channels; must divide `dim` (HuBERT: 16).
        num_mels: Mel bands it reads (the study: 128).
        conv_channels: Channels of the front end (the study: 512).
        time_strides: Step of the two conv blocks over time; their product is the mel frames a token
            ([2, 2] is 25 Hz at hop 240, [2, 1] 50 Hz; [1, 1] with hop 320 is 75 Hz).
        recomputed_blocks: Conv blocks, 0 or 1, whose activations are computed again in the backward pass instead of
            kept: less memory, more arithmetic.
        recomputed_layers: So many layers likewise, from the first.

    Raises:
        ValueError: Sizes that do not fit one another.
    """

    def __init__(
        self,
        dim: int = 1024,
        num_layers: int = 24,
        num_heads: int = 16,
        ffn_dim: int = 4096,
        dropout: float = 0.1,
        pre_norm: bool = True,
        position_kernel: int = 128,
        position_groups: int = 16,
        num_mels: int = 128,
        conv_channels: int = 512,
        time_strides: tuple[int, int] = (2, 2),
        recomputed_blocks: tuple[int, ...] = (),
        recomputed_layers: int = 0,
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"encoder.num_layers must be at least 1, got {num_layers}")
        if position_kernel < 1:
            raise ValueError(f"encoder.position_kernel must be at least 1, got {position_kernel}")
        if position_groups < 1 or dim % position_groups:
            raise ValueError(
                f"encoder.position_groups must divide encoder.dim, got {position_groups} groups and width {dim}"
            )
        self.dim = dim
        self.num_layers = num_layers
        self.num_mels = num_mels
        self.pre_norm = pre_norm
        self.front_end = ConvFrontEnd(dim, num_mels, conv_channels, time_strides, recomputed_blocks)
        self.stride = self.front_end.stride
        self.positions = PositionalConv(dim, position_kernel, position_groups)
        self.dropout = Dropout(dropout)
        self.layers = nn.ModuleList(BertLayer(dim, num_heads, ffn_dim, dropout, pre_norm) for _ in range(num_layers))
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
        h_BTD = h_BTD + self.positions(h_BTD)
        hidden = [self.dropout(h_BTD if self.pre_norm else self.norm(h_BTD))]
        for number, layer in enumerate(self.layers[:last_layer]):
            again = number in self.recomputed_layers
            hidden.append(recomputed(layer, layer, hidden[-1]) if again else layer(hidden[-1]))
        if self.pre_norm and len(hidden) > self.num_layers:
            hidden[-1] = self.norm(hidden[-1])
        return hidden
