"""Tag frequencies: the floor that average precision has."""

from __future__ import annotations

import numpy as np
import pytest

from data_modules.spans import Spans
from musicfm_pl.baselines.tagging import TagFrequencies

SILENCE_N = np.zeros(24000, dtype=np.float32)


def tracks(*tags: str) -> list[Spans]:
    return [Spans.of((0.0, 1.0, tag) for tag in names.split()) for names in tags]


def test_ranks_tags_by_how_often_they_were_seen_and_tracks_not_at_all() -> None:
    method = TagFrequencies()
    method.learn(tracks("rock loud", "rock", "calm", "rock"))
    estimate = method.estimate(SILENCE_N)
    assert estimate.probabilities == {"calm": 0.25, "loud": 0.25, "rock": 0.75}
    assert estimate.spans == Spans.of([(0.0, 1.0, "rock")])
    references = tracks("rock", "calm", "loud rock", "rock", "calm")
    summary = method.judge().score(references, [estimate] * 5, [1.0] * 5).summary
    assert summary["roc_auc"] == pytest.approx(0.5)
    assert summary["ap/rock"] == pytest.approx(3 / 5)
    assert summary["ap/calm"] == pytest.approx(2 / 5)
    assert summary["ap/loud"] == pytest.approx(1 / 5)


def test_refuses_a_corpus_without_tags() -> None:
    with pytest.raises(ValueError, match="no track of the training split has a tag"):
        TagFrequencies().learn(tracks("", ""))
