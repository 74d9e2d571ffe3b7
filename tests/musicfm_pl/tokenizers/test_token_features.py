"""Features of k-means tokens: MFCCs against torchaudio, and what a teacher must fit."""

from __future__ import annotations

import pytest
import torch
import torchaudio

from data_modules.mel import LogMel
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.tokenizers.token_features import HiddenLayer, Mfcc, StackedMel, weights_digest


def test_mfccs_are_those_of_torchaudio_but_for_scale_and_offset() -> None:
    waveform_BN = 0.3 * torch.randn(2, 24000, generator=torch.Generator().manual_seed(0))
    oracle = torchaudio.transforms.MFCC(24000, n_mfcc=13, melkwargs={"n_fft": 2048, "hop_length": 240, "n_mels": 128})
    oracle.amplitude_to_DB.top_db = None
    expected_BCF = oracle(waveform_BN)[:, :, :100]
    log_mel = LogMel(mean=-20.0, std=15.0)
    own_BTD = Mfcc(128, 4)(log_mel(waveform_BN))
    assert own_BTD.shape == (2, 25, 4 * 39)
    own_BCF = own_BTD.unflatten(2, (4, 39)).flatten(1, 2).transpose(1, 2)
    # The mean of the mel is in the first coefficient alone, sqrt(128) times.
    level = torch.zeros(13).index_fill(0, torch.tensor(0), -20.0 * 128**0.5)
    torch.testing.assert_close(15.0 * own_BCF[:, :13] + level[:, None], expected_BCF, rtol=1e-4, atol=1e-2)
    deltas_BCF = torchaudio.functional.compute_deltas(expected_BCF)
    torch.testing.assert_close(15.0 * own_BCF[:, 13:26], deltas_BCF, rtol=1e-3, atol=1e-2)
    second_BCF = torchaudio.functional.compute_deltas(deltas_BCF)
    torch.testing.assert_close(15.0 * own_BCF[:, 26:], second_BCF, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize("num_frames", [1, 3, 4, 41])
def test_a_rest_of_frames_is_dropped(num_frames: int) -> None:
    for part in (StackedMel(16, 4), Mfcc(16, 4)):
        assert part(torch.randn(3, 16, num_frames)).shape == (3, num_frames // 4, part.dim)


def test_what_cannot_be_heard_is_refused() -> None:
    with pytest.raises(ValueError, match="13 coefficients need as many mel bands, got 8"):
        Mfcc(8, 4)
    encoder = Conformer(dim=8, num_layers=1, num_heads=2, ffn_dim=8, conv_channels=2, num_mels=16)
    with pytest.raises(ValueError, match=r"reads mel of 16 bands with 4 frames a token, .* of 16 bands with 2"):
        HiddenLayer(16, 2, encoder, 1)
    with pytest.raises(ValueError, match="layer 2 asked for, but the teacher has hidden states 0 to 1"):
        HiddenLayer(16, 4, encoder, 2)


def test_the_digest_is_of_every_weight() -> None:
    encoder = Conformer(dim=8, num_layers=1, num_heads=2, ffn_dim=8, conv_channels=2, num_mels=16)
    before = weights_digest(encoder)
    assert weights_digest(encoder) == before
    with torch.no_grad():
        list(encoder.parameters())[-1].view(-1)[0] += 1e-6
    assert weights_digest(encoder) != before
