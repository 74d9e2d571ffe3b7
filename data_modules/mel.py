"""What is made of the audio on the device: log-mel for most encoders, or the waveform itself."""

from __future__ import annotations

import abc
from typing import ClassVar, Literal, final

import torch
import torchaudio.functional
from torch import Tensor, nn

from data_modules import SAMPLE_RATE

_POWER_FLOOR = 1e-10
"""The least power a mel band can have, -100 dB (`amin` of torchaudio's `AmplitudeToDB`)."""
_BLOCK_FRAMES = 3000
"""Frames whose spectrum is held at once: a clip of 30 s at the study's hop."""


class Features(nn.Module, abc.ABC):
    """What the encoder reads, made of a waveform on the device. Subclasses are final.

    Settings name it by this type: of a union of final classes jsonargparse silently takes the first.
    """

    reads: ClassVar[Literal["mel", "waveform"]]
    """What it gives, in the words of `Encoder.reads`."""

    @abc.abstractmethod
    def settings(self) -> dict[str, int]:
        """What must agree between the data and a checkpoint (the statistics may differ)."""

    @abc.abstractmethod
    def forward(self, waveform_BN: Tensor) -> Tensor:
        """Features of a waveform (B, N) at `SAMPLE_RATE`."""


@final
class LogMel(Features):
    """Waveform to normalised log-mel, as in the authors' code.

    It is `torchaudio.transforms.MelSpectrogram` (power, HTK mel scale, Hann window, centred frames) and then
    `AmplitudeToDB()`, without the last frame, so that there are `SAMPLE_RATE / hop_length` frames a second.
    It has no state to save: window and filters follow from the arguments.

    Args:
        hop_length: Samples between frames (the study: 240, 100 frames a second).
        num_mels: Mel bands M (the study: 128).
        n_fft: Samples of a window (the study: 2048).
        mean: Mean of all log-mel values of the corpus in dB, one for all bands (`prepare` measures it).
        std: Standard deviation of the same.

    Attributes:
        rate_hz: Mel frames a second.

    Raises:
        ValueError: A size that is not positive, or statistics that cannot normalise.
    """

    reads: ClassVar[Literal["mel", "waveform"]] = "mel"

    window: Tensor
    filters: Tensor

    def __init__(
        self,
        hop_length: int = 240,
        num_mels: int = 128,
        n_fft: int = 2048,
        mean: float = 0.0,
        std: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value in (("hop_length", hop_length), ("num_mels", num_mels), ("n_fft", n_fft)):
            if value < 1:
                raise ValueError(f"mel.{name} must be at least 1, got {value}")
        self.hop_length = hop_length
        self.num_mels = num_mels
        self.n_fft = n_fft
        self.normalise(mean, std)
        self.rate_hz = SAMPLE_RATE / hop_length
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        filters = torchaudio.functional.melscale_fbanks(
            n_fft // 2 + 1, f_min=0.0, f_max=SAMPLE_RATE / 2, n_mels=num_mels, sample_rate=SAMPLE_RATE
        )
        self.register_buffer("filters", filters, persistent=False)

    def normalise(self, mean: float, std: float) -> None:
        """From here on with these statistics, in dB."""
        if not std > 0:
            raise ValueError(f"mel.std must be positive, got {std}: are the statistics those of silence?")
        self.mean = mean
        self.std = std

    def frames(self, num_samples: int) -> int:
        """Mel frames F of a waveform of so many samples."""
        return num_samples // self.hop_length

    def settings(self) -> dict[str, int]:
        """See `Features.settings`."""
        return {
            "sample_rate": SAMPLE_RATE,
            "n_fft": self.n_fft,
            "hop_length": self.hop_length,
            "num_mels": self.num_mels,
        }

    def forward(self, waveform_BN: Tensor) -> Tensor:
        """Normalised log-mel (B, M, F) in float32, F = N // hop_length, whatever the precision of training.

        Raises:
            ValueError: The waveform is not (clips, samples), or too short to be reflected at its edges.
        """
        if waveform_BN.ndim != 2 or waveform_BN.shape[1] <= self.n_fft // 2:
            raise ValueError(
                f"log-mel needs a waveform of shape (clips, samples) with more than {self.n_fft // 2} "
                f"samples ({self.n_fft // 2 / SAMPLE_RATE:.3f} s), got {tuple(waveform_BN.shape)}"
            )
        # Powers and decibels do not survive half precision, least of all as targets of the tokenizer.
        with torch.autocast(waveform_BN.device.type, enabled=False):
            waveform_BN = waveform_BN.float()
            if waveform_BN.device.type == "cpu":
                # A clip's spectrum fits the cache, a batch's does not: clip by clip is twice as fast.
                mel_BFM = torch.cat([self._power(clip_BN) for clip_BN in waveform_BN.split(1)])
            else:
                mel_BFM = self._power(waveform_BN)
            decibels_BMF = 10.0 * mel_BFM.transpose(1, 2).clamp(min=_POWER_FLOOR).log10()
            return ((decibels_BMF - self.mean) / self.std).contiguous()

    def _power(self, waveform_BN: Tensor) -> Tensor:
        """Power by mel band, (B, F, M); a long track block by block, since its spectrum is gigabytes."""
        half = self.n_fft // 2
        padded_BN = torch.nn.functional.pad(waveform_BN[:, None], (half, half), mode="reflect")[:, 0]
        num_frames = self.frames(waveform_BN.shape[1])
        blocks_BFM = []
        for first in range(0, num_frames, _BLOCK_FRAMES):
            last = min(first + _BLOCK_FRAMES, num_frames) - 1
            spectrum_BCF = torch.stft(
                padded_BN[:, first * self.hop_length : last * self.hop_length + self.n_fft],
                self.n_fft,
                self.hop_length,
                window=self.window.float(),
                center=False,
                return_complex=True,
            )
            spectrum_BFC = spectrum_BCF.transpose(1, 2)
            blocks_BFM.append((spectrum_BFC.real.square() + spectrum_BFC.imag.square()) @ self.filters.float())
        return torch.cat(blocks_BFM, dim=1)


@final
class Waveform(Features):
    """The waveform as it is, for encoders that hear it themselves (MERT)."""

    reads: ClassVar[Literal["mel", "waveform"]] = "waveform"

    def settings(self) -> dict[str, int]:
        """See `Features.settings`."""
        return {"sample_rate": SAMPLE_RATE}

    def forward(self, waveform_BN: Tensor) -> Tensor:
        """The waveform (B, N), unchanged."""
        return waveform_BN
