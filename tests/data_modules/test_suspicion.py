"""What is unlikely about labels is said, and what is usual is not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from data_modules.suspicion import suspicions


def beats(times_s: np.ndarray) -> Spans:
    return Spans.events(times_s, ["?"] * len(times_s))


@given(st.floats(40, 240), st.floats(0.0, 0.08), st.integers(0, 2**32 - 1))
def test_a_steady_hand_is_not_doubted(tempo: float, scatter: float, seed: int) -> None:
    interval_s = 60 / tempo
    steps_s = interval_s * (1 + np.random.default_rng(seed).uniform(-scatter, scatter, int(60 / interval_s)))
    times_s = 0.2 + np.cumsum(steps_s)
    assert suspicions({"beat": beats(times_s)}, float(times_s[-1]) + 2) == []


@given(st.integers(3, 50), st.floats(40, 240), st.sampled_from(["missing", "doubled", "halved"]))
def test_a_jump_is_found_where_it_is(at: int, tempo: float, kind: str) -> None:
    interval_s = 60 / tempo
    times_s = interval_s * np.arange(100.0)
    if kind == "missing":
        jumped_s, place, places = np.delete(times_s, at), at - 1, 2
    else:
        after = interval_s * (0.5 if kind == "doubled" else 2.0)
        jumped_s, place, places = np.concatenate([times_s[:at], times_s[at - 1] + after * np.arange(1, 101)]), at - 1, 1
    (said,) = suspicions({"beat": beats(jumped_s)}, float(jumped_s[-1]) + 1)
    assert f"{places} place" in said
    assert f"first at {times_s[place]:.3f} s" in said


@pytest.mark.parametrize(
    ("first_s", "last_s", "said"),
    [
        (0.0, 200.0, None),
        (14.9, 195.1, None),
        (15.2, 199.0, "chord: no label before 15.2 s"),
        (1.0, 194.0, "chord: ends 6.0 s before the audio, at 194.0 s"),
        (1.0, 90.0, "chord: labels from 1.0 to 90.0 s, but 200.0 s of audio"),
        (120.0, 200.0, "chord: labels from 120.0 to 200.0 s, but 200.0 s of audio"),
    ],
)
def test_labels_of_another_length_than_the_audio(first_s: float, last_s: float, said: str | None) -> None:
    labels: dict[Kind, Spans] = {
        "chord": Spans.of([(first_s, 110.0 if last_s > 110 and first_s < 110 else last_s, "C")])
    }
    if last_s > 110 and first_s < 110:
        labels = {"chord": Spans.of([(first_s, 110.0, "C"), (110.0, last_s, "G")])}
    assert suspicions(labels, 200.0) == ([] if said is None else [said])


def test_tags_and_what_is_not_there_are_not_doubted() -> None:
    labels: dict[Kind, Spans] = {"tag": Spans.of([(0.0, 1.0, "rock")]), "key": Spans.of([])}
    assert suspicions(labels, 200.0) == []
    one: dict[Kind, Spans] = {"beat": Spans.events([0.5, 1.0], ["1", "2"])}
    assert suspicions(one, 1.2) == []


def in_bars(*stretches: tuple[int, int, float]) -> Spans:
    """Beats of so many bars, of so many beats, so many seconds apart, one stretch after the other."""
    beats = [
        (str(beat + 1), s) for num_bars, num_beats, s in stretches for _ in range(num_bars) for beat in range(num_beats)
    ]
    ends_s = np.cumsum([s for _, s in beats])
    return Spans.events(np.append(0.0, ends_s[:-1]), [label for label, _ in beats])


@pytest.mark.parametrize(
    ("stretches", "num_doubts"),
    [
        # As in corelli/op01n05c and Beethoven's op. 13 (DCML): with the metre goes the note that is counted.
        (((4, 3, 0.54), (4, 4, 0.28)), 0),
        (((4, 4, 0.32), (4, 2, 0.65)), 0),
        (((4, 4, 0.32), (4, 4, 0.65)), 1),
        (((4, 4, 0.5), (1, 1, 1.0), (4, 4, 0.5)), 1),
    ],
)
def test_a_tempo_may_jump_where_the_metre_changes(
    stretches: tuple[tuple[int, int, float], ...], num_doubts: int
) -> None:
    beats = in_bars(*stretches)
    assert len(suspicions({"beat": beats}, beats.starts_s[-1] + 1.0)) == num_doubts
    unknown = Spans.events(beats.starts_s, ["?"] * len(beats))
    assert len(suspicions({"beat": unknown}, beats.starts_s[-1] + 1.0)) == 1
