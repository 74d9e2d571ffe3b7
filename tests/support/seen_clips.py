"""A masking that notes which clips it is given, in which order and with which seeds; for options of `musicfm fit`."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from data_modules.masking import Masking, WaveNoise
from data_modules.mel import LogMel


class SeenClips(Masking):
    """The study's masking. It adds a line a clip to `<rank>`, in the folder that the environment names in SEEN."""

    def forward(
        self, waveform_BN: Tensor, log_mel: LogMel, generator: torch.Generator | Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        assert not isinstance(generator, torch.Generator)
        with Path(os.environ["SEEN"], os.environ.get("RANK", "0")).open("a") as file:
            for waveform_N, of_clip in zip(waveform_BN, generator, strict=True):
                file.write(f"{zlib.crc32(waveform_N.numpy().tobytes()):08x} {of_clip.initial_seed()}\n")
        return WaveNoise(self.probability, self.block_s, self.noise_std)(waveform_BN, log_mel, generator)  # type: ignore[no-any-return]


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
