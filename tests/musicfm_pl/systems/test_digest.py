"""Whatever changes hidden states changes the digest that their cache is named by."""

from typing import Any

import pytest
import torch

from musicfm_pl.encoders.chroma_frames import ChromaFrames
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.mel_frames import MelFrames
from musicfm_pl.systems.digest import encoder_digest

SMALL: dict[str, Any] = {"dim": 32, "num_layers": 2, "num_heads": 4, "ffn_dim": 64, "num_mels": 16, "conv_channels": 4}


@pytest.mark.parametrize(
    ("encoder", "arguments", "changed"),
    [
        (ChromaFrames, {}, {"low_hz": 200.0}),
        (ChromaFrames, {}, {"high_hz": 5000.0}),
        (ChromaFrames, {}, {"n_fft": 4096}),
        (ChromaFrames, {}, {"compression": 10.0}),
        (MelFrames, {}, {"stride": 2}),
        (Conformer, SMALL, {"num_heads": 2}),
        (Conformer, SMALL, {"kernel_size": 15}),
    ],
)
def test_a_setting_changes_it(encoder: type, arguments: dict[str, Any], changed: dict[str, Any]) -> None:
    digests = []
    for more in ({}, {}, changed):
        torch.manual_seed(0)
        digests.append(encoder_digest(encoder(**(arguments | more)), "mel"))
    assert digests[0] == digests[1] != digests[2]


def test_a_weight_a_statistic_and_the_mel_change_it() -> None:
    torch.manual_seed(0)
    encoder = Conformer(**SMALL)
    seen = {encoder_digest(encoder, "mel"), encoder_digest(encoder, "another mel")}
    with torch.no_grad():
        next(encoder.parameters()).view(-1)[0] += 1.0
    seen.add(encoder_digest(encoder, "mel"))
    next(buffer for name, buffer in encoder.named_buffers() if "running_mean" in name)[0] += 1.0
    seen.add(encoder_digest(encoder, "mel"))
    assert len(seen) == 4
