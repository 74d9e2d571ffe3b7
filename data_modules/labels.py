"""What each kind of label may be, and the check that every label passes when it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping

import mir_eval
import numpy as np

from data_modules.corpora.base import KINDS, BadTrack, Kind
from data_modules.spans import Spans

FUNCTIONS = ("intro", "verse", "chorus", "bridge", "inst", "outro", "silence")
"""The seven functions of sections in the study (SpecTNT's on Harmonix)."""

_LETTER = re.compile(r"[A-Z]{1,2}[0-9]*'*")
"""SALAMI's small sections go from a to zz, the letters of our own scores from A to Z, A1, ..."""
_BEAT = re.compile(r"[1-9][0-9]{0,8}|\?")
_SLACK_S = 0.05
"""Labels may overrun the audio by this much: annotation tools round, encoders pad and trim."""


def is_letter(label: str) -> bool:
    """Whether a section label is a letter of similarity (A, B, A') rather than a function."""
    return _LETTER.fullmatch(label) is not None


def check(labels: Mapping[Kind, Spans], duration_s: float, source: str) -> None:
    """Checks every label of a track.

    Args:
        labels: Spans by kind.
        duration_s: Length of the track's audio in seconds.
        source: The file or track to name in the message.

    Raises:
        BadTrack: Times that fall, are not finite or lie outside the track; overlapping spans; a label
            that its kind does not know.
    """
    for kind, spans in labels.items():
        if kind not in KINDS:
            raise BadTrack(f"{source}: unknown kind of label {kind!r}; known are {', '.join(KINDS)}")
        _check_times(kind, spans, duration_s, source)
        for start_s, _, label in spans:
            problem = _problem(kind, label)
            if problem:
                raise BadTrack(f"{source}: {kind} at {start_s:.3f} s: {problem}")


def _check_times(kind: Kind, spans: Spans, duration_s: float, source: str) -> None:
    starts_s, ends_s = spans.starts_s, spans.ends_s
    if not (np.isfinite(starts_s).all() and np.isfinite(ends_s).all()):
        raise BadTrack(f"{source}: {kind}: a time is not a finite number")
    if len(spans) == 0:
        return
    if starts_s.min() < 0:
        raise BadTrack(f"{source}: {kind}: a time before the start of the track, {starts_s.min():.3f} s")
    if ends_s.max() > duration_s + _SLACK_S:
        raise BadTrack(
            f"{source}: {kind}: a time beyond the end of the track, {ends_s.max():.3f} s of {duration_s:.3f} s"
        )
    if kind == "beat":
        if not np.array_equal(starts_s, ends_s):
            raise BadTrack(f"{source}: beat: beats are instants, but one has a length")
        falls = np.flatnonzero(np.diff(starts_s) <= 0)
    else:
        if (ends_s <= starts_s).any():
            at_s = starts_s[np.argmax(ends_s <= starts_s)]
            raise BadTrack(f"{source}: {kind}: the span at {at_s:.3f} s does not end after it starts")
        if kind == "tag":
            return
        falls = np.flatnonzero(starts_s[1:] < ends_s[:-1] - 1e-6)
    if len(falls):
        at_s = starts_s[falls[0] + 1]
        raise BadTrack(f"{source}: {kind}: times must rise, but {at_s:.3f} s comes before what precedes it is over")


def _problem(kind: Kind, label: str) -> str | None:
    if kind == "beat" and not _BEAT.fullmatch(label):
        return f"{label!r} is no position in a bar (1, 2, ... or ?)"
    if kind == "chord":
        try:
            mir_eval.chord.encode(label)
        except mir_eval.chord.InvalidChordException as error:
            return f"{label!r} is no chord in Harte syntax ({error})"
    if kind == "key":
        try:
            mir_eval.key.validate_key(label)
        except ValueError as error:
            return f"{label!r} is no key ({error})"
    if kind == "section" and label not in FUNCTIONS and not is_letter(label):
        return f"{label!r} is neither one of {', '.join(FUNCTIONS)} nor a letter"
    if kind == "tag" and not label.strip():
        return "an empty tag"
    return None
