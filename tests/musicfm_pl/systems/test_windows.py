"""Windows cover a track, start where every grid has a point, and their outputs become one without seams."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.systems.windows import lattice, plan, stitch

STEPS = st.sampled_from([Fraction(1, rate_hz) for rate_hz in (25, 50, 75, 16, 8)] + [Fraction(2)])
WINDOWS_S = st.sampled_from([5.0, 6.0, 10.0, 12.0, 24.0, 29.1, 30.0])
DURATIONS_S = st.integers(1, 24000 * 400).map(lambda samples: samples / 24000)
OVERLAPS = st.sampled_from([0.0, 0.25, 0.5, 0.9])


@given(st.lists(STEPS, min_size=1, max_size=4))
def test_the_lattice_is_the_shortest_common_multiple(steps: list[Fraction]) -> None:
    grid = lattice(*steps)
    assert all((grid / step).denominator == 1 for step in steps)
    for part in (2, 3, 5, 7):
        assert not all((grid / part / step).denominator == 1 for step in steps)


def test_known_lattices() -> None:
    assert lattice(Fraction(1, 25), Fraction(1, 50)) == Fraction(1, 25)
    assert lattice(Fraction(1, 25), Fraction(1, 16)) == 1
    assert lattice(Fraction(1, 75), Fraction(1, 50)) == Fraction(1, 25)


@given(DURATIONS_S, WINDOWS_S, st.lists(STEPS, min_size=1, max_size=2), OVERLAPS)
def test_windows_cover_the_track(duration_s: float, window_s: float, steps: list[Fraction], overlap: float) -> None:
    grid = lattice(*steps)
    windows = plan(duration_s, window_s, grid, overlap)
    assert windows[0].start_s == 0
    assert windows[-1].end_s == duration_s
    for before, after in pairwise(windows):
        assert before.start_s < after.start_s <= before.end_s + 1e-9
    for window in windows:
        assert Fraction(window.start_s).limit_denominator(10**6) % grid == 0
        assert window.end_s - window.start_s > 0
    if duration_s > window_s:
        for window in windows[:-1]:
            assert window.end_s - window.start_s == pytest.approx(window_s)
        assert window_s - 1e-6 <= windows[-1].end_s - windows[-1].start_s < window_s + float(grid) + 1e-6


@given(DURATIONS_S, WINDOWS_S, OVERLAPS)
def test_windows_overlap_as_asked(duration_s: float, window_s: float, overlap: float) -> None:
    grid = Fraction(1, 25)
    windows = plan(duration_s, window_s, grid, overlap)
    for before, after in pairwise(windows[:-1]):
        step_s = after.start_s - before.start_s
        assert window_s * (1 - overlap) - float(grid) <= step_s + 1e-6
        assert step_s <= max(window_s * (1 - overlap), float(grid)) + 1e-6


@st.composite
def covers(draw: st.DrawFn) -> tuple[int, list[tuple[int, int]]]:
    """A length, and (first, length) of pieces that cover it."""
    num_frames = draw(st.integers(1, 60))
    pieces = [(0, draw(st.integers(1, num_frames)))]
    while sum(pieces[-1]) < num_frames:
        first = draw(st.integers(pieces[-1][0] + 1, sum(pieces[-1])))
        pieces.append((first, draw(st.integers(sum(pieces[-1]) - first + 1, num_frames - first))))
    return num_frames, pieces


@given(covers(), st.sampled_from(["triangle", "centre"]), st.integers(0, 100))
def test_what_agrees_stays_as_it_is(cover: tuple[int, list[tuple[int, int]]], weight: str, seed: int) -> None:
    """Pieces cut from one sequence give it back, a constant among them."""
    num_frames, places = cover
    whole = torch.randn(num_frames, 3, generator=torch.Generator().manual_seed(seed))
    pieces = [whole[first : first + length] for first, length in places]
    stitched = stitch(pieces, [first for first, _ in places], num_frames, weight)  # type: ignore[arg-type]
    torch.testing.assert_close(stitched, whole)
    constant = stitch(
        [torch.full((length, 2, 4), 7.0) for _, length in places],
        [first for first, _ in places],
        num_frames,
        weight,  # type: ignore[arg-type]
    )
    torch.testing.assert_close(constant, torch.full((num_frames, 2, 4), 7.0))


@given(covers())
def test_a_triangle_is_a_weighted_mean(cover: tuple[int, list[tuple[int, int]]]) -> None:
    """Against the definition, frame by frame: the weight of a frame is its distance from the nearer end."""
    num_frames, places = cover
    pieces = [torch.full((length, 1), float(number)) for number, (_, length) in enumerate(places)]
    stitched = stitch(pieces, [first for first, _ in places], num_frames, "triangle")
    for frame in range(num_frames):
        votes = [
            (min(frame - first + 1, first + length - frame), number)
            for number, (first, length) in enumerate(places)
            if first <= frame < first + length
        ]
        mean = sum(vote * number for vote, number in votes) / sum(vote for vote, _ in votes)
        assert stitched[frame].item() == pytest.approx(mean, abs=1e-5)


@given(covers())
def test_the_centre_takes_the_frame_that_lies_deepest(cover: tuple[int, list[tuple[int, int]]]) -> None:
    num_frames, places = cover
    pieces = [torch.full((length, 1), float(number)) for number, (_, length) in enumerate(places)]
    stitched = stitch(pieces, [first for first, _ in places], num_frames, "centre")
    for frame in range(num_frames):
        depth = {
            number: min(frame - first + 1, first + length - frame)
            for number, (first, length) in enumerate(places)
            if first <= frame < first + length
        }
        assert depth[int(stitched[frame].item())] == max(depth.values())


def test_no_overlap_is_concatenation() -> None:
    pieces = [torch.randn(4, 2), torch.randn(3, 2)]
    for weight in ("triangle", "centre"):
        torch.testing.assert_close(stitch(pieces, [0, 4], 7, weight), torch.cat(pieces))  # type: ignore[arg-type]


def test_half_precision_comes_out_as_float32() -> None:
    assert stitch([torch.ones(3, 1).half()], [0], 3, "centre").dtype == torch.float32
    assert math.isclose(stitch([torch.ones(3, 1).bfloat16()], [0], 3, "triangle").sum().item(), 3)
