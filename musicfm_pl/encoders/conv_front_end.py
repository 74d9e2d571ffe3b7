"""The residual conv front end that all our encoders share: mel to the input of the first layer."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KERNEL_SIZE = 3
"""Of every convolution over time and bands (the authors' code)."""
BAND_STRIDE = 2
"""Each of the two blocks halves the bands (the authors' code)."""


class ResidualBlock(nn.Module):
    """Conv - BN - ReLU - conv - BN, plus a conv - BN shortcut, then ReLU, as in the authors' code.

    The shortcut is a convolution always, since every block changes the number of bands.

    Args:
        in_channels: Channels in.
        out_channels: Channels out.
        time_stride: Step over time; the step over bands is `BAND_STRIDE`.
    """

    def __init__(self, in_channels: int, out_channels: int, time_stride: int) -> None:
        super().__init__()
        stride, padding = (time_stride, BAND_STRIDE), KERNEL_SIZE // 2
        self.conv1 = nn.Conv2d(in_channels, out_channels, KERNEL_SIZE, stride, padding)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, KERNEL_SIZE, 1, padding)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = nn.Conv2d(in_channels, out_channels, KERNEL_SIZE, stride, padding)
        self.shortcut_norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, time, bands) to (B, channels, ceil(time / stride), ceil(bands / 2))."""
        # In place where no backward pass needs what is overwritten: on CPU the block is bound by memory.
        inner = F.relu_(self.norm1(self.conv1(x)))
        outer = self.norm2(self.conv2(inner))
        return F.relu_(outer.add_(self.shortcut_norm(self.shortcut(x))))


class ConvFrontEnd(nn.Module):
    """Two residual blocks over (time, band), then a linear layer over the bands and channels of each token.

    The axes are (time, band) and the linear layer reads bands first, channels second: in channels-last memory
    its input is then a view. The authors' code has (band, time) and channels first; `hf_names` converts.

    Args:
        dim: Width D of a token (the study: 1024).
        num_mels: Mel bands M it reads (the study: 128).
        channels: Channels of both blocks (the study: 512).
        time_strides: Step of each block over time (the study: 2, 2 at 25 Hz; 2, 1 at 50 Hz; 1, 1 at 75 Hz).

    Raises:
        ValueError: A size or a stride that is not positive.
    """

    def __init__(
        self, dim: int, num_mels: int = 128, channels: int = 512, time_strides: tuple[int, int] = (2, 2)
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("num_mels", num_mels), ("conv_channels", channels)):
            if value < 1:
                raise ValueError(f"encoder.{name} must be at least 1, got {value}")
        if len(time_strides) != 2 or min(time_strides) < 1:
            raise ValueError(f"encoder.time_strides must be two whole numbers of at least 1, got {list(time_strides)}")
        self.num_mels = num_mels
        self.stride = math.prod(time_strides)
        self.blocks = nn.Sequential(
            ResidualBlock(1, channels, time_strides[0]), ResidualBlock(channels, channels, time_strides[1])
        )
        # Channels-last kernels make channels-last activations: up to twice as fast on CPU with few channels
        # (16 to 64), and what cuDNN wants. Casts, copies to a device and loaded weights keep the layout.
        self.blocks.to(memory_format=torch.channels_last)
        num_bands = math.ceil(math.ceil(num_mels / BAND_STRIDE) / BAND_STRIDE)
        self.linear = nn.Linear(channels * num_bands, dim)

    def forward(self, mel_BMF: Tensor) -> Tensor:
        """Tokens (B, T, D) of normalised log-mel (B, M, F), T = ceil(F / stride).

        Raises:
            ValueError: The mel has another number of bands, or no frame.
        """
        if mel_BMF.ndim != 3 or mel_BMF.shape[1] != self.num_mels or mel_BMF.shape[2] < 1:
            raise ValueError(
                f"the encoder reads log-mel of shape (clips, {self.num_mels} bands, frames >= 1), "
                f"got {tuple(mel_BMF.shape)}; encoder.num_mels and the data's num_mels must agree"
            )
        x = self.blocks(mel_BMF.transpose(1, 2)[:, None])
        return self.linear(x.permute(0, 2, 3, 1).flatten(2))
