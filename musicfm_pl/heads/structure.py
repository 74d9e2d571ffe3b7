"""Sections: 8 frames a second, boundaries and functions, scored by mir_eval."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, softmax
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.labels import FUNCTIONS
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Metrics, Rules, Scores
from musicfm_pl.heads.losses import binary_cross_entropy_of_known, cross_entropy_of_known
from musicfm_pl.heads.peaks import prominent_peaks, smeared_events
from musicfm_pl.heads.section_scores import has_functions, section_figures
from musicfm_pl.heads.timeline import classes_by_frame, mean_of_defined, perfect_class_logits

_RATE_HZ = 8.0
Pool = Literal["logits", "probabilities"]


@final
@dataclass(frozen=True)
class StructureRules(Rules):
    """How sections are decoded and scored; `Structure` says what each one is.

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    peak_s: float
    surroundings_s: float
    threshold: float
    relative: bool
    pool: Pool
    trim: bool

    def decoded(self) -> str:
        """See `Rules.decoded`."""
        threshold = f" by more than {self.threshold:g}" if self.threshold else ""
        relative = ", in parts of the track's largest" if self.relative else ""
        return (
            f"A boundary has the largest activation within {self.peak_s:g} s and exceeds the mean of the "
            f"{self.surroundings_s:g} s to either side{threshold}{relative}."
        )

    def __post_init__(self) -> None:
        if self.peak_s <= 0 or self.surroundings_s <= 0:
            raise ValueError(
                f"head.peak_s and head.surroundings_s must be positive, got {self.peak_s} and {self.surroundings_s}"
            )
        if self.pool not in get_args(Pool):
            raise ValueError(f"head.pool must be one of {', '.join(get_args(Pool))}, got {self.pool!r}")


@final
class Structure(Head):
    """Where sections begin, and which of the seven functions each has: 1 + 7 logits a frame.

    Where letters of similarity (A, B, A) hold most of the training split, it finds no more than boundaries:
    each estimated section has a letter of its own, and figures about labels are not defined.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        hidden_dim: Width of one hidden layer; 0 for a linear head.
        dropout: Before the last layer.
        context_layers: Dilated convolutions that let a frame know what comes before and after: n of them reach
            2^n - 1 frames of 1/8 s. 0 leaves all context to the encoder, as in the study.
        smear_frames: Frames beside a boundary that are targets too, halving with each (all-in-one: 2).
        boundary_weight: Of the loss of boundaries, beside that of functions.
        peak_s: A boundary has the largest activation within so many seconds (Ullrich et al., ISMIR 2014: 6).
        surroundings_s: It must exceed the mean activation within so many seconds (all-in-one: 12).
        threshold: By how much it must (all-in-one: 0).
        relative: Activations are taken in parts of the track's largest before the threshold is applied.
        pool: A section has the function whose mean over it is largest, of `logits` or of `probabilities`
            (all-in-one).
        trim: Leave the first and last boundary, which are no estimate, out of the hit rates. mir_eval's
            default is not to; that makes figures higher.
    """

    task: ClassVar[str] = "structure"
    kind: ClassVar[Kind] = "section"
    rate_hz: ClassVar[float | None] = _RATE_HZ
    headline: ClassVar[tuple[str, ...]] = ("frame_accuracy", "hr05_f")

    rules: StructureRules
    knows_functions: Tensor

    def __init__(
        self,
        dim: int,
        hidden_dim: int = 512,
        dropout: float = 0.2,
        context_layers: int = 0,
        smear_frames: int = 2,
        boundary_weight: float = 1.0,
        peak_s: float = 6.0,
        surroundings_s: float = 12.0,
        threshold: float = 0.0,
        relative: bool = False,
        pool: Pool = "logits",
        trim: bool = False,
    ) -> None:
        super().__init__(dim, 1 + len(FUNCTIONS), hidden_dim, dropout, context_layers)
        if smear_frames < 0:
            raise ValueError(f"head.smear_frames must not be negative, got {smear_frames}")
        self.smear_frames = smear_frames
        self.boundary_weight = boundary_weight
        self.rules = StructureRules(peak_s, surroundings_s, threshold, relative, pool, trim)
        self.register_buffer("knows_functions", torch.tensor(True))

    def learn_labels(self, references: Iterable[Spans]) -> None:
        """Sees whether functions hold most of the time; until it is called, they are taken to."""
        self.knows_functions.fill_(has_functions(references))

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """Boundary activation and the class of the function by frame, (N, 2).

        The function is NaN where a section has a letter. What touches an end of the clip is no boundary, for
        sections are cut there; nor is the end of the last section. Without any section neither is known.
        """
        num_frames = self.num_frames(duration_s)
        functions_N = classes_by_frame(reference, _function_class, len(FUNCTIONS), num_frames, _RATE_HZ, duration_s)
        if len(reference) == 0:
            return torch.full((num_frames, 2), torch.nan)
        frames = np.rint(np.concatenate([reference.starts_s, reference.ends_s[:-1]]) * _RATE_HZ).astype(np.intp)
        inner = np.unique(frames[(frames > 0) & (frames < num_frames)])
        boundary_N = torch.from_numpy(smeared_events(inner, num_frames, self.smear_frames))
        return torch.stack([boundary_N, functions_N], dim=1)

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Binary cross-entropy of boundaries plus cross-entropy of functions, means over what is known."""
        boundary = binary_cross_entropy_of_known(logits_BNK[..., 0], targets_BNJ[..., 0])
        function = cross_entropy_of_known(logits_BNK[..., 1:], targets_BNJ[..., 1])
        return self.boundary_weight * boundary + function

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """The logit of the boundary activation and ±10 for functions; 0 where they are not known."""
        boundary_N = targets_NJ[:, 0].nan_to_num(0.0).logit(eps=4.5e-5)
        functions_NK = perfect_class_logits(targets_NJ[:, 1], len(FUNCTIONS))
        return torch.cat([boundary_N[:, None], functions_NK], dim=1)

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """Sections from 0 to the end of the track; each has the function with the largest mean."""
        rules = self.rules
        reach, surroundings = (max(1, round(s * _RATE_HZ)) for s in (rules.peak_s, rules.surroundings_s))
        activation_N = expit(logits_NK[:, 0])
        if rules.relative:
            activation_N = activation_N / max(float(activation_N.max()), 1e-9)
        peaks = prominent_peaks(activation_N, reach, surroundings, rules.threshold)
        peaks = peaks[(peaks > 0) & (peaks / _RATE_HZ < duration_s)]
        functions_NK = logits_NK[:, 1:] if rules.pool == "logits" else softmax(logits_NK[:, 1:], axis=1)
        pieces = np.split(functions_NK, peaks)
        if self.knows_functions.item():
            labels = [FUNCTIONS[int(piece.mean(axis=0).argmax())] for piece in pieces]
        else:
            labels = [f"S{number}" for number in range(1, len(pieces) + 1)]
        edges_s = np.concatenate([[0.0], peaks / _RATE_HZ, [duration_s]])
        return Estimate(Spans(edges_s[:-1], edges_s[1:], tuple(labels)))

    def decoded(self) -> list[str]:
        """See `Head.decoded`; of functions nothing is said where letters were learnt."""
        functions = f"A section has the function with the largest mean of {self.rules.pool}."
        return [*super().decoded(), *[functions] * bool(self.knows_functions)]

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """Hit rates, agreement of labels and frame accuracy; all are means over tracks that have them.

        `hr05_*` and `hr3_*` are `mir_eval.segment.detection` at 0.5 and 3 s; `pairwise_f`, `nce_f` and
        `v_measure` its agreement of labels up to their names, and not defined where letters were learnt;
        `frame_accuracy` is the share of the time with a function that has the right one, and not defined for
        letters.
        """
        tracks: list[Metrics] = [
            section_figures(reference, estimate.spans, self.rules.trim, bool(self.knows_functions))
            for reference, estimate in zip(references, estimates, strict=True)
        ]
        names = tracks[0] if tracks else ()
        summary = {name: mean_of_defined([track[name] for track in tracks]) for name in names}
        return Scores(summary, tracks, self._notes(references))

    def _notes(self, references: Sequence[Spans]) -> list[str]:
        trim = self.rules.trim
        trimmed = "are left out of" if trim else "count in"
        notes = [f"The first and last boundary of a track {trimmed} the hit rates (trim: {trim})."]
        letters = sum(not has_functions([spans]) for spans in references)
        if letters:
            notes.append(
                f"{letters} of {len(references)} tracks have letters, not functions: frame accuracy is not "
                f"defined for them."
            )
        if not self.knows_functions.item():
            notes.append(
                "It finds boundaries only (letters in the training split, or a method without labels): figures "
                "about labels are not defined."
            )
        return notes


def _function_class(label: str) -> int | None:
    return FUNCTIONS.index(label) if label in FUNCTIONS else None
