"""What a head is: one task in one file, from its layers and targets to its decoding and scores."""

from __future__ import annotations

import abc
import copy
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.dropout import Dropout
from musicfm_pl.heads.context import DilatedContext

Metrics = Mapping[str, float | None]
"""Scores by name, such as `beat_f`; None where a figure has no meaning for the track ("not defined")."""


@dataclass(frozen=True)
class Estimate:
    """What `Head.decode` gives for a track.

    Attributes:
        spans: The estimate as labels of the head's kind, in seconds; it can be written like a reference.
        whole: One label for the whole track where the task has one (the key of a song); None otherwise.
        probabilities: In [0, 1] by label, where the task ranks labels instead of choosing (tags).
        downbeats: Where downbeats were found by themselves and need not be beats; None where those labelled
            "1" in `spans` are meant.
    """

    spans: Spans
    whole: str | None = None
    probabilities: Mapping[str, float] = field(default_factory=dict)
    downbeats: Spans | None = None


@dataclass(frozen=True)
class Scores:
    """What `Head.score` gives.

    Attributes:
        summary: The figures of the whole test set.
        tracks: The figures of each track, in the order of the references; figures that exist only over the
            whole set (mAP) are in `summary` alone.
        notes: What a reader of the figures must know: how they were scored, tags left out, tracks without the label.
        weights: For each track what it weighs in figures that pool the whole set, by their names: the figure of the
            set is the mean of the tracks by these weights, None counting 0. Empty if no figure does.
        tags: For each track the probability of each tag, and 1 or 0 for whether it has the tag. Empty where the set
            is not ranked by tags.
    """

    summary: Metrics
    tracks: Sequence[Metrics]
    notes: Sequence[str] = ()
    weights: Sequence[Mapping[str, float]] = ()
    tags: Sequence[Mapping[str, tuple[float, int]]] = ()

    def by_track(self) -> Iterator[tuple[Metrics, Mapping[str, float], Mapping[str, tuple[float, int]]]]:
        """Figures, weights and tags of one track after another."""
        none: Sequence[Mapping[str, Any]] = [{}] * len(self.tracks)
        yield from zip(self.tracks, self.weights or none, self.tags or none, strict=True)


@dataclass(frozen=True)
class Rules(abc.ABC):
    """How logits become figures: what differs between the protocols of a task.

    Each head has its own, with its arguments about decoding and scoring as fields. Protocols leave some of them open,
    so every field that counts is put into words: those of decoding by `Head.decoded`, those of scoring in
    the notes of `Head.score`.
    """

    @abc.abstractmethod
    def decoded(self) -> str:
        """A sentence for the reader of figures: how logits became estimates."""

    def decoding(self) -> Hashable:
        """What `Head.decode` depends on: rules that agree in it give the same estimates."""
        return self


class Head(nn.Module, abc.ABC):
    """One task. Subclasses are final, and hold layers, targets, loss, decoding and score in one file.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        num_outputs: K, logits a frame; 0 if it is known only once `learn_labels` has seen the corpus.
        hidden_dim: Width of one hidden layer with ReLU and dropout; 0 for a linear head.
        dropout: Before the last layer.
        context_layers: Dilated convolutions between the hidden layer and the last, see `DilatedContext`; 0 for
            frames by themselves, as in the study.

    Raises:
        ValueError: Context without a hidden layer, or less than none.
    """

    task: ClassVar[str]
    """The name in result tables and file names."""
    kind: ClassVar[Kind]
    """The kind of label it learns from."""
    rate_hz: ClassVar[float | None]
    """Frames of output a second; None for one output a clip."""
    headline: ClassVar[tuple[str, ...]]
    """The figures of the study's table, the one to select by first."""

    rules: Rules
    """How it decodes and scores; its own until `under` says otherwise."""

    def __init__(
        self, dim: int, num_outputs: int, hidden_dim: int = 512, dropout: float = 0.2, context_layers: int = 0
    ) -> None:
        super().__init__()
        if context_layers < 0 or (context_layers and not hidden_dim):
            raise ValueError(
                f"head.context_layers must not be negative and needs head.hidden_dim, "
                f"got {context_layers} and {hidden_dim}"
            )
        self.dim = dim
        self.hidden_dim = hidden_dim
        self.dropout = dropout
        self.context_layers = context_layers
        self._build(num_outputs)

    def _build(self, num_outputs: int) -> None:
        """Layers for so many logits a frame; none for 0."""
        self.num_outputs = num_outputs
        if num_outputs == 0:
            self.layers = nn.Sequential()
        elif self.hidden_dim:
            self.layers = nn.Sequential(
                nn.Linear(self.dim, self.hidden_dim),
                nn.ReLU(),
                *([DilatedContext(self.hidden_dim, self.context_layers, self.dropout)] if self.context_layers else []),
                Dropout(self.dropout),
                nn.Linear(self.hidden_dim, num_outputs),
            )
        else:
            self.layers = nn.Sequential(Dropout(self.dropout), nn.Linear(self.dim, num_outputs))

    def learn_labels(self, references: Iterable[Spans]) -> None:
        """Sees which labels there are to learn; most heads know theirs and do nothing.

        The system calls it at set-up for fitting, before there is an optimiser and before a checkpoint is
        restored. What a head keeps is part of its state, so a checkpoint brings it back.

        Args:
            references: The labels of each track of the training split.

        Raises:
            ValueError: There is nothing to learn.
        """

    def under(self, settings: Mapping[str, Any]) -> Self:
        """This head with other rules; layers, labels and buffers are shared.

        Args:
            settings: Some of its rules by name; the others stay.

        Raises:
            ValueError: It has no such rule, or the value makes no sense.
        """
        known = [rule.name for rule in fields(self.rules)]
        if unknown := [name for name in settings if name not in known]:
            raise ValueError(f"{type(self).__name__} has no rule {', '.join(unknown)}; it has {', '.join(known)}")
        other = copy.copy(self)
        other.rules = replace(self.rules, **settings)
        return other

    def decoded(self) -> list[str]:
        """Sentences for the reader of figures: how logits became estimates, by the rules and by what was learnt."""
        return [self.rules.decoded()]

    def num_frames(self, duration_s: float) -> int:
        """Frames of output N of a clip of this length; at least one."""
        return 1 if self.rate_hz is None else max(1, round(duration_s * self.rate_hz))

    def forward(self, h_BTD: Tensor, num_frames: int) -> Tensor:
        """Logits (B, N, K): adaptive average pooling brings the hidden state to N frames, as in the study."""
        h_BND = F.adaptive_avg_pool1d(h_BTD.transpose(1, 2), num_frames).transpose(1, 2)
        return self.layers(h_BND)

    @abc.abstractmethod
    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """What perfect logits would say of a clip.

        Args:
            reference: The labels of the head's `kind` in the clip, in seconds from its start.
            duration_s: Length of the clip.

        Returns:
            Float32 (N, J) for the J things that `loss` wants to know of a frame; NaN where it is not known
            and must not count. J need not be K.
        """

    @abc.abstractmethod
    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean loss over the frames that are known, a scalar; exactly zero, with a gradient, if none is."""

    @abc.abstractmethod
    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """Logits (N, K) of a model that is right and sure.

        They are the oracle of the round trip, and the upper bound that frame rate and decoding leave.
        """

    @abc.abstractmethod
    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """The estimate for a whole track from its stitched logits; where `rate_hz` is None, a row a clip."""

    @abc.abstractmethod
    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """Scores of whole tracks by the field's standard tools (mir_eval, torchmetrics)."""

    def ceiling(self, references: Sequence[Spans], durations_s: Sequence[float]) -> Scores:
        """Scores of perfect logits: the most that the frame rate, the vocabulary and the decoding allow.

        Args:
            references: Of whole tracks; `learn_labels` has seen the like.
            durations_s: Length of each track.
        """
        estimates = [
            self.decode(self.perfect_logits(self.targets(reference, duration_s)).numpy(), duration_s)
            for reference, duration_s in zip(references, durations_s, strict=True)
        ]
        return self.score(references, estimates, durations_s)
