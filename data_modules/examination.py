"""One track after another of a corpus, looked at: whether it loads, what it holds, what is doubtful about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import KINDS, BadTrack, Corpus, Fault, Item, Kind
from data_modules.labels import check
from data_modules.suspicion import suspicions

_BLOCK_N = SAMPLE_RATE // 10
"""Samples whose loudness is judged together, a tenth of a second."""
_SILENCE = 1e-3
"""Root mean square below which a block is silent: -60 dB of full scale."""
_FULL_SCALE = 0.999
"""Samples from here on count as clipped: full scale of 16 bits, less rounding."""
_MOSTLY = 0.5
"""Share of silence from which a track is doubtful."""


@dataclass(frozen=True)
class Examined:
    """What was found of one track.

    Attributes:
        problem: Why it cannot be used, in the words of `BadTrack`, on one line; None if it can.
        kinds: Kinds of label that it carries.
        gaps: Why it has no labels of a kind that its corpus has.
        faults: What is wrong with labels that it has, by kind, so that they cannot be used.
        doubts: What is unlikely about it, a line each.
        duration_s: Length of its audio; 0 if it cannot be used.
        audio: Digest of its decoded audio, the same for two files only if they sound the same sample by sample.
        silent: Share of its length below -60 dB of full scale.
        clipped: Share of its samples at full scale; resampling rounds flat tops, so at least this.
    """

    item: Item
    problem: str | None = None
    kinds: tuple[Kind, ...] = ()
    gaps: Mapping[Kind, str] = field(default_factory=dict)
    faults: Mapping[Kind, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()
    duration_s: float = 0.0
    audio: str = ""
    silent: float = 0.0
    clipped: float = 0.0

    @property
    def lacking(self) -> Mapping[Kind, str]:
        """Kinds of label that its corpus has and it cannot give, for whichever reason."""
        return {**self.faults, **self.gaps}


def examine(corpus: Corpus, items: Sequence[Item]) -> list[Examined]:
    """Loads some tracks and looks at each."""
    return [_examine(corpus, item) for item in items]


def _examine(corpus: Corpus, item: Item) -> Examined:
    try:
        track = corpus.load(item)
        gaps = corpus.gaps(item)
        waveform_N = track.waveform_N
        duration_s = len(waveform_N) / SAMPLE_RATE
        check(track.labels, duration_s, f"{corpus.name}/{item.track_id}")
    except BadTrack as problem:
        return Examined(item, _line(str(problem)))
    # A reader must fail by BadTrack alone, but to find one that does not is what an examination is for.
    except Exception as error:
        return Examined(item, _line(f"the reader itself failed with {type(error).__name__}: {error}"))
    if duration_s == 0:
        return Examined(item, "no audio at all")
    doubts = suspicions(track.labels, duration_s)
    silent = _silent_share(waveform_N)
    if silent > _MOSTLY:
        doubts.append(f"audio: silent for {silent:.0%} of its {duration_s:.1f} s")
    return Examined(
        item,
        kinds=tuple(kind for kind in KINDS if kind in track.labels),
        gaps={kind: _line(reason) for kind, reason in gaps.items() if not isinstance(reason, Fault)},
        faults={kind: _line(reason) for kind, reason in gaps.items() if isinstance(reason, Fault)},
        doubts=tuple(doubts),
        duration_s=duration_s,
        audio=hashlib.sha256(np.ascontiguousarray(waveform_N).tobytes()).hexdigest()[:16],
        silent=silent,
        clipped=float(np.mean(np.abs(waveform_N) >= _FULL_SCALE)),
    )


def _silent_share(waveform_N: NDArray[np.float32]) -> float:
    if len(waveform_N) < _BLOCK_N:
        return float(np.sqrt(np.mean(np.square(waveform_N))) < _SILENCE)
    blocks = waveform_N[: len(waveform_N) // _BLOCK_N * _BLOCK_N].reshape(-1, _BLOCK_N)
    return float(np.mean(np.sqrt(np.mean(np.square(blocks), axis=1)) < _SILENCE))


def _line(text: str) -> str:
    return " ".join(text.split())
