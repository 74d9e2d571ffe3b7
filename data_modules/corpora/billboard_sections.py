"""Sections in `salami_chords.txt` of the Billboard annotations."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from data_modules.corpora.base import Absent
from data_modules.corpora.lab_files import read_events
from data_modules.corpora.label_rows import Label

_LETTER = re.compile(r"[A-Z]'*")
"""Of a section. Longer words in capitals are functions: VERSE."""
_HEADER = re.compile(r"^# (\w+): (.*?)\s*$", re.MULTILINE)


def header(path: Path) -> dict[str, str]:
    """What the comments at the top say: title, artist, metre, tonic.

    Raises:
        Absent: There is no such file.
    """
    if not path.is_file():
        raise Absent(f"{path}: no such file")
    return dict(_HEADER.findall(path.read_bytes().decode("utf-8-sig", errors="replace").replace("\r\n", "\n")))


def read_sections(path: Path, duration_s: float) -> list[Label]:
    """Sections from lines such as `7.35<tab>A, intro, | A:min | C:maj |, (guitar)`, to the next of them or `end`.

    A section begins where a letter, a function or both stand before the bars; its label is the function, or the
    letter if it has none. A phrase that begins with its bars goes on with the section before. Instruments, in
    brackets, and repetitions (`x2`) say nothing of sections.

    Args:
        path: The file.
        duration_s: Where the last section ends if no row says so.

    Raises:
        BadTrack: There is no such file, or a line does not begin with a time.
    """
    starts: list[Label] = []
    end: Label | None = None
    for row in read_events(path):
        words = [word.strip() for word in row.label.split("|")[0].split(",")]
        words = [word for word in words if word and not re.fullmatch(r"\(.*|.*\)|->|x\d+", word)]
        if not words:
            continue
        if words[0].lower() == "end":
            end = row
            break
        function = next((word for word in words if not _LETTER.fullmatch(word)), words[0])
        starts.append(replace(row, label=function))
    closed = [
        replace(row, end_s=following.start_s, end_source=following.source)
        for row, following in zip(starts, [*starts[1:], *([end] if end else [])], strict=False)
    ]
    return [*closed, *(replace(row, end_s=max(duration_s, row.start_s)) for row in starts[len(closed) :])]
