"""The JAMS files of GTZAN-Rhythm: beats and downbeats as two annotations of one file.

They are of an early version of JAMS: the kind stands in `sandbox.annotation_type`, which the jams package does
not look at, so they are read as the JSON they are.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from data_modules.corpora.base import Absent, BadTrack
from data_modules.corpora.beat_files import count_in_bars
from data_modules.corpora.label_rows import Label, number, spans
from data_modules.spans import Spans

_SAME_S = 0.05
"""A downbeat is the beat that lies within this of it: less than a third of the shortest beat that people tap."""


def read_beats(path: Path, duration_s: float) -> Spans:
    """Beats and their positions in the bar, counted from the downbeats.

    Args:
        path: The file.
        duration_s: Length of the audio in seconds.

    Returns:
        Events; each label is a position, or "?" where the file does not say.

    Raises:
        BadTrack: The file cannot be read so, holds no beats, or has a downbeat where there is no beat; times
            that fall, are no numbers, or lie outside the audio. The message names the file and the observation.
    """
    beats_s, downbeats_s = _times_s(path, "beat"), _times_s(path, "downbeat")
    if not beats_s:
        raise Absent(f"{path}: holds no annotation of type 'beat'")
    is_downbeat = np.zeros(len(beats_s), dtype=bool)
    for at_s in downbeats_s:
        nearest = int(np.argmin(np.abs(np.asarray(beats_s) - at_s)))
        if abs(beats_s[nearest] - at_s) > _SAME_S:
            raise BadTrack(f"{path}: there is a downbeat but no beat at {at_s:.3f} s")
        is_downbeat[nearest] = True
    positions = count_in_bars(is_downbeat.tolist())
    places = enumerate(zip(beats_s, positions, strict=True), start=1)
    found = (Label(_source(path, "beat", place), at, at, label) for place, (at, label) in places)
    return spans("beat", found, duration_s)


def _times_s(path: Path, kind: str) -> list[float]:
    try:
        annotations = json.loads(path.read_text("utf-8"))["annotations"]
        data = [one["data"] for one in annotations if one.get("sandbox", {}).get("annotation_type") == kind]
        times = [str(observation["time"]) for observations in data[:1] for observation in observations]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadTrack(f"{path}: cannot be read as a JAMS file of GTZAN-Rhythm ({error!r})") from error
    return [number(text, _source(path, kind, place)) for place, text in enumerate(times, start=1)]


def _source(path: Path, kind: str, place: int) -> str:
    return f"{path}: {kind}, observation {place}"
