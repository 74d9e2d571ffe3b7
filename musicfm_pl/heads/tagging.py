"""Tags: one output a clip, scores averaged over a track's clips, mAP and ROC-AUC over the corpus' tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import Tensor
from torchmetrics.functional.classification import binary_auroc, binary_average_precision

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Rules, Scores
from musicfm_pl.heads.losses import binary_cross_entropy_of_known
from musicfm_pl.heads.timeline import mean_of_defined

Pool = Literal["probabilities", "logits"]


@final
@dataclass(frozen=True)
class TaggingRules(Rules):
    """How clips become a track; `Tagging` says what each one is.

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    pool: Pool

    def decoded(self) -> str:
        """See `Rules.decoded`."""
        return f"Clips of a track are averaged as {self.pool}."

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise ValueError(f"head.pool must be one of {', '.join(get_args(Pool))}, got {self.pool!r}")


@final
class Tagging(Head):
    """Which tags a clip has: one logit a tag.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        tags: The tags to learn, such as the 50 most frequent; None for all of the training split. A
            checkpoint brings its own.
        hidden_dim: Width of one hidden layer; 0 for a linear head.
        dropout: Before the last layer.
        pool: A track has the mean of its clips' `probabilities`, or the probability of their mean `logits`
            (MARBLE).
    """

    task: ClassVar[str] = "tagging"
    kind: ClassVar[Kind] = "tag"
    rate_hz: ClassVar[float | None] = None
    headline: ClassVar[tuple[str, ...]] = ("map", "roc_auc")

    rules: TaggingRules

    def __init__(
        self,
        dim: int,
        tags: list[str] | None = None,
        hidden_dim: int = 512,
        dropout: float = 0.2,
        pool: Pool = "probabilities",
    ) -> None:
        super().__init__(dim, 0, hidden_dim, dropout)
        self.rules = TaggingRules(pool)
        self.tags: tuple[str, ...] = ()
        self._is_fixed = tags is not None
        if tags is not None:
            if not tags or len(set(tags)) < len(tags):
                raise ValueError("head.tags: one tag or more, each once; leave it out for all of the corpus")
            self._choose(tags)

    def _choose(self, tags: Sequence[str]) -> None:
        """Takes up tags, with new layers unless they are the ones it has."""
        if tuple(tags) != self.tags:
            self.tags = tuple(tags)
            self._build(len(self.tags))

    def learn_labels(self, references: Iterable[Spans]) -> None:
        """Takes up the tags of the training split in alphabetical order, unless `tags` names them."""
        if self._is_fixed:
            return
        tags = sorted({label for spans in references for label in spans.labels})
        if not tags:
            raise ValueError("no track of the training split has a tag; choose another corpus, or task")
        self._choose(tags)

    def get_extra_state(self) -> dict[str, list[str]]:
        """The tags, for checkpoints."""
        return {"tags": list(self.tags)}

    def set_extra_state(self, state: dict[str, list[str]]) -> None:
        """The tags of a checkpoint. torch calls this before it loads the layers, made to fit here."""
        self._choose(state["tags"])

    def forward(self, h_BTD: Tensor, num_frames: int) -> Tensor:
        """See `Head.forward`."""
        if not self.tags:
            raise RuntimeError("the head knows no tags yet: call learn_labels, name head.tags, or load a checkpoint")
        return super().forward(h_BTD, num_frames)

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """1 for each tag that the clip has and else 0, (1, K)."""
        labels = set(reference.labels)
        return torch.tensor([[float(tag in labels) for tag in self.tags]])

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean binary cross-entropy."""
        return binary_cross_entropy_of_known(logits_BNK, targets_BNJ)

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """±10, and 0 where nothing is known."""
        return torch.where(targets_NJ.isnan(), 0.0, targets_NJ * 20.0 - 10.0)

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """The probability of each tag, a mean over clips (rows), and as spans the tags above one half."""
        logits_NK = logits_NK.astype(np.float64)
        pool_logits = self.rules.pool == "logits"
        probabilities_K = expit(logits_NK.mean(axis=0)) if pool_logits else expit(logits_NK).mean(axis=0)
        by_tag = dict(zip(self.tags, probabilities_K.tolist(), strict=True))
        chosen = [(0.0, duration_s, tag) for tag, probability in by_tag.items() if probability > 0.5]
        return Estimate(Spans.of(chosen), probabilities=by_tag)

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """Macro average precision and ROC-AUC (exact) over the tags that some tracks have and some not.

        `ap/<tag>` and `auc/<tag>` are the figures of one tag. No figure is defined for a track by itself.
        """
        tagged = [set(spans.labels) for spans in references]
        average_precision: dict[str, float] = {}
        roc_auc: dict[str, float] = {}
        for tag in self.tags:
            has_it = [tag in labels for labels in tagged]
            if any(has_it) and not all(has_it):
                probability = torch.tensor([estimate.probabilities[tag] for estimate in estimates])
                truth = torch.tensor(has_it).long()
                average_precision[tag] = float(binary_average_precision(probability, truth))
                roc_auc[tag] = float(binary_auroc(probability, truth))
        summary: Mapping[str, float | None] = {
            "map": mean_of_defined(list(average_precision.values())),
            "roc_auc": mean_of_defined(list(roc_auc.values())),
            **{f"ap/{tag}": value for tag, value in average_precision.items()},
            **{f"auc/{tag}": value for tag, value in roc_auc.items()},
        }
        ranked = [
            # As the figures take them, in single precision, and printed no longer than that.
            {tag: (float(str(np.float32(estimate.probabilities[tag]))), int(tag in labels)) for tag in self.tags}
            for estimate, labels in zip(estimates, tagged, strict=True)
        ]
        return Scores(summary, [{} for _ in references], self._notes(tagged, len(average_precision)), tags=ranked)

    def _notes(self, tagged: Sequence[set[str]], num_scored: int) -> list[str]:
        tested = set().union(*tagged)
        left_out = {
            "no track of the test split has them": [tag for tag in self.tags if tag not in tested],
            "every track of the test split has them": [
                tag for tag in self.tags if tagged and all(tag in labels for labels in tagged)
            ],
            "the head does not know them": sorted(tested - set(self.tags)),
        }
        return [f"Means over {num_scored} of {len(self.tags)} tags."] + [
            f"Left out, as {reason}: {', '.join(tags)}." for reason, tags in left_out.items() if tags
        ]
