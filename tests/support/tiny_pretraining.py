"""A very small model and a batch of noise for it."""

from __future__ import annotations

import torch

from data_modules import SAMPLE_RATE
from data_modules.batches import PretrainBatch
from data_modules.masking import MelNoise, WaveNoise
from data_modules.mel import LogMel
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.tokenizers.random_projection import RandomProjection


def model(
    time_strides: tuple[int, int], encoder: type[Conformer] | type[Bert] = Conformer, num_books: int = 1
) -> MaskedTokenModel:
    small = encoder(dim=16, num_layers=1, num_heads=2, ffn_dim=8, conv_channels=2, time_strides=time_strides)
    return MaskedTokenModel(small, lambda frame_dim: RandomProjection(frame_dim, 16, code_dim=4, num_books=num_books))


def batch(duration_s: float, hop_length: int, masking: WaveNoise | MelNoise, seed: int = 0) -> PretrainBatch:
    generator = torch.Generator().manual_seed(seed)
    waveform_BN = 0.1 * torch.randn(2, round(duration_s * SAMPLE_RATE), generator=generator)
    return PretrainBatch(*masking(waveform_BN, LogMel(hop_length), generator))
