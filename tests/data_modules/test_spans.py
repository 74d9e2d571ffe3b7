from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.spans import Spans

TIMES_S = st.floats(0, 100, allow_subnormal=False)


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    """Spans end to end with gaps, and events among them."""
    edges = sorted(draw(st.lists(st.integers(0, 10_000), max_size=20)))
    return Spans.of(
        (a / 100, b / 100, draw(st.sampled_from("xyz"))) for a, b in zip(edges[::2], edges[1::2], strict=False)
    )


@given(spans(), TIMES_S, TIMES_S)
def test_a_slice_lies_within_and_keeps_order(whole: Spans, a_s: float, b_s: float) -> None:
    a_s, b_s = sorted((a_s, b_s))
    part = whole.slice(a_s, b_s)
    assert (part.starts_s >= 0).all()
    assert (part.ends_s <= b_s - a_s).all()
    assert (part.starts_s <= part.ends_s).all()
    assert (np.diff(part.starts_s) >= 0).all()


@given(spans(), TIMES_S, TIMES_S)
def test_parts_add_up(whole: Spans, cut_s: float, end_s: float) -> None:
    """What lies before a cut and what lies after it: all the seconds, and each event once."""
    cut_s, end_s = sorted((cut_s, end_s))
    parts, both = [whole.slice(0, cut_s), whole.slice(cut_s, end_s)], whole.slice(0, end_s)
    for label in "xyz":

        def seconds(spans: Spans, label: str = label) -> float:
            return sum(b - a for a, b, name in spans if name == label)

        def events(spans: Spans, label: str = label) -> int:
            return sum(a == b and name == label for a, b, name in spans)

        assert sum(map(seconds, parts)) == pytest.approx(seconds(both), abs=1e-6)
        if 0 < cut_s < end_s and not np.isin(cut_s, [*whole.starts_s, *whole.ends_s]):
            assert sum(map(events, parts)) == events(both)


@given(spans(), st.lists(st.integers(0, 100), min_size=4, max_size=4))
def test_a_slice_of_a_slice(whole: Spans, edges_s: list[int]) -> None:
    a_s, c_s, d_s, b_s = sorted(edges_s)
    inner = whole.slice(a_s, b_s).slice(c_s - a_s, d_s - a_s)
    direct = whole.slice(c_s, d_s)
    # A span that merely touches an edge may be cut to nothing by one of them.
    some = [[row for row in each if row[1] - row[0] > 1e-9] for each in (inner, direct)]
    assert [row[2] for row in some[0]] == [row[2] for row in some[1]]
    np.testing.assert_allclose(
        np.array([row[:2] for row in some[0]]).reshape(-1, 2), np.array([row[:2] for row in some[1]]).reshape(-1, 2)
    )


@given(spans())
def test_all_of_it(whole: Spans) -> None:
    assert whole.slice(0, 1000) == whole
    assert Spans.of(whole) == whole
    np.testing.assert_array_equal(whole.intervals_s, np.stack([whole.starts_s, whole.ends_s], axis=1))


def test_events_belong_to_the_window_that_they_begin() -> None:
    beats = Spans.events([0.0, 1.0, 2.0], ["1", "2", "3"])
    assert beats.slice(0, 1).labels == ("1",)
    assert beats.slice(1, 2) == Spans.events([0.0], ["2"])


def test_what_does_not_fit_together() -> None:
    with pytest.raises(ValueError, match="as many starts as ends and labels, got 2, 2, 1"):
        Spans.events([0.0, 1.0], ["1"])
    assert len(Spans.of([])) == 0
    assert Spans.of([]) != Spans.events([0.0], ["1"])
    assert Spans.of([]) != "spans"
