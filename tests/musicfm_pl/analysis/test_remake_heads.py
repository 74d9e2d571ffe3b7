"""What heads say of each track gives the figures of the set again, under every protocol."""

from __future__ import annotations

import numpy as np
import pytest

from data_modules.spans import Spans
from musicfm_pl.analysis.remake import sample
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure
from musicfm_pl.heads.tagging import Tagging
from musicfm_pl.protocols.presets import protocols
from musicfm_pl.results import TrackResult

DURATIONS_S = (40.0, 16.0, 24.0)


def chords(*labels: str) -> list[Spans]:
    """A track a duration: the first half has one label, the second another."""
    return [
        Spans.of([(0.0, d / 2, labels[i % len(labels)]), (d / 2, d, labels[(i + 1) % len(labels)])])
        for i, d in enumerate(DURATIONS_S)
    ]


def beats(period_s: float) -> list[Spans]:
    times = [np.arange(0.3, d, period_s) for d in DURATIONS_S]
    return [Spans.events(t, [str(i % 4 + 1) for i in range(len(t))]) for t in times]


def cases() -> list[tuple[Head, list[Spans], list[Estimate]]]:
    keys = chords("C major", "G major", "A minor")
    tags = [Spans.of([(0.0, d, tag)]) for d, tag in zip(DURATIONS_S, ("a", "b", "a"), strict=True)]
    ranked = [{"a": 0.31, "b": 0.2}, {"a": 0.7, "b": 0.1}, {"a": 0.1, "b": 0.9}]
    sections = chords("verse", "chorus")
    return [
        (Beat(4), beats(0.5), [Estimate(spans) for spans in beats(0.51)]),
        (Chord(4), chords("C:maj", "A:min", "N"), [Estimate(s) for s in chords("C:maj", "A:min", "F:maj", "N")]),
        (Key(4), keys, [Estimate(s, whole="C major") for s in chords("C major", "F major", "A minor", "G major")]),
        (Structure(4), sections, [Estimate(s) for s in chords("verse", "verse", "chorus")]),
        (Tagging(4, tags=["a", "b"]), tags, [Estimate(s, probabilities=p) for s, p in zip(tags, ranked, strict=True)]),
    ]


@pytest.mark.parametrize("number", range(5), ids=["beat", "chord", "key", "structure", "tagging"])
def test_figures_of_the_set_can_be_made_again(number: int) -> None:
    head, references, estimates = cases()[number]
    for protocol in protocols(head.task):
        scores = head.under(protocol.settings).score(references, estimates, DURATIONS_S)
        tracks = [TrackResult(f"t{i}", f"g{i}", *of) for i, of in enumerate(scores.by_track())]
        made = 0
        for metric, value in scores.summary.items():
            if value is not None:
                assert sample(tracks, metric, value) is not None, f"{protocol.name}: {metric}"
                made += 1
        assert made >= 2
