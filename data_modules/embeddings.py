"""Hidden states of a frozen encoder for whole tracks: computed once, kept beside the shards, read like audio."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from rich.progress import track as progress_of
from torch import Tensor

from data_modules.index import Entry
from data_modules.shards import Prepared, written_aside


class Embeddings:
    """Hidden states of every track, float16 (L, T, D), in one memory-mapped file.

    Args:
        folder: As `compute` wrote it.
        state: The only one that is read, so that L is 1 and one layer costs the time of one; None for all.
    """

    def __init__(self, folder: Path, state: int | None = None) -> None:
        meta = json.loads((folder / "index.json").read_text())
        self.folder = folder
        self.rate_hz: float = meta["rate_hz"]
        self.num_states: int = meta["num_states"]
        self.dim: int = meta["dim"]
        self._states = slice(None) if state is None else slice(state, state + 1)
        self._first: dict[str, tuple[int, int]] = {key: (a, b) for key, (a, b) in meta["tracks"].items()}
        self._map: np.ndarray | None = None

    def read(self, entry: Entry, start_s: float, duration_s: float) -> Tensor:
        """Float16 (L, T, D); what lies beyond the end of the track is zero. See `Source.read`."""
        if self._map is None:
            total = sum(length for _, length in self._first.values())
            self._map = np.memmap(
                self.folder / "states.f16", dtype=np.float16, mode="r", shape=(total, self.num_states, self.dim)
            )
        first, length = self._first[entry.track_id]
        start = round(start_s * self.rate_hz)
        num_tokens = max(1, round(duration_s * self.rate_hz))
        there = self._map[first + start : first + min(length, start + num_tokens), self._states]
        states = np.zeros((num_tokens, *there.shape[1:]), dtype=np.float16)
        states[: len(there)] = there
        return torch.from_numpy(states).transpose(0, 1)

    def expect(self, crops: Sequence[tuple[Entry, float, float]]) -> None:
        """See `Source.expect`: they are on this disk."""

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_map": None}


def compute(
    prepared: Prepared,
    digest: str,
    rate_hz: float,
    encode: Callable[[Tensor], Tensor],
    state: int | None = None,
) -> Embeddings:
    """Hidden states of all tracks, from the cache if this encoder has been over this corpus before.

    Processes that ask for the same states at the same time wait for the first.

    Args:
        prepared: The corpus; its own digest is part of the cache's name.
        digest: Of the encoder: weights, settings, mel statistics, windows.
        rate_hz: Hidden states a second.
        encode: Waveform (N,), float32 -> hidden states (L, T, D) of a whole track.
        state: The only one that will be read; None for all. All are computed.
    """
    folder = prepared.storage.own_file(f"embeddings/{prepared.digest}-{digest}")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "index.json").exists():
            _write(prepared, folder, rate_hz, encode, prepared.entries)
    return Embeddings(folder, state)


def _write(
    prepared: Prepared, folder: Path, rate_hz: float, encode: Callable[[Tensor], Tensor], entries: Sequence[Entry]
) -> None:
    tracks: dict[str, tuple[int, int]] = {}
    position, num_states, dim = 0, 0, 0
    with written_aside(folder / "states.f16") as file:
        for entry in progress_of(entries, description="hidden states, once for all tasks", transient=True):
            waveform = torch.from_numpy(prepared.read(entry).astype(np.float32) / 32768.0)
            states_LTD = encode(waveform)
            if not torch.isfinite(states_LTD.to(torch.float16)).all():
                raise ValueError(
                    f"{entry.track_id}: the encoder's hidden states do not fit float16; set data.cache: false"
                )
            num_states, length, dim = states_LTD.shape
            file.write(states_LTD.transpose(0, 1).to(torch.float16).contiguous().cpu().numpy().tobytes())
            tracks[entry.track_id] = (position, length)
            position += length
    meta = {"rate_hz": rate_hz, "num_states": num_states, "dim": dim, "tracks": tracks}
    with written_aside(folder / "index.json", "w") as file:
        json.dump(meta, file)
