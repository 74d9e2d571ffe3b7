"""The files of the AIST Annotation (Goto, 2006) for the RWC databases: times in centiseconds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from data_modules.corpora.base import BadTrack
from data_modules.corpora.beat_files import count_in_bars
from data_modules.corpora.label_rows import Label, number, rows, spans
from data_modules.spans import Spans

_PER_S = 100.0
"""The annotation's time step is 10 ms."""

_DOWNBEAT, _NO_BEAT = 384, -1
"""The third column counts from the downbeat in 48ths of a quarter; it is 384 at the downbeat itself (mirdata's notes
on `rwc_classical`), and -1 where mirdata drops the row."""

_OVERRUN_S = 1.0
"""The last span may run on after the audio by this much, and is cut there; more says that the audio is another."""

FUNCTIONS = {
    "intro": "intro",
    "verse": "verse",
    "pre-chorus": "verse",
    "chorus": "chorus",
    "post-chorus": "chorus",
    "bridge": "bridge",
    "ending": "outro",
    "nothing": "silence",
}
"""The labels of sections in RWC Popular, without the letter of a variant ("chorus A"), to the study's functions.

Pre- and post-chorus go where the published maps for Harmonix put them."""

_SECTION = re.compile(r"(?P<name>.+?)(?: [A-Z])?")


def read_beats(path: Path, duration_s: float) -> Spans:
    """Beats from rows of `start end position`, in centiseconds.

    Positions in the bar are counted from the downbeats, as mirdata does: what the third column says between
    them depends on the metre.

    Raises:
        BadTrack: As `beat_files.read_beats`.
    """
    kept = []
    for row in rows(path):
        if len(row.fields) != 3:
            raise BadTrack(f"{path}:{row.line}: expected start, end and position, got {' '.join(row.fields)!r}")
        position = number(row.fields[2], path, row.line)
        if position != _NO_BEAT:
            kept.append((row.line, number(row.fields[0], path, row.line) / _PER_S, position == _DOWNBEAT))
    if not kept:
        raise BadTrack(f"{path}: says that there are no beats")
    positions = count_in_bars([is_downbeat for _, _, is_downbeat in kept])
    labels = (Label(line, at, at, label) for (line, at, _), label in zip(kept, positions, strict=True))
    return spans("beat", labels, duration_s, path)


def read_sections(path: Path, duration_s: float) -> Spans:
    """Sections from rows of `start end "label"`, in centiseconds, as the study's functions.

    A fourth column is a modulation, and rows without length are no sections: both are passed over.

    Raises:
        BadTrack: A row that cannot be read so, a label that is not in `FUNCTIONS`, or times as `labels.check`
            has it; the message names file and line.
    """
    return spans("section", _cut(_sections(path), duration_s), duration_s, path)


def read_chords(path: Path, duration_s: float) -> Spans:
    """Chords from rows of `start end label`, in seconds and Harte syntax (Cho and Bello, 2011).

    Raises:
        BadTrack: A row that cannot be read so, an unknown chord, or times as `labels.check` has it; the message
            names file and line.
    """
    return spans("chord", _cut(_intervals(path, r"[\t ]+", 3, 1.0), duration_s), duration_s, path)


def _sections(path: Path) -> Iterator[Label]:
    for line, start_s, end_s, text in _intervals(path, r"\t+", 4, _PER_S):
        match = _SECTION.fullmatch(text.strip('"').strip())
        if match is None or match["name"].lower() not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise BadTrack(f"{path}:{line}: section {text} is unknown; known are {known}, each with a letter or none")
        if end_s != start_s:
            yield Label(line, start_s, end_s, FUNCTIONS[match["name"].lower()])


def _intervals(path: Path, delimiter: str, most_columns: int, per_s: float) -> Iterator[Label]:
    for row in rows(path, delimiter):
        if not 3 <= len(row.fields) <= most_columns:
            raise BadTrack(f"{path}:{row.line}: expected start, end and label, got {' '.join(row.fields)!r}")
        start_s, end_s = (number(field, path, row.line) / per_s for field in row.fields[:2])
        yield Label(row.line, start_s, end_s, row.fields[2])


def _cut(labels: Iterable[Label], duration_s: float) -> list[Label]:
    """The labels, the last of them cut to the audio if it runs on for a little."""
    kept = list(labels)
    if kept and kept[-1].start_s < duration_s < kept[-1].end_s <= duration_s + _OVERRUN_S:
        kept[-1] = kept[-1]._replace(end_s=duration_s)
    return kept
