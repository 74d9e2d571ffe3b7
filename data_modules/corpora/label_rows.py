"""Text files of labels, row by row, so that every error names file and line."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from data_modules.corpora.base import Absent, BadTrack, Kind
from data_modules.labels import check
from data_modules.spans import Spans

OVERRUN_S = 1.0
"""What ends later than the audio by no more than this may be cut: pressings and decoders differ in their last second.
More says that the audio is another."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf(inity)?", re.IGNORECASE)


class Row(NamedTuple):
    """A line that says something.

    Attributes:
        source: File and line, to name in a message.
        fields: Its columns, without the white space around them; at least one.
    """

    source: str
    fields: list[str]


@dataclass(frozen=True)
class Label:
    """A labelled stretch of time; an event ends where it starts.

    Attributes:
        source: File and line, to name in a message.
        start_s: In seconds.
        end_s: In seconds.
        label: As the file has it, or what was made of it.
        end_source: File and line of the end, where it is another.
    """

    source: str
    start_s: float
    end_s: float
    label: str
    end_source: str = ""


def rows(path: Path, delimiter: str = r"[\t ]+", most_columns: int = 0) -> Iterator[Row]:
    r"""The lines of a file that are neither blank nor comments (`#`); CR, LF and CRLF end a line.

    Args:
        path: A text file in UTF-8 (with or without a byte order mark).
        delimiter: A regular expression that parts the columns.
        most_columns: The last of so many takes all that is left of the line; 0 for any number.

    Raises:
        Absent: There is no such file.
        BadTrack: The file cannot be read, or holds no line of the kind.
    """
    empty = True
    for line, content in enumerate(map(str.strip, text_of(path).split("\n")), start=1):
        if content and not content.startswith("#"):
            empty = False
            fields = [content] if most_columns == 1 else re.split(delimiter, content, maxsplit=max(most_columns - 1, 0))
            yield Row(f"{path}:{line}", [field.strip() for field in fields])
    if empty:
        raise BadTrack(f"{path}: is empty")


def text_of(path: Path) -> str:
    """What a file in UTF-8 says, without a byte order mark, and with LF for every line end.

    Raises:
        Absent: There is no such file.
        BadTrack: It cannot be read; the message names the line of a byte that is not UTF-8.
    """
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError as error:
        raise Absent(f"{path}: no such file") from error
    except OSError as error:
        raise BadTrack(f"{path}: cannot be read ({error})") from error
    except UnicodeDecodeError as error:
        line = len(re.split(rb"\r\n|\n|\r", error.object[: error.start]))
        raise BadTrack(f"{path}:{line}: cannot be read, for it is not UTF-8 ({error})") from error


def is_number(text: str) -> bool:
    """Whether a text is a number, also in scientific notation; NaN and infinity are."""
    return _NUMBER.fullmatch(text) is not None


def number(text: str, source: str, is_time: bool = False) -> float:
    """A finite number, also in scientific notation.

    Args:
        text: What stands in the file.
        source: File and line to name in the message.
        is_time: Whether the message should call it a time in seconds.

    Raises:
        BadTrack: It is none.
    """
    if not is_number(text):
        raise BadTrack(f"{source}: {text!r} is no {'time in seconds' if is_time else 'number'}")
    value = float(text)
    if not math.isfinite(value):
        why = "a time is not a finite number: {!r}" if is_time else "{!r} is not a finite number"
        raise BadTrack(f"{source}: {why.format(text)}")
    return value


def spans(kind: Kind, labels: Iterable[Label], duration_s: float, overrun_s: float = 0.0) -> Spans:
    """Spans whose every row passes `labels.check`, alone and after the one before it.

    Beats that lie after the audio by no more than `OVERRUN_S` are left out, unless all do.

    Args:
        kind: What the labels are.
        labels: In the order of the file.
        duration_s: Length of the audio in seconds.
        overrun_s: The last span may run on after the audio by this much, and is cut there.

    Raises:
        BadTrack: As `labels.check`; the message names file and line.
    """
    kept = list(labels)
    if kind == "beat":
        # In their order first: a time that falls must not pass because it falls after the end.
        _check_rows(kind, kept, math.inf)
        kept = [one for one in kept if not duration_s < one.start_s <= duration_s + OVERRUN_S] or kept
    elif kept and kept[-1].start_s < duration_s < kept[-1].end_s <= duration_s + overrun_s:
        kept[-1] = replace(kept[-1], end_s=duration_s)
    _check_rows(kind, kept, duration_s)
    return _spans(kept)


def _check_rows(kind: Kind, labels: Sequence[Label], duration_s: float) -> None:
    for before, label in zip([None, *labels], labels, strict=False):
        source = label.end_source if label.end_source and label.end_s > duration_s else label.source
        check({kind: _spans(one for one in (before, label) if one is not None)}, duration_s, source)


def _spans(labels: Iterable[Label]) -> Spans:
    return Spans.of((label.start_s, label.end_s, label.label) for label in labels)
