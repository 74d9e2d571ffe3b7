"""Whole tracks from overlapped windows: where the windows lie, and how their outputs become one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Literal, NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """A stretch of a track, in seconds."""

    start_s: float
    end_s: float


def lattice(*steps_s: Fraction) -> Fraction:
    """The shortest time that is a whole number of every step: windows that start on it fall on every grid."""
    numerators = math.lcm(*(step.numerator for step in steps_s))
    return Fraction(numerators, math.gcd(*(step.denominator for step in steps_s)))


def plan(duration_s: float, window_s: float, grid: Fraction, overlap: float = 0.5) -> list[Window]:
    """Windows that cover a track.

    All are `window_s` long and start on the grid; the last reaches back into the one before it and ends with the
    track, so it is longer by less than a grid step. A track shorter than a window is one window.

    Args:
        duration_s: Length of the track.
        window_s: Length of a window.
        grid: Starts are multiples of this.
        overlap: Share of a window that the next one repeats, in [0, 1).
    """
    if duration_s <= window_s:
        return [Window(0.0, duration_s)]
    step = max(grid, math.floor(window_s * (1 - overlap) / grid) * grid)
    last = math.floor((duration_s - window_s) / grid + 1e-6) * grid
    starts = [number * step for number in range(math.ceil(last / step))] + [last]
    return [Window(float(start), min(float(start) + window_s, duration_s)) for start in starts[:-1]] + [
        Window(float(last), duration_s)
    ]


def stitch(
    pieces: Sequence[Tensor], first_frames: Sequence[int], num_frames: int, weight: Literal["triangle", "centre"]
) -> Tensor:
    """Outputs of overlapped windows as one sequence.

    Args:
        pieces: (N_i, ...) for each window.
        first_frames: Where each begins in the whole.
        num_frames: N of the whole; every frame is covered by some window.
        weight: `triangle` averages, with weights that fall from the middle of a window to its ends; `centre`
            takes each frame from the window in whose middle it lies most nearly.

    Returns:
        (N, ...) float32.
    """
    whole = torch.zeros(num_frames, *pieces[0].shape[1:])
    weights = torch.zeros(num_frames)
    for piece, first in zip(pieces, first_frames, strict=True):
        length = min(len(piece), num_frames - first)
        ramp = torch.arange(1, len(piece) + 1, dtype=torch.float32)
        triangle = torch.minimum(ramp, ramp.flip(0))[:length]
        old = weights[first : first + length]
        values = piece[:length].float().cpu()
        shape = (-1,) + (1,) * (values.dim() - 1)
        if weight == "centre":
            better = triangle > old
            whole[first : first + length][better] = values[better]
            weights[first : first + length] = torch.maximum(triangle, old)
        else:
            whole[first : first + length] += values * triangle.reshape(shape)
            weights[first : first + length] += triangle
    if (weights == 0).any():
        raise AssertionError(f"frame {int(torch.argmin(weights))} of {num_frames} lies in no window")
    if weight == "triangle":
        whole /= weights.reshape((-1,) + (1,) * (whole.dim() - 1))
    return whole
