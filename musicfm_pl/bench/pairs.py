"""The same model twice, with the same weights: the public way and ours; and the clips that both hear."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import torch
import torchaudio
from torch import Tensor, nn

from data_modules import SAMPLE_RATE
from data_modules.batches import Origin, PretrainBatch
from data_modules.masking import WaveNoise
from data_modules.mel import LogMel
from data_modules.pretrain import PretrainData, RawBatch
from musicfm_pl.bench.public_way import PublicWay
from musicfm_pl.bench.sizes import NUM_CODES, NUM_MELS, RATES, Size
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import CompileBackend, MaskedTokenModel
from musicfm_pl.tokenizers.random_projection import RandomProjection

MEL_MEAN, MEL_STD = 6.768444971712967, 18.417922652295623
"""Of the Million Song Dataset, as the authors published them: they set the scale of what the encoder reads."""


class Pair(NamedTuple):
    """The public way, and ours with its weights.

    Attributes:
        public: As one gets it from public parts.
        ours: With the same weights.
        hop_length: Samples between the mel frames that both read.
    """

    public: PublicWay
    ours: MaskedTokenModel
    hop_length: int

    @property
    def encoder(self) -> Conformer:
        """Our encoder."""
        assert isinstance(self.ours.encoder, Conformer)
        return self.ours.encoder


def pair(
    size: Size,
    rate_hz: int = 25,
    dropout: float = 0.1,
    num_codes: int = NUM_CODES,
    compile_backend: CompileBackend | None = None,
    **options: Any,
) -> Pair:
    """Both models with the same random weights; those of two calls are the same too.

    Args:
        size: Of the encoder.
        rate_hz: Tokens a second: 25, 50 or 75.
        dropout: While training.
        num_codes: Of the tokenizer.
        compile_backend: Ours is compiled by it.
        options: Of our encoder, that change none of its outputs.
    """
    hop_length, time_strides = RATES[rate_hz]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = Conformer(**size._asdict(), dropout=dropout, time_strides=time_strides, **options)
        tokenizer = RandomProjection(encoder.stride * encoder.num_mels, num_codes)
        public = PublicWay(size, time_strides, tokenizer, dropout)
        encoder.load_state_dict(public.encoder_state())
    ours = MaskedTokenModel(encoder, lambda frame_dim: tokenizer, rate_hz, compile_backend=compile_backend)
    ours.prediction.load_state_dict(public.linear.state_dict())
    return Pair(public, ours, hop_length)


class Hearing:
    """Clips on the device, masked and made into mel, by either way.

    Args:
        num_clips: A batch.
        clip_s: Their length in seconds.
        device: Where they lie.
        hop_length: Samples between mel frames, for either way.

    Attributes:
        waveform_BN: The clips, of which both ways make what they read.
    """

    def __init__(self, num_clips: int, clip_s: float, device: torch.device, hop_length: int) -> None:
        self.generator = torch.Generator(device).manual_seed(0)
        shape = (num_clips, round(clip_s * SAMPLE_RATE))
        samples_BN = 3277 * torch.randn(shape, generator=self.generator, device=device)
        self._samples_BN = samples_BN.to(torch.int16)  # as the reading processes give them
        self.waveform_BN = self._samples_BN.float() / 32768
        self.hop_length = hop_length
        self.log_mel = LogMel(hop_length, NUM_MELS, mean=MEL_MEAN, std=MEL_STD).to(device)
        self.masking = WaveNoise()
        self._data = PretrainData(masking=self.masking, features=self.log_mel, num_workers=0)
        self._items = itertools.count()
        self.public_mel = nn.Sequential(
            torchaudio.transforms.MelSpectrogram(SAMPLE_RATE, 2048, hop_length=hop_length, n_mels=NUM_MELS),
            torchaudio.transforms.AmplitudeToDB(),
        ).to(device)

    def ours(self) -> PretrainBatch:
        """What `PretrainData` makes of a batch on the device: every clip has a mask of its own seed."""
        seeds = itertools.islice(self._items, len(self._samples_BN))
        origins = [Origin("noise", 0.0, seed) for seed in seeds]
        return self._data.on_after_batch_transfer(RawBatch(self._samples_BN, origins), 0)

    @torch.no_grad()
    def public(self, model: PublicWay) -> tuple[Tensor, Tensor, Tensor]:
        """Clean mel and masked mel, one after the other by torchaudio's transform, and the mask by token, (B, T)."""
        block = round(self.masking.block_s * SAMPLE_RATE)
        batch, samples = self.waveform_BN.shape
        chance = torch.rand(batch, samples // block, generator=self.generator, device=self.waveform_BN.device)
        mask_BN = torch.zeros_like(self.waveform_BN, dtype=torch.bool)
        hidden_BN = (chance < self.masking.probability).repeat_interleave(block, dim=1)
        mask_BN[:, : hidden_BN.shape[1]] = hidden_BN
        noise_BN = torch.randn(mask_BN.shape, generator=self.generator, device=mask_BN.device)
        masked_BN = torch.where(mask_BN, self.masking.noise_std * noise_BN, self.waveform_BN)
        clean_BMF, masked_BMF = self.normalised(self.waveform_BN), self.normalised(masked_BN)
        return clean_BMF, masked_BMF, mask_BN[:, :: model.stride * self.hop_length]

    def normalised(self, waveform_BN: Tensor) -> Tensor:
        """Mel (B, M, F) by torchaudio's transform."""
        return (self.public_mel(waveform_BN)[..., :-1] - MEL_MEAN) / MEL_STD
