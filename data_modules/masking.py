"""Which parts of a clip are hidden from the encoder, and what stands in their place."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from data_modules import SAMPLE_RATE
from data_modules.mel import LogMel

Random = torch.Generator | Sequence[torch.Generator]
"""One source of random numbers for a batch, or one for each clip."""


class Masking(nn.Module, abc.ABC):
    """Hides non-overlapping blocks of time, each with the same probability. Subclasses are final.

    A clip has as many whole blocks as fit; the tail that is left (0.2 s of 5 s) is never masked, as in the
    authors' code.

    Args:
        probability: Chance of each block to be masked (the study: 0.6).
        block_s: Length of a block in seconds (the study: 0.4).
        noise_std: Standard deviation of the Gaussian noise that replaces a block (the study: 0.1).
    """

    def __init__(self, probability: float = 0.6, block_s: float = 0.4, noise_std: float = 0.1) -> None:
        super().__init__()
        if not 0 <= probability <= 1:
            raise ValueError(f"masking.probability must lie in [0, 1], got {probability}")
        if block_s <= 0:
            raise ValueError(f"masking.block_s must be positive, got {block_s}")
        if noise_std < 0:
            raise ValueError(f"masking.noise_std must not be negative, got {noise_std}")
        self.probability = probability
        self.block_s = block_s
        self.noise_std = noise_std

    def check(self, hop_length: int, stride: int) -> None:
        """Raises ValueError unless a block is a whole number of tokens."""
        block_samples = self.block_s * SAMPLE_RATE
        num_tokens = block_samples / (hop_length * stride)
        # Not the remainder: 0.3 s could be a hair less than a whole number.
        if round(num_tokens) < 1 or abs(num_tokens - round(num_tokens)) > 1e-6:
            raise ValueError(
                f"data.masking.block_s: a block of {self.block_s} s is {block_samples:g} samples, "
                f"not a whole number of tokens of {hop_length * stride} samples "
                f"(hop {hop_length} x stride {stride}); "
                f"choose a multiple of {hop_length * stride / SAMPLE_RATE:g} s"
            )

    def _draw(self, batch: int, length: int, block: int, generator: Random) -> Tensor:
        """True where masked, (batch, length), for blocks of `block` positions."""
        num_blocks = length // block
        hidden = _drawn(torch.rand, (batch, num_blocks), generator) < self.probability
        mask = torch.zeros(batch, length, dtype=torch.bool, device=hidden.device)
        mask[:, : num_blocks * block] = hidden.repeat_interleave(block, dim=1)
        return mask

    def _noise(self, like: Tensor, generator: Random) -> Tensor:
        return self.noise_std * _drawn(torch.randn, tuple(like.shape), generator)

    @abc.abstractmethod
    def forward(self, waveform_BN: Tensor, log_mel: LogMel, generator: Random) -> tuple[Tensor, Tensor, Tensor]:
        """Clean mel (B, M, F), masked mel (B, M, F), and the mask by mel frame (B, F).

        Args:
            waveform_BN: Mono audio at 24 kHz.
            log_mel: Waveform -> normalised mel.
            generator: On the device of the waveform; all that is random comes from it. With one for each clip,
                what is drawn for a clip does not depend on those beside it.
        """


def _drawn(draw: Callable[..., Tensor], shape: Sequence[int], generator: Random) -> Tensor:
    """Random float32 numbers; row by row, where each has a generator of its own."""
    if isinstance(generator, torch.Generator):
        return draw(*shape, generator=generator, device=generator.device, dtype=torch.float32)
    rows = [draw(*shape[1:], generator=one, device=one.device, dtype=torch.float32) for one in generator]
    return torch.stack(rows)


class WaveNoise(Masking):
    """The study's masking: blocks of the waveform are replaced by noise before the mel is taken."""

    def forward(self, waveform_BN: Tensor, log_mel: LogMel, generator: Random) -> tuple[Tensor, Tensor, Tensor]:
        """See `Masking.forward`."""
        block = round(self.block_s * SAMPLE_RATE)
        mask_BN = self._draw(waveform_BN.shape[0], waveform_BN.shape[1], block, generator)
        masked_BN = torch.where(mask_BN, self._noise(waveform_BN, generator), waveform_BN)
        # One STFT batch for both: half the kernel launches.
        mel_BMF, masked_mel_BMF = log_mel(torch.cat([waveform_BN, masked_BN])).chunk(2)
        return mel_BMF, masked_mel_BMF, mask_BN[:, :: log_mel.hop_length][:, : mel_BMF.shape[2]]


class MelNoise(Masking):
    """BEST-RQ's masking (arXiv 2202.01855): blocks of the normalised mel are replaced by noise."""

    def forward(self, waveform_BN: Tensor, log_mel: LogMel, generator: Random) -> tuple[Tensor, Tensor, Tensor]:
        """See `Masking.forward`."""
        mel_BMF = log_mel(waveform_BN)
        block = round(self.block_s * SAMPLE_RATE / log_mel.hop_length)
        mask_BF = self._draw(mel_BMF.shape[0], mel_BMF.shape[2], block, generator)
        masked_mel_BMF = torch.where(mask_BF[:, None, :], self._noise(mel_BMF, generator), mel_BMF)
        return mel_BMF, masked_mel_BMF, mask_BF
