"""One mean and one standard deviation of all log-mel values of a corpus, stored beside its shards."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from data_modules import SAMPLE_RATE
from data_modules.blocks import BadRecord
from data_modules.damage import Damage
from data_modules.index import Entry
from data_modules.mel import LogMel
from data_modules.shards import Prepared, written_aside

_log = logging.getLogger(__name__)

_MAX_HOURS = 2.0
"""More audio than this moves neither figure in the third digit; a larger corpus is sampled evenly."""
_BLOCK_S = 30
_BLOCK_N = _BLOCK_S * SAMPLE_RATE


@dataclass(frozen=True)
class MelStatistics:
    """Mean and standard deviation over all bands and frames of the training split, as the study normalises."""

    mean: float
    std: float


def mel_statistics(
    prepared: Prepared,
    hop_length: int = 240,
    num_mels: int = 128,
    n_fft: int = 2048,
    damage: Damage | None = None,
) -> MelStatistics:
    """The statistics for these mel settings: read from `mel/` in the prepared folder, or computed and kept there.

    Processes of a machine that ask for the same at the same time wait for the first.

    Args:
        prepared: The corpus.
        hop_length: See `LogMel`.
        num_mels: See `LogMel`.
        n_fft: See `LogMel`.
        damage: Takes account of damaged records, which are left out; by default as a run does by default.

    Raises:
        ValueError: The training split is silent or too short, so that there is nothing to normalise by; or more of
            it is damaged than may be.
    """
    name = f"mel/hop{hop_length}-mels{num_mels}-fft{n_fft}.json"
    with contextlib.suppress(FileNotFoundError):
        return _stored(prepared.storage.local_file(name))
    path = prepared.storage.own_file(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            log_mel = LogMel(hop_length=hop_length, num_mels=num_mels, n_fft=n_fft)
            statistics, left_out = _compute(prepared, log_mel, damage or Damage())
            if statistics.std < 1e-3:
                raise ValueError(
                    f"{prepared.storage.name}: the training split is silent (mel std {statistics.std:.2g})"
                )
            with written_aside(path, "w") as file:
                json.dump(asdict(statistics) | ({"left_out": left_out} if left_out else {}), file, indent=2)
    return _stored(path)


def _stored(path: Path) -> MelStatistics:
    stored = json.loads(path.read_text())
    if stored.get("left_out"):
        _log.warning(
            "%s: measured without %d damaged blocks; once they are mended, delete it, and the next run measures anew",
            path,
            stored["left_out"],
        )
    return MelStatistics(mean=stored["mean"], std=stored["std"])


@torch.no_grad()
def _compute(prepared: Prepared, log_mel: LogMel, damage: Damage) -> tuple[MelStatistics, int]:
    """The statistics, and how many blocks were damaged and left out."""
    count, total, squares, left_out = 0, 0.0, 0.0, 0
    for entry, first_sample in _sampled(prepared, log_mel.hop_length):
        try:
            samples = prepared.read(entry, first_sample, _BLOCK_N)
        except BadRecord as problem:
            damage.count(1, [str(problem)], instead="the mel statistics do without it")
            left_out += 1
            continue
        damage.count(1, [])
        if len(samples) < 2 * log_mel.n_fft:
            continue
        mel = log_mel(torch.from_numpy(samples.astype(np.float32) / 32768.0)[None]).double()
        count += mel.numel()
        total += mel.sum().item()
        squares += mel.square().sum().item()
    if count == 0:
        why = "damaged" if damage.damaged else "too short for mel statistics"
        raise ValueError(f"{prepared.storage.name}: the training split is {why}")
    mean = total / count
    return MelStatistics(mean=mean, std=max(squares / count - mean**2, 0.0) ** 0.5), left_out


def _sampled(prepared: Prepared, hop_length: int) -> Iterator[tuple[Entry, int]]:
    """Blocks of the training split, spread evenly over it: their track, and their first sample in it."""
    tracks = prepared.tracks("train")
    ends_E = np.cumsum(-(-tracks.lengths // _BLOCK_N))
    num_blocks = int(ends_E[-1])
    chosen = range(0, num_blocks, max(1, round(num_blocks * _BLOCK_S / 3600 / _MAX_HOURS)))
    hours = len(chosen) * _BLOCK_S / 3600
    _log.warning("%s: measuring mel statistics at hop %d over %.2f h, once", prepared.storage.name, hop_length, hours)
    for flat in chosen:
        number = int(np.searchsorted(ends_E, flat, side="right"))
        block = flat - (int(ends_E[number - 1]) if number else 0)
        yield tracks[number], block * _BLOCK_N
