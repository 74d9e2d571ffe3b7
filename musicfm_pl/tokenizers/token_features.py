"""What k-means tokens are computed from: the stacked mel, its MFCCs, or a hidden layer of an earlier encoder."""

from __future__ import annotations

import abc
import hashlib
from typing import final

import torch
import torchaudio.functional
from torch import Tensor, nn

from musicfm_pl.encoders.base import Encoder
from musicfm_pl.tokenizers.base import stack_frames

NUM_COEFFICIENTS = 13
"""Cepstral coefficients, as in HuBERT's first iteration (arXiv 2106.07447, 4.2), with first and second differences."""


class TokenFeatures(nn.Module, abc.ABC):
    """Clean mel to what one token is computed from. Subclasses are final.

    Args:
        num_mels: Mel bands M.
        stride: Mel frames a token.

    Attributes:
        dim: Values D a token.
    """

    dim: int

    def __init__(self, num_mels: int, stride: int) -> None:
        super().__init__()
        self.num_mels = num_mels
        self.stride = stride

    @abc.abstractmethod
    def forward(self, mel_BMF: Tensor) -> Tensor:
        """Features (B, T, D) of normalised log-mel, T = F // stride, in float32 whatever surrounds it."""


@final
class StackedMel(TokenFeatures):
    """The mel frames of a token, one after the other, as random-projection tokens see them."""

    def __init__(self, num_mels: int, stride: int) -> None:
        super().__init__(num_mels, stride)
        self.dim = num_mels * stride

    def forward(self, mel_BMF: Tensor) -> Tensor:
        """See `TokenFeatures.forward`."""
        return stack_frames(mel_BMF.float(), self.stride)


@final
class Mfcc(TokenFeatures):
    """The MFCCs of a token's mel frames with their differences, 39 a frame, stacked.

    They are those of `torchaudio.transforms.MFCC` on our mel, without its floor of 80 dB below the loudest value of a
    clip, which would make tokens depend on how a track is cut. The cosine transform is of the normalised mel: that
    changes scale and offset, which k-means does not notice. Differences look four frames beyond a token; at the
    edges of a clip its first and last frame are repeated.
    """

    cosines: Tensor

    def __init__(self, num_mels: int, stride: int) -> None:
        super().__init__(num_mels, stride)
        if num_mels < NUM_COEFFICIENTS:
            raise ValueError(f"mfcc: {NUM_COEFFICIENTS} coefficients need as many mel bands, got {num_mels}")
        self.dim = 3 * NUM_COEFFICIENTS * stride
        cosines_MC = torchaudio.functional.create_dct(NUM_COEFFICIENTS, num_mels, norm="ortho")
        self.register_buffer("cosines", cosines_MC, persistent=False)

    def forward(self, mel_BMF: Tensor) -> Tensor:
        """See `TokenFeatures.forward`."""
        with torch.autocast(mel_BMF.device.type, enabled=False):
            mfcc_BCF = self.cosines.float().T @ mel_BMF.float()
            first_BCF = torchaudio.functional.compute_deltas(mfcc_BCF)
            second_BCF = torchaudio.functional.compute_deltas(first_BCF)
            return stack_frames(torch.cat([mfcc_BCF, first_BCF, second_BCF], dim=1), self.stride)


@final
class HiddenLayer(TokenFeatures):
    """A hidden layer of a trained encoder: HuBERT's second iteration.

    The teacher is run on every clip, since training cuts tracks anew in each epoch: tokens computed beforehand would
    be of other stretches of time, and heard in another context. It is no part of the model that is trained: not
    among its parameters and not in its checkpoints, always in evaluation mode and in float32.

    Args:
        num_mels: Mel bands M.
        stride: Mel frames a token.
        teacher: The encoder; of the same stride and mel.
        layer: Which of its hidden states; 0 is the input of its first layer.

    Raises:
        ValueError: The teacher reads another mel, has another stride, or no such layer.
    """

    def __init__(self, num_mels: int, stride: int, teacher: Encoder, layer: int) -> None:
        super().__init__(num_mels, stride)
        if (teacher.reads, teacher.num_mels, teacher.stride) != ("mel", num_mels, stride):
            raise ValueError(
                f"model.tokenizer.teacher reads {teacher.reads} of {teacher.num_mels} bands with {teacher.stride} "
                f"frames a token, but the tokens are of {num_mels} bands with {stride}: both need the same rate"
            )
        if not 0 <= layer <= teacher.num_layers:
            raise ValueError(f"layer {layer} asked for, but the teacher has hidden states 0 to {teacher.num_layers}")
        self.dim = teacher.dim
        self.layer = layer
        # In a list, where torch does not look for parts of a module.
        self._aside = [teacher.eval().requires_grad_(False)]

    @property
    def teacher(self) -> Encoder:
        """The encoder."""
        return self._aside[0]

    @torch.no_grad()
    def forward(self, mel_BMF: Tensor) -> Tensor:
        """See `TokenFeatures.forward`; the teacher follows the mel to its device."""
        first = next(self.teacher.parameters(), mel_BMF)
        if first.device != mel_BMF.device:
            self.teacher.to(mel_BMF.device)
        num_tokens = mel_BMF.shape[2] // self.stride
        with torch.autocast(mel_BMF.device.type, enabled=False):
            h_BTD = self.teacher(mel_BMF.float(), last_layer=self.layer)[self.layer]
        return h_BTD[:, :num_tokens].float()


def weights_digest(encoder: Encoder) -> str:
    """16 hexadecimal digits that change with any weight."""
    digest = hashlib.sha256()
    for name, tensor in encoder.state_dict().items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
