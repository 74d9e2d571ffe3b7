import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate
from musicfm_pl.heads.key import KEYS, Key, key_class


def _whole(key: str) -> Spans:
    return Spans.of([(0.0, 10.0, key)])


def _scores(reference: Spans, whole: str, local: Spans | None = None) -> dict:
    return dict(Key(4).score([reference], [Estimate(local or _whole(whole), whole=whole)], [10.0]).summary)


def test_every_class_is_its_own_label():
    assert len(KEYS) == 24
    for index, key in enumerate(KEYS):
        mir_eval.key.validate_key(key)
        assert key_class(key) == index


@pytest.mark.parametrize("label", ["X", "D other"])
def test_keys_that_are_neither_major_nor_minor_have_no_class(label: str):
    assert key_class(label) is None


def test_enharmonic_keys_are_one():
    assert key_class("C# minor") == key_class("Db minor")


@pytest.mark.parametrize(
    ("estimate", "up", "both"),
    [
        ("C major", 1.0, 1.0),
        ("G major", 0.5, 0.5),
        ("F major", 0.0, 0.5),
        ("A minor", 0.3, 0.3),
        ("C minor", 0.2, 0.2),
        ("E minor", 0.0, 0.0),
    ],
)
def test_both_ways_to_count_a_fifth(estimate: str, up: float, both: float):
    summary = _scores(_whole("C major"), estimate)
    assert summary["key_weighted"] == summary["key_weighted_up"] == up
    assert summary["key_weighted_both"] == both
    assert summary["key_accuracy"] == float(estimate == "C major")
    mirex = Key(4).under({"fifths": "both"})
    scores = mirex.score([_whole("C major")], [Estimate(_whole(estimate), whole=estimate)], [10.0])
    assert scores.summary == {**summary, "key_weighted": both}
    assert "both directions" in scores.notes[0]


@given(st.sampled_from(KEYS), st.sampled_from(KEYS))
def test_the_score_is_mir_evals(reference: str, estimate: str):
    summary = _scores(_whole(reference), estimate)
    assert summary["key_weighted"] == mir_eval.key.weighted_score(reference, estimate)
    assert summary["key_weighted"] <= summary["key_weighted_both"]


def test_the_reference_of_a_song_is_the_key_that_lasts_longest():
    reference = Spans.of([(0, 4, "D minor"), (4, 7, "F major"), (7, 9, "D minor"), (9, 20, "X")])
    assert _scores(reference, "D minor")["key_accuracy"] == 1
    assert _scores(reference, "F major")["key_accuracy"] == 0


def test_local_keys_are_scored_by_the_second_where_one_is_annotated():
    reference = Spans.of([(0, 4, "D minor"), (4, 8, "F major"), (8, 10, "X")])
    local = Spans.of([(0, 6, "D minor"), (6, 10, "F major")])
    assert _scores(reference, "D minor", local)["key_local_accuracy"] == pytest.approx(6 / 8)


def test_a_song_without_a_key_is_left_out_and_named():
    scores = Key(4).score(
        [_whole("X"), _whole("C major")], [Estimate(_whole("C major"), whole="C major")] * 2, [10.0] * 2
    )
    assert scores.tracks[0]["key_weighted"] is None
    assert scores.summary["key_weighted"] == 1
    assert any("1 of 2 tracks have no major or minor key" in note for note in scores.notes)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KEYS), st.integers(2, 20)), min_size=1, max_size=5))
def test_round_trip(keys: list[tuple[str, int]]):
    edges_s = np.concatenate([[0], np.cumsum([2.0 * length for _, length in keys])])
    reference = Spans(edges_s[:-1], edges_s[1:], tuple(key for key, _ in keys))
    duration_s = float(edges_s[-1])
    summary = Key(4).ceiling([reference], [duration_s]).summary
    assert summary["key_local_accuracy"] == pytest.approx(1)
    lengths: dict[str, int] = {}
    for key, length in keys:
        lengths[key] = lengths.get(key, 0) + length
    if list(lengths.values()).count(max(lengths.values())) == 1:
        assert summary["key_weighted"] == 1


def test_the_song_is_estimated_by_the_mean_of_its_logits():
    logits = np.zeros((5, 24), dtype=np.float32)
    logits[:4, 3] = 1.0
    logits[4, 20] = 9.0
    estimate = Key(4).decode(logits, 10.0)
    assert estimate.whole == KEYS[20]
    assert estimate.spans.labels == (KEYS[3], KEYS[20])
