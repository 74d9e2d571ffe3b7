"""Tags without listening: each track has the tags that tracks usually have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.baselines.base import Baseline
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.tagging import Tagging


@final
class TagFrequencies(Baseline):
    """The probability of a tag is its share of the training split, for every track alike.

    So ROC-AUC is one half, and the average precision of a tag its share of the test split: the floor from which
    mAP is to be read.
    """

    head: ClassVar[type[Head]] = Tagging
    name: ClassVar[str] = "tag frequencies"
    source: ClassVar[str] = "the frequency of each tag in the training split, for every track alike"
    packages: ClassVar[tuple[str, ...]] = ()
    listens: ClassVar[bool] = False

    def __init__(self) -> None:
        self._probabilities: dict[str, float] = {}

    def learn(self, references: Iterable[Spans]) -> None:
        """Counts the tracks that have each tag.

        Raises:
            ValueError: No track has any.
        """
        labels = [set(spans.labels) for spans in references]
        counts = Counter(label for track in labels for label in track)
        if not counts:
            raise ValueError("data.root: no track of the training split has a tag")
        self._probabilities = {tag: counts[tag] / len(labels) for tag in sorted(counts)}

    def judge(self) -> Head:
        """See `Baseline.judge`; it knows the tags of the training split."""
        return Tagging(dim=1, tags=list(self._probabilities))

    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """The same for every waveform; as spans the tags that most tracks have."""
        duration_s = len(waveform_N) / SAMPLE_RATE
        chosen = [(0.0, duration_s, tag) for tag, probability in self._probabilities.items() if probability > 0.5]
        return Estimate(Spans.of(chosen), probabilities=dict(self._probabilities))
