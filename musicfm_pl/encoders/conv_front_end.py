"""The residual conv front end that all our encoders share: mel to the input of the first layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.encoders.batch_statistics import folded, recomputed
from musicfm_pl.encoders.winograd import convolved

KERNEL_SIZE = 3
"""Of every convolution over time and bands (the authors' code)."""
BAND_STRIDE = 2
"""Each of the two blocks halves the bands (the authors' code)."""
WINOGRAD_CHANNELS = 512
"""From so many on, fewer multiplications outweigh more memory traffic, and not from 256 (both on AVX-512)."""


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
        inner = F.relu_(_normalised(x, self.conv1, self.norm1))
        outer = _normalised(inner, self.conv2, self.norm2)
        return F.relu_(outer.add_(_normalised(x, self.shortcut, self.shortcut_norm)))


def _normalised(x: Tensor, conv: nn.Conv2d, norm: nn.Module) -> Tensor:
    """The convolution, then its BatchNorm; in evaluation both are one convolution."""
    assert isinstance(norm, nn.modules.batchnorm._BatchNorm)
    if norm.training:
        return norm(conv(x))
    weight, bias = folded(conv, norm)
    if _takes_winograd(x, conv):
        return convolved(x, weight, bias)
    return F.conv2d(x, weight, bias, conv.stride, conv.padding)


def _channels_last(mel_BMF: Tensor) -> Tensor:
    """(B, 1, F, M) with strides that say so.

    Of one channel either order has the same memory, and torch takes channels-first where strides do not tell: all of
    the first convolutions' activations would be turned over before the next ones, forth and back.
    """
    return mel_BMF.transpose(1, 2).contiguous()[..., None].permute(0, 3, 1, 2)


def _weight_channels_last(weight: Tensor) -> Tensor:
    """A copy, of one channel too with strides that say so: gradients have these, and DDP wants the same of both."""
    _, channels, height, width = weight.shape
    strides = (height * width * channels, 1, width * channels, channels)
    return torch.empty_strided(weight.shape, strides, dtype=weight.dtype, device=weight.device).copy_(weight)


def _takes_winograd(x: Tensor, conv: nn.Conv2d) -> bool:
    return (
        x.device.type == "cpu"
        and x.dtype == torch.float32
        and conv.stride == (1, 1)
        and conv.in_channels >= WINOGRAD_CHANNELS
        and not torch.is_grad_enabled()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


class ConvFrontEnd(nn.Module):
    """Two residual blocks over (time, band), then a linear layer over the bands and channels of each token.

    The axes are (time, band) and the linear layer reads bands first, channels second: in channels-last memory
    its input is then a view. The authors' code has (band, time) and channels first; `hf_names` converts.

    Args:
        dim: Width D of a token (the study: 1024).
        num_mels: Mel bands M it reads (the study: 128).
        channels: Channels of both blocks (the study: 512).
        time_strides: Step of each block over time (the study: 2, 2 at 25 Hz; 2, 1 at 50 Hz; 1, 1 at 75 Hz).
        recomputed_blocks: Blocks, 0 or 1, whose activations are computed again in the backward pass instead of
            kept. With both, the linear layer too: then only the mel is kept.

    Raises:
        ValueError: A size or a stride that is not positive, or a block that there is not.
    """

    def __init__(
        self,
        dim: int,
        num_mels: int = 128,
        channels: int = 512,
        time_strides: tuple[int, int] = (2, 2),
        recomputed_blocks: Sequence[int] = (),
    ) -> None:
        super().__init__()
        for name, value in (("dim", dim), ("num_mels", num_mels), ("conv_channels", channels)):
            if value < 1:
                raise ValueError(f"encoder.{name} must be at least 1, got {value}")
        if len(time_strides) != 2 or min(time_strides) < 1:
            raise ValueError(f"encoder.time_strides must be two whole numbers of at least 1, got {list(time_strides)}")
        if not set(recomputed_blocks) <= {0, 1}:
            raise ValueError(f"encoder.recomputed_blocks: the blocks are 0 and 1, got {list(recomputed_blocks)}")
        self.num_mels = num_mels
        self.stride = math.prod(time_strides)
        self.time_strides = list(time_strides)
        # A set, since plain attributes tell encoders apart, and this one changes no hidden state.
        self.recomputed_blocks = set(recomputed_blocks)
        self.blocks = nn.Sequential(
            ResidualBlock(1, channels, time_strides[0]), ResidualBlock(channels, channels, time_strides[1])
        )
        # Channels-last kernels make channels-last activations: faster on CPU at every width in evaluation and up to
        # 128 channels in training, and what cuDNN wants. Casts, copies to a device and loaded weights keep the layout.
        for conv in self.blocks.modules():
            if isinstance(conv, nn.Conv2d):
                conv.weight = nn.Parameter(_weight_channels_last(conv.weight.detach()))
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
        if self.recomputed_blocks == {0, 1}:
            return recomputed(self._tokens, self, mel_BMF)
        x = _channels_last(mel_BMF)
        for number, block in enumerate(self.blocks):
            x = recomputed(block, block, x) if number in self.recomputed_blocks else block(x)
        return self._linear(x)

    def _tokens(self, mel_BMF: Tensor) -> Tensor:
        return self._linear(self.blocks(_channels_last(mel_BMF)))

    def _linear(self, x: Tensor) -> Tensor:
        return self.linear(x.permute(0, 2, 3, 1).flatten(2))

    def padded_tokens(self) -> int:
        """Tokens at each end that padding has a part in, and so differ where the audio goes on."""
        reach = 0
        for time_stride in self.time_strides:
            reach = math.ceil((reach + 1) / time_stride) + 1
        return reach

    @torch.no_grad()
    def windows(self, mel_1MF: Tensor, bounds: Sequence[tuple[int, int]]) -> Iterator[Tensor]:
        """`self(window)` for each window of a track, in evaluation; what overlapping windows share is computed once.

        The front end is local: only the tokens at a window's ends, which padding reaches, are a window's own.

        Args:
            mel_1MF: Of one track.
            bounds: First frame of each window and the frame after its last, in order of time.

        Yields:
            (1, T, D) for each window.
        """
        edge, stride = self.padded_tokens(), self.stride
        begin = end = 0  # the tokens of the track that `shared_1TD` holds
        for first_frame, last_frame in bounds:
            window_1MF = mel_1MF[:, :, first_frame:last_frame]
            first, last = first_frame // stride, -(-last_frame // stride)
            if self.training or first_frame % stride or last - first < 4 * edge:
                yield self(window_1MF)
                continue
            if not begin <= first + edge < end:
                whole_1TD = self(window_1MF)
                shared_1TD, begin, end = whole_1TD[:, edge:-edge], first + edge, last - edge
                yield whole_1TD
                continue
            if last - edge > end:
                more_1TD = self(mel_1MF[:, :, (end - edge) * stride : last_frame])[:, edge:-edge]
                shared_1TD = torch.cat([shared_1TD[:, first + edge - begin :], more_1TD], dim=1)
                begin, end = first + edge, last - edge
            left_1TD = self(window_1MF[:, :, : 2 * edge * stride])[:, :edge]
            right_1TD = self(mel_1MF[:, :, (last - 2 * edge) * stride : last_frame])[:, -edge:]
            inner_1TD = shared_1TD[:, first + edge - begin : last - edge - begin]
            yield torch.cat([left_1TD, inner_1TD, right_1TD], dim=1)
