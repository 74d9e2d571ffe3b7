"""Sections as the notation shows them, lettered by similarity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from data_modules.corpora.dcml_score import Played

MIN_BARS = 4
"""A shorter stretch (a bar of cadenza in its own metre) belongs to what precedes it."""
SIMILAR = 0.6
"""Sections that share at least this part of their bars have the same letter."""


def sections(played: Sequence[Played], content: Mapping[int, int]) -> list[tuple[float, float, str]]:
    """Sections in quarters: (start, end, letter), without a gap from the first bar to the last.

    Boundaries are repeat signs, double bars, jumps, and changes of metre or key signature. The step into an
    alternative ending is none; the step out of it is one.

    Args:
        played: The bars as played.
        content: For each bar number, a value that is the same for bars with the same notes.
    """
    starts = [0] + [i for i in range(1, len(played)) if _is_boundary(played[i - 1], played[i])]
    ends = [*starts[1:], len(played)]
    merged: list[list[int]] = []
    for start, end in zip(starts, ends, strict=True):
        if merged and (end - start < MIN_BARS or merged[-1][1] - merged[-1][0] < MIN_BARS):
            merged[-1][1] = end
        else:
            merged.append([start, end])
    letters: list[str] = []
    seen: list[tuple[Counter[int], str]] = []
    for start, end in merged:
        bars = Counter(content[place.bar.number] for place in played[start:end])
        alike, letter = max(((_overlap(bars, other), letter) for other, letter in seen), default=(0.0, ""))
        if alike < SIMILAR:
            letter = _letter(len({letter for _, letter in seen}))
        seen.append((bars, letter))
        letters.append(letter)
    return [
        (played[start].start_q, played[end - 1].end_q, letter)
        for (start, end), letter in zip(merged, letters, strict=True)
    ]


def _is_boundary(before: Played, after: Played) -> bool:
    a, b = before.bar, after.bar
    if b.volta and (b.volta == a.volta or not a.volta):
        return False
    if b.number != a.number + 1 or a.volta != b.volta:
        return True
    return a.closes or b.opens or a.metre != b.metre or a.keysig != b.keysig


def _overlap(a: Counter[int], b: Counter[int]) -> float:
    return (a & b).total() / max(a.total(), b.total())


def _letter(index: int) -> str:
    """A, B, ..., Z, A1, B1, ..."""
    return chr(ord("A") + index % 26) + (str(index // 26) if index >= 26 else "")
