"""The public way of building the study's model, which `musicfm bench` measures ours against."""

from __future__ import annotations

import importlib
from typing import Any, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.profiler import record_function

from musicfm_pl.bench.sizes import NUM_MELS, Size
from musicfm_pl.encoders.hf_names import conformer_state_from_hf, front_end_state_from_authors
from musicfm_pl.systems.pretrain import QUANTIZER
from musicfm_pl.tokenizers.base import stack_frames
from musicfm_pl.tokenizers.random_projection import RandomProjection


class PublicBlock(nn.Module):
    """Conv - BN - ReLU - conv - BN, plus a conv - BN shortcut, then ReLU, over (band, time).

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        stride: Over bands and time.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.conv3 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1)
        self.bn3 = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, bands, time) to (B, channels, bands / 2, time / stride)."""
        inner = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(inner + self.bn3(self.conv3(x)))


class PublicFrontEnd(nn.Module):
    """Two residual blocks, then a linear layer over the channels and bands of each token, with the authors' names.

    Args:
        dim: Width D of a token.
        channels: Of both blocks.
        time_strides: Step of each block over time.
    """

    def __init__(self, dim: int, channels: int, time_strides: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            PublicBlock(1, channels, (2, time_strides[0])), PublicBlock(channels, channels, (2, time_strides[1]))
        )
        self.linear = nn.Linear(channels * NUM_MELS // 4, dim)

    def forward(self, mel_BMF: Tensor) -> Tensor:
        """Tokens (B, T, D)."""
        x = self.conv(mel_BMF[:, None])
        return self.linear(x.permute(0, 3, 1, 2).flatten(2))


@final
class PublicWay(nn.Module):
    """Front end, HF transformers' Conformer, a prediction of every token, and a quantizer by distances.

    It is what one gets from public parts: `Wav2Vec2ConformerEncoder` with the settings of
    `facebook/wav2vec2-conformer-rope-large-960h-ft`, the authors' front end, and `torch.cdist` over all codes.

    Args:
        size: Of front end and layers.
        time_strides: Of the two conv blocks.
        tokenizer: Whose projection and codes it uses.
        dropout: In the layers, while training.
    """

    projection: Tensor
    codes: Tensor

    def __init__(
        self, size: Size, time_strides: tuple[int, int], tokenizer: RandomProjection, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.front_end = PublicFrontEnd(size.dim, size.conv_channels, time_strides)
        self.conformer = _hf_encoder(
            hidden_size=size.dim,
            num_hidden_layers=size.num_layers,
            num_attention_heads=size.num_heads,
            intermediate_size=size.ffn_dim,
            hidden_dropout=dropout,
            attention_dropout=dropout,
            activation_dropout=dropout,
            conformer_conv_dropout=dropout,
        )
        self.linear = nn.Linear(size.dim, tokenizer.num_codes)
        self.stride = time_strides[0] * time_strides[1]
        self.register_buffer("projection", tokenizer.projection[0].clone(), persistent=False)
        self.register_buffer("codes", tokenizer.codes[0].clone(), persistent=False)

    def encoder_state(self) -> dict[str, Tensor]:
        """The weights of front end and layers under our names."""
        front_end = front_end_state_from_authors(self.front_end.state_dict(), NUM_MELS // 4)
        ours = {f"front_end.{name}": value for name, value in front_end.items()}
        return ours | conformer_state_from_hf(self.conformer.state_dict())

    def encode(self, mel_BMF: Tensor) -> tuple[Tensor, ...]:
        """All hidden states (B, T, D)."""
        return self.conformer(self.front_end(mel_BMF), output_hidden_states=True).hidden_states

    @torch.no_grad()
    def tokens(self, mel_BMF: Tensor) -> Tensor:
        """Tokens (B, T): the least of the distances (B, T, K) to all codes."""
        with record_function(QUANTIZER):
            frames_BTD = stack_frames(mel_BMF, self.stride)
            return torch.cdist(F.normalize(frames_BTD @ self.projection, dim=2), self.codes).argmin(dim=2)

    def loss(self, masked_mel_BMF: Tensor, targets_P: Tensor, masked_P: Tensor) -> Tensor:
        """Cross-entropy at the masked tokens, of logits of all; `masked_P` are places in the batch."""
        logits_BTK = self.linear(self.conformer(self.front_end(masked_mel_BMF)).last_hidden_state)
        return F.cross_entropy(logits_BTK.flatten(0, 1)[masked_P], targets_P)


def _hf_encoder(**sizes: Any) -> nn.Module:
    try:
        # By name, since it is no dependency of the package.
        hf = importlib.import_module("transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer")
    except ImportError as error:
        raise ImportError(
            "bench: the public way is built with HF transformers 4, which cannot be imported "
            f"({error}): pip install -e '.[bench]'"
        ) from error
    config = hf.Wav2Vec2ConformerConfig(position_embeddings_type="rotary", hidden_act="swish", layerdrop=0.0, **sizes)
    encoder: nn.Module = hf.Wav2Vec2ConformerEncoder(config)
    # A convolution that rotary positions leave unused; its weights would count as the model's.
    del encoder.pos_conv_embed
    return encoder
