"""The baseline that learns nothing: the mel itself as the only hidden state."""

from __future__ import annotations

from typing import final

import torch.nn.functional as F
from torch import Tensor

from musicfm_pl.encoders.base import Encoder
from musicfm_pl.tokenizers.base import stack_frames


@final
class MelFrames(Encoder):
    """Stacked mel frames, without parameters: what a head can do on the mel alone.

    Args:
        stride: Mel frames a token (4 at 25 Hz with hop 240).
        num_mels: Mel bands it reads.

    Raises:
        ValueError: Either is less than 1.
    """

    def __init__(self, stride: int = 4, num_mels: int = 128) -> None:
        super().__init__()
        if stride < 1 or num_mels < 1:
            raise ValueError(f"encoder.stride and encoder.num_mels must be at least 1, got {stride} and {num_mels}")
        self.dim = stride * num_mels
        self.stride = stride
        self.num_mels = num_mels
        self.num_layers = 0

    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """See `Encoder.forward`; the last token is filled with 0, the mean of normalised mel."""
        if last_layer is not None:
            self.check_layer(last_layer)
        if features.ndim != 3 or features.shape[1] != self.num_mels or features.shape[2] < 1:
            raise ValueError(
                f"the encoder reads log-mel of shape (clips, {self.num_mels} bands, frames >= 1), "
                f"got {tuple(features.shape)}; encoder.num_mels and the data's num_mels must agree"
            )
        return [stack_frames(F.pad(features, (0, -features.shape[2] % self.stride)), self.stride)]
