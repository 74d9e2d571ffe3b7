from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from data_modules.spans import Spans
from musicfm_pl.heads.timeline import classes_by_frame, fill_gaps, perfect_class_logits, runs

CLASSES = "ABC"


@st.composite
def _spans(draw: st.DrawFn) -> Spans:
    """Spans that do not overlap, some with gaps between, in centiseconds."""
    edges = sorted(draw(st.lists(st.integers(0, 1000), min_size=2, max_size=12, unique=True)))
    rows = []
    for start, end in pairwise(edges):
        label = draw(st.sampled_from([*CLASSES, "?", None]))
        if label is not None:
            rows.append((start / 100, end / 100, label))
    return Spans.of(rows)


def _class_of(label: str) -> int | None:
    return CLASSES.index(label) if label in CLASSES else None


@given(_spans(), st.integers(1, 30), st.sampled_from([0.5, 4.0, 16.0]))
def test_a_frame_has_the_class_that_holds_most_of_it(spans: Spans, num_frames: int, rate_hz: float):
    duration_s = num_frames / rate_hz
    found = classes_by_frame(spans, _class_of, len(CLASSES), num_frames, rate_hz, duration_s)
    for frame in range(num_frames):
        share = dict.fromkeys([*CLASSES, None], 0.0)
        for start_s, end_s, label in spans.slice(frame / rate_hz, (frame + 1) / rate_hz):
            share[label if label in CLASSES else None] += (end_s - start_s) * rate_hz
        share[None] = 1 - sum(share[name] for name in CLASSES)
        value = found[frame].item()
        chosen = None if np.isnan(value) else CLASSES[int(value)]
        assert share[chosen] == pytest.approx(max(share.values()), abs=1e-6)


@given(_spans(), st.floats(0, 5), st.floats(6, 12))
def test_filled_spans_cover_a_stretch_without_gap_or_overlap(spans: Spans, start_s: float, end_s: float):
    filled = fill_gaps(spans, start_s, end_s, "gap")
    assert filled.starts_s[0] == start_s
    assert filled.ends_s[-1] == end_s
    np.testing.assert_array_equal(filled.starts_s[1:], filled.ends_s[:-1])
    assert (filled.ends_s > filled.starts_s).all()
    inside = spans.slice(start_s, end_s)
    for label in {*CLASSES, "?"}:
        lengths = [sum(finish - begin for begin, finish, name in part if name == label) for part in (inside, filled)]
        assert lengths[0] == pytest.approx(lengths[1], abs=1e-4)


def test_slivers_of_rounding_are_no_gaps():
    spans = Spans.of([(0.0, 1.0 - 1e-9, "A"), (1.0, 2.0 - 1e-9, "B")])
    assert fill_gaps(spans, 0.0, 2.0, "gap").labels == ("A", "B")


def test_the_part_of_the_last_frame_past_the_end_does_not_count():
    spans = Spans.of([(0.0, 1.0, "A"), (1.0, 1.3, "B")])
    assert classes_by_frame(spans, _class_of, 3, 2, 1.0, 1.3).tolist() == [0, 1]
    assert classes_by_frame(spans, _class_of, 3, 2, 1.0, 2.0)[1].isnan()


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_runs_are_the_frames_again(classes: list[int]):
    duration_s = len(classes) / 4
    spans = runs(np.array(classes), CLASSES, 4.0, duration_s)
    again = classes_by_frame(spans, _class_of, 3, len(classes), 4.0, duration_s)
    assert again.tolist() == classes
    assert all(first != second for first, second in pairwise(spans.labels))


def test_perfect_logits_say_nothing_of_what_is_not_known():
    logits = perfect_class_logits(torch.tensor([1.0, torch.nan]), 3)
    assert logits.tolist() == [[-10, 10, -10], [0, 0, 0]]
