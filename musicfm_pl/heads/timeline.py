"""Labels on a line of time: as classes by frame, and back; gaps filled; two lines compared by the second."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_modules.spans import Spans


def classes_by_frame(
    spans: Spans,
    class_of: Callable[[str], int | None],
    num_classes: int,
    num_frames: int,
    rate_hz: float,
    duration_s: float,
) -> Tensor:
    """The class that holds most of each frame, (N,) float32; NaN where most of it is not labelled.

    Frame n lasts from n to n + 1 periods of `rate_hz`, as adaptive pooling has it.

    Args:
        spans: Labels in seconds.
        class_of: The class of a label, in [0, num_classes); None for labels that say nothing.
        num_classes: K.
        num_frames: N.
        rate_hz: Frames a second.
        duration_s: The last frame may last beyond this; only what lies before it counts.
    """
    edges = np.minimum(np.arange(num_frames + 1), duration_s * rate_hz)
    # What a class holds of a frame, in frames; the last column is what no class does.
    share_NK = np.zeros((num_frames, num_classes + 1))
    for start_s, end_s, label in spans:
        index = class_of(label)
        start, end = start_s * rate_hz, end_s * rate_hz
        first, last = max(0, int(start)), min(num_frames, int(np.ceil(end)))
        if index is None or first >= last:
            continue
        inside = np.minimum(edges[first + 1 : last + 1], end) - np.maximum(edges[first:last], start)
        share_NK[first:last, index] += np.maximum(inside, 0.0)
    share_NK[:, -1] = np.diff(edges) - share_NK.sum(axis=1)
    best_N = share_NK.argmax(axis=1).astype(np.float32)
    best_N[best_N == num_classes] = np.nan
    return torch.from_numpy(best_N)


def perfect_class_logits(targets_N: Tensor, num_classes: int) -> Tensor:
    """Logits (N, K), 10 for the class in `targets_N` and -10 for the others; all 0 where it is NaN."""
    known_N = ~targets_N.isnan()
    one_hot_NK = torch.nn.functional.one_hot(torch.where(known_N, targets_N, 0.0).long(), num_classes)
    return torch.where(known_N[:, None], one_hot_NK * 20.0 - 10.0, 0.0)


def runs(classes_N: NDArray[np.intp], labels: Sequence[str], rate_hz: float, duration_s: float) -> Spans:
    """Frames of one class in a row as one span; the last ends with the track."""
    changes = np.flatnonzero(np.diff(classes_N)) + 1
    firsts = np.concatenate([[0], changes])
    starts_s = firsts / rate_hz
    ends_s = np.concatenate([changes / rate_hz, [max(duration_s, starts_s[-1])]])
    return Spans(starts_s, ends_s, tuple(labels[index] for index in classes_N[firsts]))


def fill_gaps(spans: Spans, start_s: float, end_s: float, label: str) -> Spans:
    """Spans that cover [start_s, end_s] and nothing else, without a gap: what has no label gets `label`.

    `mir_eval.util.adjust_intervals` fills the ends only, and `merge_labeled_intervals` would give a gap the
    label before it.
    """
    rows: list[tuple[float, float, str]] = []
    at_s = start_s
    for begin_s, finish_s, name in spans:
        begin_s, finish_s = max(begin_s, at_s), min(finish_s, end_s)
        if finish_s <= begin_s:
            continue
        # Rounding leaves slivers between spans that touch; they are no gaps.
        if begin_s - at_s > 1e-6:
            rows.append((at_s, begin_s, label))
        else:
            begin_s = at_s
        rows.append((begin_s, finish_s, name))
        at_s = finish_s
    if end_s - at_s > 1e-6 or not rows:
        rows.append((at_s, end_s, label))
    else:
        rows[-1] = (rows[-1][0], end_s, rows[-1][2])
    return Spans.of(rows)


def extent_s(spans: Spans) -> tuple[float, float]:
    """Where the first of some spans starts and the last ends, in seconds."""
    return float(spans.starts_s.min()), float(spans.ends_s.max())


def mean_of_defined(values: Sequence[float | None]) -> float | None:
    """Mean over what is defined; None if nothing is."""
    defined = [value for value in values if value is not None]
    return float(np.mean(defined)) if defined else None
