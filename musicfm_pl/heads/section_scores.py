"""Figures of sections, one track at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import mir_eval
import numpy as np

from data_modules.labels import FUNCTIONS
from data_modules.spans import Spans
from musicfm_pl.heads.timeline import fill_gaps

_GAP = "gap"
"""What stretches without a section are called, with a number each; no function and no letter."""
_WINDOWS_S = {"hr05": 0.5, "hr3": 3.0}
"""How far a boundary may lie from its reference (MIREX)."""
_LABEL_FIGURES = {
    "pairwise_f": mir_eval.segment.pairwise,
    "nce_f": mir_eval.segment.nce,
    "v_measure": mir_eval.segment.vmeasure,
}


def has_functions(references: Iterable[Spans]) -> bool:
    """Whether functions, and not letters, hold most of the annotated time.

    Corpora of letters may call the first and last section intro and outro; that alone teaches no functions.
    """
    function_s = total_s = 0.0
    for reference in references:
        for start_s, end_s, label in reference:
            total_s += end_s - start_s
            function_s += (end_s - start_s) * (label in FUNCTIONS)
    return function_s > total_s / 2


def section_figures(reference: Spans, estimate: Spans, trim: bool, labelled: bool) -> Mapping[str, float | None]:
    """Figures of a track by name; None where one is not defined.

    mir_eval wants sections from 0 to one common end: that of the reference, to which the estimate is cut or
    filled.

    Args:
        reference: Sections, of functions or letters; frame accuracy is defined where it `has_functions`.
        estimate: Sections; frame accuracy is defined where some are functions.
        trim: Whether the first and last boundary are left out of hit rates.
        labelled: Whether labels of the estimate say which sections are alike; if not, it has boundaries only,
            and figures about labels are not defined.
    """
    figures: dict[str, float | None] = {f"{name}_{part}": None for name in _WINDOWS_S for part in "prf"}
    figures |= dict.fromkeys(_LABEL_FIGURES) | {"frame_accuracy": None}
    if len(reference) == 0:
        return figures
    end_s = float(reference.ends_s.max())
    truth, found = _without_gaps(reference, end_s), _without_gaps(estimate, end_s)
    for name, window_s in _WINDOWS_S.items():
        values: tuple[float | None, ...]
        # Trimmed, a single section has no boundary: none to find, or none found.
        if trim and len(truth) == 1:
            values = (None, None, None)
        elif trim and len(found) == 1:
            values = (0.0, 0.0, 0.0)
        else:
            values = tuple(
                float(value)
                for value in mir_eval.segment.detection(
                    truth.intervals_s, found.intervals_s, window=window_s, trim=trim
                )
            )
        figures |= {f"{name}_{part}": value for part, value in zip("prf", values, strict=True)}
    if labelled:
        figures |= _label_figures(truth, found)
        if has_functions([reference]) and has_functions([estimate]):
            figures["frame_accuracy"] = _frame_accuracy(truth, found)
    return figures


def _without_gaps(spans: Spans, end_s: float) -> Spans:
    """Sections from 0 to the end; no two gaps are alike, as in `mir_eval.util.adjust_intervals`."""
    filled = fill_gaps(spans, 0.0, end_s, _GAP)
    labels = (f"{_GAP} {at}" if label == _GAP else label for at, label in enumerate(filled.labels))
    return Spans(filled.starts_s, filled.ends_s, tuple(labels))


def _label_figures(truth: Spans, found: Spans) -> dict[str, float | None]:
    figures: dict[str, float | None] = {}
    for name, function in _LABEL_FIGURES.items():
        # Without two frames of one section there are no pairs, and mir_eval divides by 0.
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(function(truth.intervals_s, list(truth.labels), found.intervals_s, list(found.labels))[2])
        figures[name] = None if np.isnan(value) else value
    return figures


def _frame_accuracy(truth: Spans, found: Spans) -> float:
    """Share of the time with a function in the reference that has the same in the estimate."""
    intervals_s, true_labels, found_labels = mir_eval.util.merge_labeled_intervals(
        truth.intervals_s, list(truth.labels), found.intervals_s, list(found.labels)
    )
    seconds = mir_eval.util.intervals_to_durations(intervals_s)
    known = np.array([label in FUNCTIONS for label in true_labels])
    right = np.array([label == guess for label, guess in zip(true_labels, found_labels, strict=True)])
    return float(seconds[known & right].sum() / seconds[known].sum())
