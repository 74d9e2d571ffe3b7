"""Keys: one frame in 2 s, 24 classes, scored for the song and by the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import mir_eval
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Metrics, Rules, Scores
from musicfm_pl.heads.losses import cross_entropy_of_known
from musicfm_pl.heads.timeline import (
    classes_by_frame,
    extent_s,
    fill_gaps,
    mean_of_defined,
    perfect_class_logits,
    runs,
)

_RATE_HZ = 0.5
_PITCHES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MODES = ("major", "minor")
KEYS = tuple(f"{pitch} {mode}" for mode in _MODES for pitch in _PITCHES)
"""The classes, as mir_eval parses them."""
Fifths = Literal["up", "both"]


def key_class(label: str) -> int | None:
    """The class of a key, an index of `KEYS`; None for "X" and for modes other than major and minor."""
    pitch, mode = mir_eval.key.split_key_string(label)
    return None if pitch is None or mode not in _MODES else 12 * _MODES.index(mode) + pitch


@final
@dataclass(frozen=True)
class KeyRules(Rules):
    """How keys are scored; `Key` says what each one is.

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    fifths: Fifths

    def decoded(self) -> str:
        """See `Rules.decoded`."""
        return "The key of a song is that of the mean of its logits."

    def __post_init__(self) -> None:
        if self.fifths not in get_args(Fifths):
            raise ValueError(f"head.fifths must be one of {', '.join(get_args(Fifths))}, got {self.fifths!r}")


@final
class Key(Head):
    """The key of each stretch of 2 s, and of the song. A frame has the key that holds most of it.

    The song's key is estimated by the mean of its logits; in the reference it is the key that lasts longest.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        hidden_dim: Width of one hidden layer; 0 for a linear head.
        dropout: Before the last layer.
        context_layers: Dilated convolutions that let a frame know what comes before and after: n of them reach
            2^n - 1 frames of 2 s, in which most keys share the chord that sounds. 0 leaves all context to the
            encoder, as in the study.
        fifths: Half a point is given for a key that lies a fifth `up` from the right one (mir_eval), or in
            `both` directions (MIREX since 2017).
    """

    task: ClassVar[str] = "key"
    kind: ClassVar[Kind] = "key"
    rate_hz: ClassVar[float | None] = _RATE_HZ
    headline: ClassVar[tuple[str, ...]] = ("key_weighted",)

    rules: KeyRules

    def __init__(
        self, dim: int, hidden_dim: int = 512, dropout: float = 0.2, context_layers: int = 0, fifths: Fifths = "up"
    ) -> None:
        super().__init__(dim, len(KEYS), hidden_dim, dropout, context_layers)
        self.rules = KeyRules(fifths)

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """The class of each frame, (N, 1); NaN where no key, or neither major nor minor, is annotated."""
        num_frames = self.num_frames(duration_s)
        return classes_by_frame(reference, key_class, len(KEYS), num_frames, _RATE_HZ, duration_s)[:, None]

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy_of_known(logits_BNK, targets_BNJ[..., 0])

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """±10, and 0 where nothing is known."""
        return perfect_class_logits(targets_NJ[:, 0], len(KEYS))

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """Local keys as spans without a gap, and as `whole` the key of the song."""
        local = runs(logits_NK.argmax(axis=1), KEYS, _RATE_HZ, duration_s)
        return Estimate(local, whole=KEYS[int(logits_NK.mean(axis=0).argmax())])

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """Figures of the song's key, and `key_local_accuracy`, the share of the time with the right key.

        `key_weighted_up` is `mir_eval.key.weighted_score`; `key_weighted_both` gives half for a fifth in either
        direction, as MIREX does since 2017; `key_weighted` is the one of them that `rules.fifths` names;
        `key_accuracy` counts exact keys. All are means over tracks but `key_local_accuracy`, which pools all
        seconds.
        """
        tracks: list[Metrics] = []
        weights: list[dict[str, float]] = []
        right_s = known_s = 0.0
        for reference, estimate in zip(references, estimates, strict=True):
            truth, found = _song_key(reference), estimate.whole
            if truth is None or found is None:
                tracks.append(dict.fromkeys(_FIGURES))
                weights.append({})
                continue
            right, known = _local_agreement_s(reference, estimate.spans)
            right_s, known_s = right_s + right, known_s + known
            weights.append({"key_local_accuracy": known})
            up = float(mir_eval.key.weighted_score(truth, found))
            # All relations but the fifth are the same both ways.
            both = max(up, float(mir_eval.key.weighted_score(found, truth)))
            exact = float(key_class(truth) == key_class(found))
            chosen = up if self.rules.fifths == "up" else both
            tracks.append(dict(zip(_FIGURES, (chosen, up, both, exact, right / known), strict=True)))
        summary: dict[str, float | None] = {
            name: mean_of_defined([track[name] for track in tracks]) for name in _FIGURES
        }
        summary["key_local_accuracy"] = right_s / known_s if known_s else None
        return Scores(summary, tracks, self._notes(references), weights)

    def _notes(self, references: Sequence[Spans]) -> list[str]:
        fifths = "upwards only" if self.rules.fifths == "up" else "in both directions"
        notes = [f"The reference key of a song is the one that lasts longest; key_weighted counts a fifth {fifths}."]
        several = sum(len(_seconds_by_key(reference)) > 1 for reference in references)
        if several:
            notes.append(f"{several} of {len(references)} tracks change key.")
        without = sum(not _seconds_by_key(reference) for reference in references)
        if without:
            notes.append(f"{without} of {len(references)} tracks have no major or minor key and are left out.")
        return notes


_FIGURES = ("key_weighted", "key_weighted_up", "key_weighted_both", "key_accuracy", "key_local_accuracy")


def _seconds_by_key(reference: Spans) -> Mapping[int, float]:
    seconds: dict[int, float] = {}
    for start_s, end_s, label in reference:
        index = key_class(label)
        if index is not None:
            seconds[index] = seconds.get(index, 0.0) + end_s - start_s
    return seconds


def _song_key(reference: Spans) -> str | None:
    """The key that lasts longest, the earlier of equals; None if there is none."""
    seconds = _seconds_by_key(reference)
    return KEYS[max(seconds, key=seconds.__getitem__)] if seconds else None


def _local_agreement_s(reference: Spans, estimate: Spans) -> tuple[float, float]:
    """Seconds for which the local key is right, and seconds for which one is annotated."""
    start_s, end_s = extent_s(reference)
    truth = fill_gaps(reference, start_s, end_s, "X")
    found = fill_gaps(estimate, start_s, end_s, "X")
    intervals_s, true_labels, found_labels = mir_eval.util.merge_labeled_intervals(
        truth.intervals_s, list(truth.labels), found.intervals_s, list(found.labels)
    )
    right = known = 0.0
    for (begin_s, finish_s), label, guess in zip(intervals_s.tolist(), true_labels, found_labels, strict=True):
        index = key_class(label)
        if index is not None:
            known += finish_s - begin_s
            right += (finish_s - begin_s) * (index == key_class(guess))
    return right, known
