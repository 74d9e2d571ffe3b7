"""Any valid labels become targets and come back: within half a frame, and with their names.

Chords, keys and sections may have gaps anywhere, chords and keys "X" as well: nothing is compared there. Chords and
keys last two frames at least, for what is shorter than a frame is lost, and sections 4 s. Beats are decoded by
`minimal` alone, which has no model of tempo: the default DBN does not follow beats that lie at random, and has its
tests in `test_beat` and `test_beat_decoders`.
"""

from __future__ import annotations

import mir_eval
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.labels import FUNCTIONS, check
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.chord_vocabulary import ChordVocabulary, VocabularyName
from musicfm_pl.heads.key import KEYS, Key
from musicfm_pl.heads.structure import Structure
from musicfm_pl.heads.tagging import Tagging

EXAMPLES = settings(max_examples=60, deadline=None)


def there_and_back(head: Head, reference: Spans, duration_s: float) -> Estimate:
    check({head.kind: reference}, duration_s, "generated")
    targets_NJ = head.targets(reference, duration_s)
    return head.decode(head.perfect_logits(targets_NJ).numpy(), duration_s)


@st.composite
def stretches(draw: st.DrawFn, labels: tuple[str, ...], shortest_s: float, merge: bool) -> tuple[Spans, float]:
    """Spans, none shorter, of which any are left out, and the length; where merged, no two in a row are alike."""
    lengths_s = draw(st.lists(st.floats(shortest_s, 8 * shortest_s), min_size=1, max_size=12))
    names = draw(st.lists(st.sampled_from(labels), min_size=len(lengths_s), max_size=len(lengths_s)))
    first = [at for at, name in enumerate(names) if not (merge and at and names[at - 1] == name)]
    edges_s = np.concatenate([[0.0], np.cumsum(lengths_s)])[[*first, -1]]
    whole = list(zip(edges_s[:-1].tolist(), edges_s[1:].tolist(), (names[at] for at in first), strict=True))
    is_there = draw(st.lists(st.booleans(), min_size=len(whole), max_size=len(whole)) | st.just([True] * len(whole)))
    return Spans.of([span for span, there in zip(whole, is_there, strict=True) if there]), float(edges_s[-1])


@st.composite
def beats(draw: st.DrawFn) -> Spans:
    """Bars of one to six beats after an upbeat; beats at least 0.1 s apart, which is 600 a minute."""
    bars = draw(st.lists(st.integers(1, 6), min_size=1, max_size=6))
    upbeat = draw(st.integers(0, 3))
    labels = [*("?" for _ in range(upbeat)), *(str(beat + 1) for bar in bars for beat in range(bar))]
    between_s = draw(st.lists(st.floats(0.1, 2.0), min_size=len(labels), max_size=len(labels)))
    return Spans.events(np.cumsum(between_s), labels)


def assert_near(found_s: np.ndarray, true_s: np.ndarray, rate_hz: float) -> None:
    assert len(found_s) == len(true_s)
    assert np.abs(found_s - true_s).max() <= 0.5 / rate_hz + 1e-6


def assert_same_where_annotated(found: Spans, reference: Spans, duration_s: float, rate_hz: float) -> None:
    """But for half a frame at the ends of each span, where another may hold most of the frame."""
    assert found.starts_s[0] == 0 and found.ends_s[-1] == duration_s
    assert (found.starts_s[1:] == found.ends_s[:-1]).all()
    half_s = 0.5 / rate_hz + 1e-6
    for start_s, end_s, label in reference:
        if label != "X":
            inner = [n for begin_s, stop_s, n in found if min(stop_s, end_s - half_s) > max(begin_s, start_s + half_s)]
            assert inner == [label], f"one span from {start_s} to {end_s}"


@EXAMPLES
@given(beats(), st.sampled_from([(0, 0), (1, 0), (2, 0), (0, 3)]))
def test_beats(reference: Spans, frames: tuple[int, int]) -> None:
    widen_frames, shift_tolerance = frames
    known = Spans.events(reference.starts_s, [label.replace("?", "9") for label in reference.labels])
    head = Beat(4, decoder="minimal", widen_frames=widen_frames, shift_tolerance=shift_tolerance)
    found = there_and_back(head, known, float(known.starts_s[-1]) + 0.05).spans
    assert_near(found.starts_s, reference.starts_s, 50.0)
    assert found.labels == reference.labels, "positions count from the first downbeat"


@EXAMPLES
@given(st.data(), st.sampled_from(["majmin", "large"]))
def test_chords(data: st.DataObject, vocabulary: VocabularyName) -> None:
    head = Chord(4, vocabulary=vocabulary)
    labels = head.chords.labels[: head.chords.num_answers]
    reference, duration_s = data.draw(stretches((*labels, "X"), 2 / 16, merge=True))
    found = there_and_back(head, reference, duration_s).spans
    assert_same_where_annotated(found, reference, duration_s, 16.0)


@EXAMPLES
@given(stretches((*KEYS, "X"), 4.0, merge=True))
def test_keys(drawn: tuple[Spans, float]) -> None:
    reference, duration_s = drawn
    assert_same_where_annotated(there_and_back(Key(4), reference, duration_s).spans, reference, duration_s, 0.5)


@EXAMPLES
@given(stretches(FUNCTIONS, 4.0, merge=False))
def test_sections(drawn: tuple[Spans, float]) -> None:
    reference, duration_s = drawn
    found = there_and_back(Structure(4), reference, duration_s).spans
    assert_same_where_annotated(found, reference, duration_s, 8.0)


@EXAMPLES
@given(st.sets(st.text(min_size=1).filter(str.strip)), st.sets(st.text(min_size=1).filter(str.strip), min_size=1))
def test_tags(tags: set[str], others: set[str]) -> None:
    head = Tagging(4)
    head.learn_labels([Spans.of([(0.0, 9.0, tag) for tag in sorted(tags | others)])])
    found = there_and_back(head, Spans.of([(0.0, 9.0, tag) for tag in sorted(tags)]), 9.0)
    assert set(found.spans.labels) == tags
    assert found.probabilities.keys() == tags | others


_QUALITIES = st.sampled_from(["", "maj", "min", "7", "min7", "maj9", "hdim7", "sus4(b7)", "min(9)", "5", "1", "aug(7)"])
_ROOTS = st.builds("".join, st.tuples(st.sampled_from("ABCDEFG"), st.sampled_from(["", "b", "#", "bb", "##"])))


@EXAMPLES
@given(_ROOTS, _QUALITIES, st.sampled_from(["", "/3", "/b3", "/5", "/b7"]))
def test_any_chord_in_harte_syntax_has_a_class_of_the_same_notes(root: str, quality: str, bass: str) -> None:
    """Back in Harte syntax: the notes of `large` are those of the label, or there is no such class and it is X."""
    large = ChordVocabulary("large")
    label = f"{root}:{quality}{bass}" if quality else f"{root}{bass}"
    index = large.class_of(label)
    assert index is not None
    root_pitch, notes, _ = mir_eval.chord.encode(label)
    same = [
        name
        for name in large.labels[:-2]
        if mir_eval.chord.encode(name)[0] == root_pitch and (mir_eval.chord.encode(name)[1] == notes).all()
    ]
    assert [large.labels[index]] == (same or ["X"])
