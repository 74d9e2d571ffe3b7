"""The baseline that knows pitch: chroma as the only hidden state, notes folded into one octave."""

from __future__ import annotations

from typing import ClassVar, Literal, final

import torch
from torch import Tensor

from data_modules import SAMPLE_RATE
from musicfm_pl.encoders.base import Encoder

_A4_HZ = 440.0
_A = 9
"""The pitch class of A, counted from C."""


@final
class ChromaFrames(Encoder):
    """How much of each pitch class sounds, without parameters.

    The magnitudes of a long Fourier transform are compressed by log(1 + c x), as in the "CLP" features of Müller and
    Ewert (Chroma Toolbox, ISMIR 2011), and added up by pitch class; a frame has Euclidean norm 1. A mel of 128 bands
    has one every 25 Hz below 1 kHz: it cannot tell neighbouring notes below A4, where a semitone is less than that.

    Args:
        stride: Samples a token (960 at 25 Hz).
        n_fft: Samples of a window; 8192 are 0.34 s, with a bin every 3 Hz.
        low_hz: Lowest frequency that counts; bins do not part semitones much below 50 Hz.
        high_hz: Highest frequency that counts: above, there are more overtones than notes.
        compression: c; magnitudes are those of samples in [-1, 1].

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    reads: ClassVar[Literal["mel", "waveform"]] = "waveform"

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        stride: int = 960,
        n_fft: int = 8192,
        low_hz: float = 50.0,
        high_hz: float = 2000.0,
        compression: float = 100.0,
    ) -> None:
        super().__init__()
        if stride < 1 or n_fft < 2 or compression <= 0:
            raise ValueError(
                f"encoder.stride, encoder.n_fft and encoder.compression must be positive, "
                f"got {stride}, {n_fft} and {compression}"
            )
        if not 0 < low_hz < high_hz <= SAMPLE_RATE / 2:
            raise ValueError(
                f"encoder.low_hz and encoder.high_hz must rise within (0, {SAMPLE_RATE // 2}], "
                f"got {low_hz} and {high_hz}"
            )
        self.dim = 12
        self.stride = stride
        self.num_mels = 0
        self.num_layers = 0
        self.n_fft = n_fft
        self.compression = compression
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", _pitch_class_filters(n_fft, low_hz, high_hz), persistent=False)

    def forward(self, features: Tensor, last_layer: int | None = None) -> list[Tensor]:
        """See `Encoder.forward`; frame t is centred on the middle of token t."""
        if last_layer is not None:
            self.check_layer(last_layer)
        if features.ndim != 2 or features.shape[1] < 1:
            raise ValueError(f"the encoder reads a waveform of shape (clips, samples), got {tuple(features.shape)}")
        num_tokens = -(-features.shape[1] // self.stride)
        with torch.autocast(features.device.type, enabled=False):
            before = (self.n_fft - self.stride) // 2
            after = (num_tokens - 1) * self.stride + self.n_fft - before - features.shape[1]
            padded_BN = torch.nn.functional.pad(features.float(), (before, after))
            chroma_BTP = torch.cat([self._chroma(clip_BN) for clip_BN in padded_BN.split(1)])
        return [torch.nn.functional.normalize(chroma_BTP, dim=-1)]

    def _chroma(self, padded_BN: Tensor) -> Tensor:
        spectrum_BCT = torch.stft(
            padded_BN,
            self.n_fft,
            self.stride,
            window=self.window.float() * (2.0 / self.n_fft),
            center=False,
            return_complex=True,
        )
        loudness_BTC = (self.compression * spectrum_BCT.abs()).log1p().transpose(1, 2)
        return loudness_BTC @ self.filters.float()


def _pitch_class_filters(n_fft: int, low_hz: float, high_hz: float) -> Tensor:
    """Which bins are of which pitch class, (bins, 12): triangles that reach to the neighbouring semitones.

    A bin counts by the share of an octave that it covers, so that octaves weigh alike.
    """
    frequencies_hz = torch.arange(1, n_fft // 2 + 1) * (SAMPLE_RATE / n_fft)
    pitches = 12.0 * (frequencies_hz / _A4_HZ).log2() + _A
    distance_CP = (pitches[:, None] - torch.arange(12) + 6.0).remainder(12.0) - 6.0
    filters_CP = (1.0 - distance_CP.abs()).clamp(min=0.0) / frequencies_hz[:, None]
    filters_CP[(frequencies_hz < low_hz) | (frequencies_hz > high_hz)] = 0.0
    return torch.nn.functional.pad(filters_CP, (0, 0, 1, 0)) * low_hz
