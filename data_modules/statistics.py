"""One mean and one standard deviation of all log-mel values of a corpus, stored beside its shards."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import torch

from data_modules import SAMPLE_RATE
from data_modules.mel import LogMel
from data_modules.shards import Prepared, written_aside

_MAX_HOURS = 2.0
"""More audio than this moves neither figure in the third digit; a larger corpus is sampled evenly."""
_BLOCK_S = 30


@dataclass(frozen=True)
class MelStatistics:
    """Mean and standard deviation over all bands and frames of the training split, as the study normalises."""

    mean: float
    std: float


def mel_statistics(prepared: Prepared, hop_length: int = 240, num_mels: int = 128, n_fft: int = 2048) -> MelStatistics:
    """The statistics for these mel settings: read from `mel/` in the prepared folder, or computed and kept there.

    Raises:
        ValueError: The training split is silent, so that there is nothing to normalise by.
    """
    name = f"mel/hop{hop_length}-mels{num_mels}-fft{n_fft}.json"
    with contextlib.suppress(FileNotFoundError):
        stored = json.loads(prepared.storage.local_file(name).read_text())
        return MelStatistics(mean=stored["mean"], std=stored["std"])
    statistics = _compute(prepared, LogMel(hop_length=hop_length, num_mels=num_mels, n_fft=n_fft))
    if statistics.std < 1e-3:
        raise ValueError(f"{prepared.storage.name}: the training split is silent (mel std {statistics.std:.2g})")
    with written_aside(prepared.storage.own_file(name), "w") as file:
        json.dump(asdict(statistics), file, indent=2)
    return statistics


@torch.no_grad()
def _compute(prepared: Prepared, log_mel: LogMel) -> MelStatistics:
    tracks = prepared.tracks("train")
    ends_E = np.cumsum(-(-tracks.lengths // (_BLOCK_S * SAMPLE_RATE)))
    num_blocks = int(ends_E[-1])
    step = max(1, round(num_blocks * _BLOCK_S / 3600 / _MAX_HOURS))
    count, total, squares = 0, 0.0, 0.0
    for flat in range(0, num_blocks, step):
        number = int(np.searchsorted(ends_E, flat, side="right"))
        block = flat - (int(ends_E[number - 1]) if number else 0)
        samples = prepared.read(tracks[number], block * _BLOCK_S * SAMPLE_RATE, _BLOCK_S * SAMPLE_RATE)
        if len(samples) < 2 * log_mel.n_fft:
            continue
        mel = log_mel(torch.from_numpy(samples.astype(np.float32) / 32768.0)[None]).double()
        count += mel.numel()
        total += mel.sum().item()
        squares += mel.square().sum().item()
    if count == 0:
        raise ValueError(f"{prepared.storage.name}: the training split is too short for mel statistics")
    mean = total / count
    return MelStatistics(mean=mean, std=max(squares / count - mean**2, 0.0) ** 0.5)
