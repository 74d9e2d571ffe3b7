"""What an encoder is: mel (or waveform) in, the hidden states of every layer out."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn


class Encoder(nn.Module, abc.ABC):
    """Frames of audio to hidden states. Subclasses are final.

    Attributes:
        dim: Width D of every hidden state.
        stride: Mel frames a token, 4 at 25 Hz with hop 240; samples where it reads the waveform.
        num_mels: Mel bands it reads; 0 if it reads the waveform.
        num_layers: Layers; there are `num_layers + 1` hidden states.
        made_from: Configuration of the pretraining that it comes from; empty if it comes from none.
    """

    reads: ClassVar[Literal["mel", "waveform"]] = "mel"
    """Which feature module of the data it needs."""

    dim: int
    stride: int
    num_mels: int
    num_layers: int
    made_from: Mapping[str, Any] = {}

    @abc.abstractmethod
    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """Hidden states.

        Args:
            features: Normalised log-mel (B, M, F), or the waveform (B, N) where `reads` says so.
            last_layer: Stop after this layer, to save work: 0 is the input of the first layer. None for all.

        Returns:
            `num_layers + 1` tensors h_BTD (fewer with `last_layer`), T = ceil(F / stride), or ceil(N / stride):
            the input of the first layer, then the output of each; a final normalisation belongs to the last one only.
        """

    def stacked(self, features: Tensor, only: int | None = None) -> Tensor:
        """Hidden states as one tensor (B, T, L, D): all, or the one that is wanted (L = 1)."""
        return stack_states(self(features, last_layer=only), only)

    def local_windows(self, features: Tensor, bounds: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
        """What `from_local` reads, for each window of a track: the features under it, unless a subclass knows better.

        An encoder whose first part is local computes that once where windows overlap.

        Args:
            features: Of one track, time last.
            bounds: First step of each window and the step after its last, in order of time.

        Yields:
            (1, ...) for each window.
        """
        for first, last in bounds:
            yield features[..., first:last]

    def from_local(self, local: Tensor, only: int | None = None) -> Tensor:
        """`stacked` of windows, from what `local_windows` gave for them, (B, ...) of one shape."""
        return self.stacked(local, only)

    def check_layer(self, layer: int) -> None:
        """Raises ValueError unless there is such a hidden state."""
        if not 0 <= layer <= self.num_layers:
            raise ValueError(
                f"model.layer: {layer} asked for, but {type(self).__name__} has hidden states "
                f"0 (input of the first layer) to {self.num_layers}"
            )


def stack_states(found: list[Tensor], only: int | None) -> Tensor:
    """Hidden states (B, T, D) as (B, T, L, D): all that there are, or the last, where only that is wanted."""
    return torch.stack(found if only is None else found[-1:], dim=2)
