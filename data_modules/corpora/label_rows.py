"""Text files of labels, row by row, so that every error names file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from data_modules.corpora.base import BadTrack, Kind
from data_modules.labels import check
from data_modules.spans import Spans


class Row(NamedTuple):
    """A line that says something.

    Attributes:
        line: Its number in the file, from 1.
        fields: Its columns, without the white space around them; at least one.
    """

    line: int
    fields: list[str]


class Label(NamedTuple):
    """A span as a line of a file gives it; an event ends where it starts."""

    line: int
    start_s: float
    end_s: float
    label: str


def rows(path: Path, delimiter: str = r"[\t ]+") -> Iterator[Row]:
    r"""The lines of a file that are neither blank nor comments (`#`); CR, LF and CRLF end a line.

    Args:
        path: A text file in UTF-8 (with or without a byte order mark).
        delimiter: A regular expression that parts the columns.

    Raises:
        BadTrack: The file cannot be read, or holds no line of the kind.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadTrack(f"{path}: cannot be read ({error})") from error
    empty = True
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        content = line.strip()
        if content and not content.startswith("#"):
            empty = False
            yield Row(number, [field.strip() for field in re.split(delimiter, content)])
    if empty:
        raise BadTrack(f"{path}: is empty")


def number(text: str, path: Path, line: int) -> float:
    """A finite number.

    Raises:
        BadTrack: It is none; the message names file and line.
    """
    try:
        value = float(text)
    except ValueError:
        raise BadTrack(f"{path}:{line}: {text!r} is no number") from None
    if not math.isfinite(value):
        raise BadTrack(f"{path}:{line}: {text!r} is not a finite number")
    return value


def spans(kind: Kind, labels: Iterable[Label], duration_s: float, path: Path) -> Spans:
    """Spans whose every row passes `labels.check`, alone and after the one before it.

    Args:
        kind: What the labels are.
        labels: In the order of the file.
        duration_s: Length of the audio in seconds.
        path: The file that they come from.

    Raises:
        BadTrack: As `labels.check`; the message names file and line.
    """
    kept = list(labels)
    for before, label in zip([None, *kept], kept, strict=False):
        pair = [one[1:] for one in (before, label) if one is not None]
        check({kind: Spans.of(pair)}, duration_s, f"{path}:{label.line}")
    return Spans.of(label[1:] for label in kept)
