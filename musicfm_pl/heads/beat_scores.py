"""Figures of beats, one track at a time, and the F-measure of all beats together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mir_eval
import numpy as np
from numpy.typing import NDArray

from musicfm_pl.heads.beat_rules import BeatRules
from musicfm_pl.heads.madmom_continuity import continuity


@dataclass(frozen=True)
class Hits:
    """Beats of a track by number.

    Attributes:
        matched: Pairs of a reference and an estimate within the window, none used twice.
        true: Of the reference.
        found: Of the estimate.
    """

    matched: int
    true: int
    found: int


def beat_figures(
    reference_s: NDArray[np.float64], estimate_s: NDArray[np.float64], rules: BeatRules
) -> tuple[Mapping[str, float | None], Hits]:
    """`f`, `cmlt` and `amlt` of a track, and what the first is made of.

    A figure is None where there is nothing to find, which mir_eval gives 0 and a warning, and madmom 0 or 1.
    The F-measure is the same by both tools: pairs within the window are as many as there can be.

    Args:
        reference_s: Beats that are annotated, in seconds.
        estimate_s: Beats that are found.
        rules: `trim_s`, `window_s` and `tool` of them.
    """
    reference_s = mir_eval.beat.trim_beats(reference_s, rules.trim_s)
    estimate_s = mir_eval.beat.trim_beats(estimate_s, rules.trim_s)
    pairs = mir_eval.util.match_events(reference_s, estimate_s, rules.window_s) if len(estimate_s) else []
    hits = Hits(len(pairs), len(reference_s), len(estimate_s))
    cmlt = amlt = None
    if len(reference_s) > 1:
        cmlt = amlt = 0.0
        if len(estimate_s) > 1 and rules.tool == "madmom":
            cmlt, amlt = continuity(reference_s, estimate_s)
        elif len(estimate_s) > 1:
            _, cmlt, _, amlt = map(float, mir_eval.beat.continuity(reference_s, estimate_s))
    return {"f": f_measure([hits]), "cmlt": cmlt, "amlt": amlt}, hits


def f_measure(hits: Sequence[Hits]) -> float | None:
    """Of all beats of some tracks together (micro average); None where there is none to find."""
    matched, true, found = (sum(getattr(track, name) for track in hits) for name in ("matched", "true", "found"))
    return 2 * matched / (true + found) if true else None
