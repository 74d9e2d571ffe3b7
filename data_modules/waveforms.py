"""Waveforms of clips, read to where their batch lies: a clip is copied once on its way from the shard."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor
from torch.utils.data import get_worker_info

from data_modules import SAMPLE_RATE
from data_modules.index import Entry
from data_modules.shards import Prepared


@final
class Samples:
    """Waveforms as int16 (N,): they cross the bus as they lie on the disk. A `Source`.

    Args:
        prepared: Where they are read.
    """

    rate_hz: float = SAMPLE_RATE

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self._rows: list[Tensor] = []

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        """See `Source.read`."""
        num_samples = round(duration_s * SAMPLE_RATE)
        row = self._rows[-1] if self._rows and len(self._rows[-1]) == num_samples else None
        values = torch.empty(num_samples, dtype=torch.int16) if row is None else row
        found = self.prepared.read(entry, round(start_s * SAMPLE_RATE), num_samples, values.numpy())
        values[len(found) :] = 0
        if row is not None:
            self._rows.pop()  # and not before: in the place of a damaged clip another is read there
        return values

    def expect(self, crops: Sequence[tuple[Entry, float, float]]) -> None:
        """See `Source.expect`; what is read next lies end to end, for `stacked`."""
        self.prepared.expect(
            [
                (entry, round(start_s * SAMPLE_RATE), round(duration_s * SAMPLE_RATE))
                for entry, start_s, duration_s in crops
            ]
        )
        lengths = {round(duration_s * SAMPLE_RATE) for _, _, duration_s in crops}
        self._rows = list(reversed(_batch(len(crops), lengths.pop()))) if len(lengths) == 1 else []

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_rows": []}


def _batch(num_clips: int, num_samples: int) -> Sequence[Tensor]:
    """Rows of one tensor; in a worker it lies in shared memory, from where it needs no copy to be handed over."""
    shape = (num_clips, num_samples)
    if get_worker_info() is None:
        return torch.empty(shape, dtype=torch.int16).unbind()
    # As torch's own `default_collate` has it.
    storage = torch.UntypedStorage._new_shared(2 * math.prod(shape))
    return torch.empty(0, dtype=torch.int16).set_(storage, 0, shape).unbind()  # type: ignore[call-overload]


def stacked(clips: Sequence[Tensor]) -> Tensor:
    """Clips (N,) as a batch (B, N): without a copy if they are all the rows, in order, that `Samples.expect` made."""
    base = clips[0]._base
    shape = (len(clips), *clips[0].shape)
    if (
        base is None
        or base.shape != shape
        or any(
            row._base is not base or row.storage_offset() != number * row.numel() for number, row in enumerate(clips)
        )
    ):
        return torch.stack(list(clips))
    return base
