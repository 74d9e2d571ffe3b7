import mir_eval
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.chord_vocabulary import ChordVocabulary

LARGE = ChordVocabulary("large")
COMPARISONS = ("majmin", "root", "thirds", "triads", "sevenths", "tetrads", "mirex")


@st.composite
def _chords(draw: st.DrawFn, labels: tuple[str, ...], shortest_s: float = 0.5) -> Spans:
    lengths_s = draw(st.lists(st.floats(shortest_s, 5.0), min_size=1, max_size=12))
    names = draw(st.lists(st.sampled_from(labels), min_size=len(lengths_s), max_size=len(lengths_s)))
    edges_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    return Spans(edges_s[:-1], edges_s[1:], tuple(names))


@pytest.mark.parametrize(("name", "size", "answers"), [("majmin", 25, 25), ("large", 170, 169)])
def test_every_class_is_its_own_label(name: str, size: int, answers: int):
    vocabulary = ChordVocabulary(name)
    assert len(vocabulary) == size
    assert vocabulary.num_answers == answers
    for index, label in enumerate(vocabulary.labels[:answers]):
        mir_eval.chord.validate_chord_label(label)
        assert vocabulary.class_of(label) == index


@pytest.mark.parametrize(
    ("label", "majmin", "large"),
    [
        ("D", "D:maj", "D:maj"),
        ("C#", "Db:maj", "Db:maj"),
        ("G:7", "G:maj", "G:7"),
        ("G:9", "G:maj", "G:7"),
        ("G:maj/3", "G:maj", "G:maj"),
        ("A:min7/b3", "A:min", "A:min7"),
        ("A:min6", "A:min", "A:min6"),
        ("B:hdim7", None, "B:hdim7"),
        ("E:sus4", None, "E:sus4"),
        ("F:aug", None, "F:aug"),
        ("F:5", None, "X"),
        ("N", "N", "N"),
        ("X", None, None),
    ],
)
def test_labels_have_the_class_that_mir_eval_compares(label: str, majmin: str | None, large: str | None):
    for name, expected in (("majmin", majmin), ("large", large)):
        vocabulary = ChordVocabulary(name)
        found = vocabulary.class_of(label)
        assert (None if found is None else vocabulary.labels[found]) == expected


@given(st.sampled_from(LARGE.labels[:-1]), st.sampled_from(["", "/3", "/5", "/b7", "/2"]))
def test_the_small_vocabulary_is_what_majmin_scores(label: str, bass: str):
    label = label if label == "N" else label + bass
    vocabulary = ChordVocabulary("majmin")
    found = vocabulary.class_of(label)
    candidates = list(vocabulary.labels)
    scores = mir_eval.chord.majmin([label] * len(candidates), candidates)
    if found is None:
        assert (scores == -1).all()
    else:
        assert scores[found] == 1


def test_chords_that_do_not_exist_are_named():
    with pytest.raises(mir_eval.chord.InvalidChordException, match="H:maj"):
        ChordVocabulary("majmin").class_of("H:maj")


@settings(max_examples=20, deadline=None)
@given(_chords(LARGE.labels[:-1]))
def test_round_trip_of_the_large_vocabulary(chords: Spans):
    head = Chord(4, vocabulary="large")
    summary = head.ceiling([chords], [float(chords.ends_s[-1])]).summary
    # A change of chord is moved by at most half a frame of 1/16 s.
    least = 1 - len(chords) / 32 / float(chords.ends_s[-1]) - 1e-6
    for name in COMPARISONS:
        assert summary[f"chord_{name}"] is None or summary[f"chord_{name}"] >= least - 0.1 * (name != "tetrads")
    assert summary["chord_tetrads"] >= least


@settings(max_examples=20, deadline=None)
@given(_chords((*ChordVocabulary("majmin").labels, "G:7", "X", "D:dim"), 1.0), st.sampled_from([0.0, 0.9]))
def test_round_trip_of_the_small_vocabulary(chords: Spans, self_transition: float):
    scores = Chord(4, self_transition=self_transition).ceiling([chords], [float(chords.ends_s[-1])])
    if all(label in ("X", "D:dim") for label in chords.labels):
        assert scores.summary["chord_majmin"] is None
    else:
        assert scores.summary["chord_majmin"] >= 0.93


@settings(max_examples=20, deadline=None)
@given(_chords(("C", "G:7", "A:min", "N", "X", "B:dim")), _chords(("C:maj", "G:maj", "A:min", "N")))
def test_scores_of_a_track_are_mir_evals(reference: Spans, estimate: Spans):
    summary = Chord(4).score([reference], [Estimate(estimate)], [float(reference.ends_s[-1])]).summary
    scored = [label for label in reference.labels if label != "X"]
    if not scored or all(label == "B:dim" for label in scored):
        assert summary["chord_majmin"] is None
        return
    # Cut beforehand: of a span that starts at the end mir_eval makes one of no length, and refuses it.
    cut = estimate.slice(0.0, float(reference.ends_s[-1]))
    expected = mir_eval.chord.evaluate(reference.intervals_s, list(reference.labels), cut.intervals_s, list(cut.labels))
    for name in (*COMPARISONS, "seg"):
        assert summary[f"chord_{name}"] == pytest.approx(expected[name], abs=1e-6), name


def test_figures_pool_seconds_over_tracks():
    references = [Spans.of([(0, 1, "C")]), Spans.of([(0, 9, "C")]), Spans.of([(0, 5, "X")])]
    estimates = [Estimate(Spans.of([(0, 1, "C")])), Estimate(Spans.of([(0, 9, "D")])), Estimate(Spans.of([]))]
    scores = Chord(4).score(references, estimates, [1.0, 9.0, 5.0])
    assert scores.summary["chord_majmin"] == pytest.approx(0.1)
    assert scores.summary["chord_majmin_by_track"] == pytest.approx(0.5)
    assert [track["chord_majmin"] for track in scores.tracks] == [1, 0, None]
    assert any("33.3%" in note for note in scores.notes)
    by_track = Chord(4, average="tracks").score(references, estimates, [1.0, 9.0, 5.0])
    assert by_track.summary["chord_majmin"] == by_track.summary["chord_majmin_by_track"] == pytest.approx(0.5)
    assert by_track.tracks == scores.tracks


def test_a_gap_in_the_reference_is_not_scored_and_one_in_the_estimate_is_no_chord():
    reference = Spans.of([(0, 2, "C"), (6, 8, "N"), (8, 10, "D")])
    wrong_in_the_gap = Estimate(Spans.of([(0, 2, "C"), (2, 6, "F"), (8, 9, "D")]))
    summary = Chord(4).score([reference], [wrong_in_the_gap], [10.0]).summary
    assert summary["chord_majmin"] == pytest.approx(5 / 6)


def test_gaps_are_not_learnt():
    target = Chord(4).targets(Spans.of([(0, 0.5, "C"), (0.5, 1, "X"), (1, 1.5, "A:min")]), 2.0)[:, 0]
    known = ~target.isnan()
    assert known.tolist() == [True] * 8 + [False] * 8 + [True] * 8 + [False] * 8
    assert target[known].tolist() == [0] * 8 + [21] * 8


def test_the_decoder_stays_in_a_chord_that_is_interrupted():
    head = Chord(4, self_transition=0.9)
    logits = np.zeros((40, 25), dtype=np.float32)
    logits[:, 3] = 2.0
    logits[20, 5] = 3.0
    assert head.decode(logits, 2.5).spans == Spans.of([(0, 2.5, "Eb:maj")])
    assert len(Chord(4).decode(logits, 2.5).spans) == 3


def test_x_is_never_an_answer():
    logits = np.zeros((16, 170), dtype=np.float32)
    logits[:, -1] = 9.0
    assert Chord(4, vocabulary="large").decode(logits, 1.0).spans.labels == ("C:maj",)


@pytest.mark.parametrize(
    "settings", [{"vocabulary": "small"}, {"average": "beats"}, {"self_transition": 1.0}, {"self_transition": 0.01}]
)
def test_settings_that_make_no_sense_are_named(settings: dict):
    with pytest.raises(ValueError, match=f"head.{next(iter(settings))}"):
        Chord(4, **settings)
