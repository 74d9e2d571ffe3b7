"""Chords: 16 frames a second, 25 or 170 classes, scored by mir_eval and the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import mir_eval
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Metrics, Rules, Scores
from musicfm_pl.heads.chord_vocabulary import ChordVocabulary, VocabularyName
from musicfm_pl.heads.losses import cross_entropy_of_known
from musicfm_pl.heads.timeline import (
    classes_by_frame,
    extent_s,
    fill_gaps,
    mean_of_defined,
    perfect_class_logits,
    runs,
)
from musicfm_pl.heads.viterbi import sticky_viterbi

_RATE_HZ = 16.0
_COMPARISONS = (
    *("majmin", "root", "thirds", "triads", "sevenths", "tetrads", "mirex"),
    *("majmin_inv", "sevenths_inv"),
)
"""Functions of `mir_eval.chord` that compare two labels."""
_SEGMENTATIONS = ("seg", "overseg", "underseg")
"""Functions of `mir_eval.chord` that compare where chords change; `seg` is the lesser of the others."""

Average = Literal["seconds", "tracks"]


@final
@dataclass(frozen=True)
class ChordRules(Rules):
    """How chords are decoded and scored; `Chord` says what each one is.

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    self_transition: float
    average: Average

    def decoded(self) -> str:
        """See `Rules.decoded`."""
        if not self.self_transition:
            return "Decoded frame by frame, each by itself."
        return f"Decoded by Viterbi, with a probability of {self.self_transition:g} of staying in a chord for a frame."

    def __post_init__(self) -> None:
        if not 0 <= self.self_transition < 1:
            raise ValueError(f"head.self_transition must lie in [0, 1), got {self.self_transition}")
        if self.average not in get_args(Average):
            raise ValueError(f"head.average must be one of {', '.join(get_args(Average))}, got {self.average!r}")


@final
class Chord(Head):
    """One chord a frame. Frame n lasts from n / 16 s to (n + 1) / 16 s; its chord is what holds most of it.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        vocabulary: `majmin`, the study's 25 classes, or `large`, 170 (14 qualities, N, X).
        hidden_dim: Width of one hidden layer; 0 for a linear head.
        dropout: Before the last layer.
        context_layers: Dilated convolutions that let a frame know what comes before and after: n of them reach
            2^n - 1 frames of 1/16 s. 0 leaves all context to the encoder, as in the study.
        self_transition: Probability that the Viterbi decoder gives to staying in a chord from one frame to
            the next, such as 0.9; 0 takes the best chord of each frame by itself.
        average: Figures of the set pool all `seconds` (WCSR, as MIREX since 2013), or are means over `tracks`.
    """

    task: ClassVar[str] = "chord"
    kind: ClassVar[Kind] = "chord"
    rate_hz: ClassVar[float | None] = _RATE_HZ
    headline: ClassVar[tuple[str, ...]] = ("chord_majmin",)

    rules: ChordRules

    def __init__(
        self,
        dim: int,
        vocabulary: VocabularyName = "majmin",
        hidden_dim: int = 512,
        dropout: float = 0.2,
        context_layers: int = 0,
        self_transition: float = 0.0,
        average: Average = "seconds",
    ) -> None:
        chords = ChordVocabulary(vocabulary)
        super().__init__(dim, len(chords), hidden_dim, dropout, context_layers)
        if self_transition and not 1 / chords.num_answers <= self_transition < 1:
            raise ValueError(
                f"head.self_transition must be 0 or in [1 / {chords.num_answers}, 1), got {self_transition}"
            )
        self.chords = chords
        self.rules = ChordRules(self_transition, average)

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """The class of each frame, (N, 1); NaN where no chord, or none of the vocabulary, is annotated."""
        return classes_by_frame(
            reference,
            self.chords.class_of,
            len(self.chords),
            self.num_frames(duration_s),
            _RATE_HZ,
            duration_s,
        )[:, None]

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean cross-entropy."""
        return cross_entropy_of_known(logits_BNK, targets_BNJ[..., 0])

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """±10, and 0 where nothing is known."""
        return perfect_class_logits(targets_NJ[:, 0], len(self.chords))

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """Chords in Harte syntax, without a gap."""
        answers = logits_NK[:, : self.chords.num_answers]
        if self.rules.self_transition:
            classes_N = sticky_viterbi(log_softmax(answers, axis=1), self.rules.self_transition)
        else:
            classes_N = answers.argmax(axis=1)
        return Estimate(runs(classes_N, self.chords.labels, _RATE_HZ, duration_s))

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """Share of the annotated time that is right, by each of mir_eval's comparisons.

        `chord_majmin` and its like are averaged as `rules.average` says; `chord_majmin_by_track` and its like
        are means over tracks in any case. `chord_seg`, `chord_overseg` and `chord_underseg` are mir_eval's scores of
        segmentation, means over tracks.
        """
        tracks: list[Metrics] = []
        weights: list[dict[str, float]] = []
        pooled: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {name: [] for name in _COMPARISONS}
        for reference, estimate in zip(references, estimates, strict=True):
            if len(reference) == 0:
                tracks.append({f"chord_{name}": None for name in (*_COMPARISONS, *_SEGMENTATIONS)})
                weights.append({})
                continue
            figures, weighed = _compare(reference, estimate.spans)
            tracks.append(figures)
            for name in _COMPARISONS:
                pooled[name].append(weighed[name])
            # What a comparison leaves out scores -1.
            compared_s = {f"chord_{name}": float(s[scored >= 0].sum()) for name, (scored, s) in weighed.items()}
            weights.append(compared_s if self.rules.average == "seconds" else {})
        summary: dict[str, float | None] = {}
        for name in _COMPARISONS:
            by_track = mean_of_defined([track[f"chord_{name}"] for track in tracks])
            by_second = _accuracy(
                np.concatenate([comparison for comparison, _ in pooled[name]] or [np.zeros(0)]),
                np.concatenate([seconds for _, seconds in pooled[name]] or [np.zeros(0)]),
            )
            summary[f"chord_{name}"] = by_second if self.rules.average == "seconds" else by_track
            summary[f"chord_{name}_by_track"] = by_track
        for name in _SEGMENTATIONS:
            summary[f"chord_{name}"] = mean_of_defined([track[f"chord_{name}"] for track in tracks])
        return Scores(summary, tracks, self._notes(references), weights)

    def _notes(self, references: Sequence[Spans]) -> list[str]:
        chords = self.chords
        total_s = sum(float((spans.ends_s - spans.starts_s).sum()) for spans in references)
        unknown_s = sum(
            end_s - start_s
            for spans in references
            for start_s, end_s, label in spans
            if chords.class_of(label) is None or chords.class_of(label) == chords.num_answers
        )
        average = "pool all seconds (WCSR)" if self.rules.average == "seconds" else "are means over tracks"
        notes = [f"Chord figures {average}, those by track are means; X is not scored, N is."]
        if unknown_s > 0 and total_s > 0:
            notes.append(f"{unknown_s / total_s:.1%} of the annotated time has chords that {chords.name!r} lacks.")
        return notes


def _compare(
    reference: Spans, estimate: Spans
) -> tuple[Mapping[str, float | None], Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Figures of a track; and by comparison, what each stretch of it scores and how long it is."""
    start_s, end_s = extent_s(reference)
    # A gap in the annotation is not scored; a gap in the estimate says that there is no chord.
    truth = fill_gaps(reference, start_s, end_s, mir_eval.chord.X_CHORD)
    found = fill_gaps(estimate, start_s, end_s, mir_eval.chord.NO_CHORD)
    intervals_s, true_labels, found_labels = mir_eval.util.merge_labeled_intervals(
        truth.intervals_s, list(truth.labels), found.intervals_s, list(found.labels)
    )
    seconds = mir_eval.util.intervals_to_durations(intervals_s)
    compared = {name: getattr(mir_eval.chord, name)(true_labels, found_labels) for name in _COMPARISONS}
    figures = {f"chord_{name}": _accuracy(comparison, seconds) for name, comparison in compared.items()}
    merged_s = [mir_eval.chord.merge_chord_intervals(spans.intervals_s, list(spans.labels)) for spans in (truth, found)]
    for name in _SEGMENTATIONS:
        figures[f"chord_{name}"] = float(getattr(mir_eval.chord, name)(*merged_s))
    return figures, {name: (comparison, seconds) for name, comparison in compared.items()}


def _accuracy(comparison: NDArray[np.float64], seconds: NDArray[np.float64]) -> float | None:
    """`mir_eval.chord.weighted_accuracy`; None where it would warn that nothing can be compared."""
    if seconds[comparison >= 0].sum() == 0:
        return None
    return float(mir_eval.chord.weighted_accuracy(comparison, seconds))
