"""What a tokenizer is: clean mel in, the token of each stack of frames out."""

from __future__ import annotations

import abc
from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Tokenizer(nn.Module, abc.ABC):
    """Frozen quantizer of the clean mel. Subclasses are final; none has parameters that learn.

    Tokens are made in two steps: `features` gives what a token is computed from, calling the tokenizer the nearest
    codes to it.

    Args:
        frame_dim: Values of the mel a token stands for: bands times stacked frames; the system passes it.
        num_codes: K, the size of a codebook.
        num_books: Q, codebooks: each gives a token of its own (the study: 1).
    """

    def __init__(self, frame_dim: int, num_codes: int, num_books: int = 1) -> None:
        super().__init__()
        self.frame_dim = frame_dim
        self.num_codes = num_codes
        self.num_books = num_books

    @abc.abstractmethod
    def forward(self, frames_TD: Tensor) -> Tensor:
        """Tokens (T, Q), int64 in [0, num_codes), of what `features` gives for T tokens; always in float32."""

    def features(self, mel_BMF: Tensor, stride: int) -> Tensor:
        """What tokens are computed from, (B, T, D) with T = F // stride: the stacked mel frames, D = frame_dim.

        Args:
            mel_BMF: Normalised log-mel of the clean audio.
            stride: Mel frames a token.
        """
        return stack_frames(mel_BMF, stride)

    def check_mel(self, mel: Mapping[str, float]) -> None:
        """Raises ValueError unless it can read such mel; what is drawn at random can read any.

        Args:
            mel: Settings and statistics, as `PretrainData.mel_settings` gives them.
        """


def stack_frames(mel_BMF: Tensor, stride: int) -> Tensor:
    """Mel frames by token, (B, T, stride * M) with T = F // stride: frames in order, each with its bands in order.

    The order is that of the authors' code (`b (t r) m -> b t (r m)` on time-major mel); a remainder is dropped.
    """
    batch, num_mels, num_frames = mel_BMF.shape
    num_tokens = num_frames // stride
    frames_BFM = mel_BMF[:, :, : num_tokens * stride].transpose(1, 2)
    return torch.reshape(frames_BFM, (batch, num_tokens, stride * num_mels))
