import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.dcml_form import sections
from data_modules.corpora.dcml_score import (
    MAX_VISITS,
    Bar,
    NoteTable,
    beat_unit_q,
    beats,
    before,
    main_metre,
    order,
    sounding,
    unfold,
)


def bar(number: int, *ways: int, **fields: object) -> Bar:
    plain = Bar(number, 4.0, 0.0, (4, 4), 0, ways or (number + 1,))
    return replace(plain, **fields)  # type: ignore[arg-type]


def table(*rows: tuple[int, float, float, int, int]) -> NoteTable:
    """Rows of bar, onset, length, pitch and tie, all in staff 1."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    number, onset_q, length_q, pitch, tied = columns
    return NoteTable(number, onset_q, length_q, pitch, np.ones(len(rows), dtype=np.int64), tied)


@pytest.mark.parametrize(
    ("ways", "expected"),
    [
        ({1: (2,), 2: (-1,)}, [1, 2]),
        ({1: (2,), 2: (1, 3), 3: (-1,)}, [1, 2, 1, 2, 3]),  # a repeat
        ({1: (2, 3), 2: (1,), 3: (-1,)}, [1, 2, 1, 3]),  # two endings
        ({1: (2,), 2: (3, -1), 3: (1,)}, [1, 2, 3, 1, 2]),  # da capo al fine
        ({1: (1,)}, [1] * MAX_VISITS),  # senza fine
        ({1: ()}, [1]),
    ],
)
def test_order(ways: dict[int, tuple[int, ...]], expected: list[int]) -> None:
    assert order(ways, 1) == expected


@given(st.dictionaries(st.integers(1, 8), st.lists(st.integers(-1, 9), max_size=4), min_size=1))
def test_order_always_ends(ways: dict[int, list[int]]) -> None:
    played = order(ways, min(ways))
    assert played[0] == min(ways)
    assert max(Counter(played).values()) <= MAX_VISITS
    assert all(b in ways[a] for a, b in itertools.pairwise(played))


def test_nothing_unfolds_to_nothing() -> None:
    assert unfold([]) == []


def test_ties_are_merged_across_bars_and_into_either_ending() -> None:
    played = unfold([bar(1, 2, 3), bar(2, 1), bar(3, -1)])
    notes = sounding(played, table((1, 2, 2, 60, 1), (2, 0, 1, 60, -1), (3, 0, 4, 60, -1)))
    assert [(note.start_q, note.end_q) for note in notes] == [(2, 5), (10, 16)]


def test_a_tie_from_nowhere_begins_anew() -> None:
    (note,) = sounding(unfold([bar(1, -1)]), table((1, 1, 2, 60, -1)))
    assert (note.start_q, note.end_q) == (1, 3)


def test_one_string_sounds_a_note_once() -> None:
    notes = sounding(unfold([bar(1, -1)]), table((1, 0, 1, 60, -99), (1, 0, 4, 60, -99), (1, 2, 1, 60, -99)))
    assert [(note.start_q, note.end_q) for note in notes] == [(0, 2), (2, 3)]


PITCHES = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([0, 0.5, 1, 4 / 3, 3]), st.sampled_from([0, 0.5, 2 / 3, 6]),
              st.integers(60, 63), st.sampled_from([-99, -1, 0, 1])),
    min_size=1,
)  # fmt: skip


@given(PITCHES)
def test_notes_never_overlap_on_one_pitch(rows: list[tuple[int, float, float, int, int]]) -> None:
    notes = sounding(unfold([bar(1), bar(2, 1, 3), bar(3, -1)]), table(*sorted(rows)))
    for pitch in range(60, 64):
        same = [note for note in notes if note.pitch == pitch]
        assert all(a.end_q <= b.start_q + 1e-6 for a, b in itertools.pairwise(same))
    assert all(note.end_q > note.start_q for note in notes)


def test_an_excerpt_cuts_notes() -> None:
    notes = sounding(unfold([bar(1, -1)]), table((1, 0, 4, 60, -99), (1, 2, 1, 62, -99)))
    assert [(note.pitch, note.end_q) for note in before(notes, 2.0)] == [(60, 2.0)]


@pytest.mark.parametrize(
    ("metre", "unit_q"),
    [((2, 2), 2), ((3, 2), 2), ((4, 4), 1), ((6, 4), 1), ((3, 8), 0.5), ((4, 8), 0.5), ((6, 8), 1.5),
     ((9, 8), 1.5), ((12, 8), 1.5), ((9, 16), 0.75), ((12, 16), 0.75), ((33, 32), 1), ((12, 32), 0.375)],
)  # fmt: skip
def test_beat_units(metre: tuple[int, int], unit_q: float) -> None:
    assert beat_unit_q(metre) == unit_q


def test_an_upbeat_counts_up_to_the_bar() -> None:
    played = unfold([bar(1, length_q=1.5, offset_q=2.5), bar(2, -1)])
    assert beats(played) == [(0.5, 4), (1.5, 1), (2.5, 2), (3.5, 3), (4.5, 4)]


@given(
    st.sampled_from([(2, 2), (3, 4), (4, 4), (3, 8), (6, 8), (9, 8), (12, 16)]),
    st.floats(0, 0.99),
    st.integers(1, 6),
)
def test_beats_are_even_and_begin_every_bar(metre: tuple[int, int], upbeat: float, num_bars: int) -> None:
    full_q = 4 * metre[0] / metre[1]
    first = bar(1, metre=metre, length_q=full_q * (1 - upbeat), offset_q=full_q * upbeat)
    played = unfold([first, *(bar(i, metre=metre, length_q=full_q) for i in range(2, num_bars + 1))])
    found = beats(played)
    per_bar = round(full_q / beat_unit_q(metre))
    assert np.allclose(np.diff([at_q for at_q, _ in found]), beat_unit_q(metre))
    assert all(b == a % per_bar + 1 for (_, a), (_, b) in itertools.pairwise(found))
    downbeats_q = [at_q for at_q, position in found if position == 1]
    assert np.allclose(downbeats_q[-(num_bars - 1) :], [place.start_q for place in played[1:]]) or num_bars == 1


def test_the_main_metre_lasts_longest() -> None:
    bars = [bar(1, metre=(3, 4), length_q=3.0), bar(2, metre=(3, 4), length_q=3.0), bar(3, -1, length_q=8.0)]
    assert main_metre(unfold(bars)) == (4, 4)


def form(bars: list[Bar], content: dict[int, int] | None = None) -> str:
    played = unfold(bars)
    found = sections(played, content or {bar.number: bar.number for bar in bars})
    assert found[0][0] == 0 and found[-1][1] == played[-1].end_q
    assert all(a[1] == b[0] for a, b in itertools.pairwise(found))
    return "".join(letter for _, _, letter in found)


def test_a_repeat_is_the_same_letter_again() -> None:
    assert form([bar(1), bar(2), bar(3), bar(4, 1, -1, closes=True)]) == "AA"


def test_endings_do_not_divide_a_section() -> None:
    bars = [bar(1), bar(2), bar(3), bar(4, 5, 6), bar(5, 1, volta=1, closes=True), bar(6, volta=2)]
    rest = [bar(7), bar(8), bar(9), bar(10, -1)]
    assert form([*bars, *rest]) == "AAB"


def test_a_change_of_key_begins_a_section_and_what_returns_is_recognised() -> None:
    bars = [bar(i) for i in range(1, 5)] + [bar(i, keysig=-3) for i in range(5, 9)]
    bars += [bar(i) for i in range(9, 13)]
    assert form(bars) == "ABC"
    assert form(bars, {i: i % 8 for i in range(1, 13)}) == "ABA"


def test_a_bar_of_its_own_metre_is_no_section() -> None:
    bars = [bar(i) for i in range(1, 6)] + [bar(6, metre=(17, 4), length_q=17.0)] + [bar(i) for i in range(7, 12)]
    assert form(bars) == "AB"


def test_letters_go_on_after_z() -> None:
    bars = [bar(i, keysig=(i - 1) // 4 % 2) for i in range(1, 4 * 28 + 1)]
    assert form(bars).endswith("YZA1B1")
