"""Whole tracks from overlapped windows: where the windows lie, and how their outputs become one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def bounds(num_steps: int, windows: Sequence[Window], rate_hz: float) -> list[tuple[int, int]]:
    """First step of a track's features under each window, and the step after its last.

    Args:
        num_steps: Of the features.
        windows: As `plan` gives them; the last ends with the features, whatever the rounding.
        rate_hz: Steps of the features a second.
    """
    found = [(round(window.start_s * rate_hz), min(num_steps, round(window.end_s * rate_hz))) for window in windows]
    return [*found[:-1], (found[-1][0], num_steps)]


def cut(features: Tensor, axis: int, windows: Sequence[Window], rate_hz: float) -> Iterator[Tensor]:
    """The part of a track's features under each window, without a copy; `axis` is the one of time."""
    for first, last in bounds(features.shape[axis], windows, rate_hz):
        yield features.narrow(axis, first, last - first)


def in_batches(
    parts: Iterable[tuple[Tensor, int]], batch_size: int, run: Callable[[Tensor, int], Tensor]
) -> Iterator[Tensor]:
    """Runs a function on parts that follow each other and are alike, several at a time: nothing is ever padded.

    Args:
        parts: Inputs (1, ...), and the number of frames that each should give.
        batch_size: Parts at a time, at most.
        run: Inputs (B, ...) of one shape, and the frames they should give -> outputs (B, ...).

    Yields:
        The output of each part on the CPU, in their order; no more than one batch is held.
    """
    batch: list[Tensor] = []
    length = 0
    for part, frames in parts:
        if batch and (len(batch) == batch_size or frames != length or part.shape != batch[0].shape):
            yield from run(torch.cat(batch), length).cpu()
            batch = []
        batch.append(part)
        length = frames
    if batch:
        yield from run(torch.cat(batch), length).cpu()


def stitch(
    pieces: Iterable[Tensor],
    first_frames: Sequence[int],
    num_frames: int | None,
    weight: Literal["triangle", "centre"],
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Outputs of overlapped windows as one sequence.

    Args:
        pieces: (N_i, ...) for each window; taken one by one and not kept.
        first_frames: Where each begins in the whole.
        num_frames: N of the whole, every frame of which is covered by some window; None for where the last piece
            ends, none being twice as long as the first.
        weight: `triangle` averages, with weights that fall from the middle of a window to its ends; `centre`
            takes each frame from the window in whose middle it lies most nearly.
        dtype: Of the whole.

    Returns:
        (N, ...) of this type.
    """
    whole = weights = torch.zeros(0)
    end = 0
    for number, (piece, first) in enumerate(zip(pieces, first_frames, strict=True)):
        if number == 0:
            size = first_frames[-1] + 2 * len(piece) if num_frames is None else num_frames
            whole, weights = torch.zeros(size, *piece.shape[1:], dtype=dtype), torch.zeros(size)
        length = min(len(piece), len(whole) - first)
        end = max(end, first + length)
        ramp = torch.arange(1, len(piece) + 1, dtype=torch.float32)
        triangle = torch.minimum(ramp, ramp.flip(0))[:length]
        old = weights[first : first + length]
        values = piece[:length].to("cpu", dtype)
        shape = (-1,) + (1,) * (values.dim() - 1)
        if weight == "centre":
            better = triangle > old
            whole[first : first + length][better] = values[better]
            weights[first : first + length] = torch.maximum(triangle, old)
        else:
            whole[first : first + length] += (values * triangle.reshape(shape)).to(dtype)
            weights[first : first + length] += triangle
    num_frames = end if num_frames is None else num_frames
    whole, weights = whole[:num_frames], weights[:num_frames]
    if (weights == 0).any():
        raise AssertionError(f"frame {int(torch.argmin(weights))} of {num_frames} lies in no window")
    if weight == "triangle":
        whole /= weights.reshape((-1,) + (1,) * (whole.dim() - 1)).to(dtype)
    return whole
