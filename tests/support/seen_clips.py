"""A masking that notes which clips it is given, in which order, and what it masks of each; for `musicfm fit`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from data_modules.masking import Masking, WaveNoise
from data_modules.mel import LogMel


class SeenClips(Masking):
    """The study's masking. It adds a line a clip to `<rank>`, in the folder that the environment names in SEEN.

    The line has a checksum of the clip, its seed, and a checksum of its mask.
    """

    def forward(
        self, waveform_BN: Tensor, log_mel: LogMel, generator: torch.Generator | Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert not isinstance(generator, torch.Generator)
        masking = WaveNoise(self.probability, self.block_s, self.noise_std)
        mel_BMF, masked_mel_BMF, mask_BF = masking(waveform_BN, log_mel, generator)
        with Path(os.environ["SEEN"], os.environ.get("RANK", "0")).open("a") as file:
            for waveform_N, of_clip, mask_F in zip(waveform_BN, generator, mask_BF, strict=True):
                file.write(f"{_checksum(waveform_N)} {of_clip.initial_seed()} {_checksum(mask_F)}\n")
        return mel_BMF, masked_mel_BMF, mask_BF


def _checksum(values: Tensor) -> str:
    return f"{zlib.crc32(values.numpy().tobytes()):08x}"


def masks(batch: Iterable[str]) -> list[str]:
    """The checksum of the mask of each clip of a batch."""
    return [line.split()[2] for line in batch]


def global_batches(folder: Path, ranks: int, clips: int) -> list[list[str]]:
    """What all ranks were given together, step by step; a last validation is among it.

    Args:
        folder: That SEEN named.
        ranks: How many there were.
        clips: In a step of all ranks.
    """
    share = clips // ranks
    lines = [(folder / str(rank)).read_text().splitlines() for rank in range(ranks)]
    # Of ranks that were killed one may be a step ahead.
    return [
        [line for of_rank in lines for line in of_rank[first : first + share]]
        for first in range(0, min(map(len, lines)), share)
    ]
