"""Tables in text files, row by row with the number of the line."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

_LONGEST_FIELD = 1 << 24
"""Characters. Biographies in tables of metadata may exceed the 128 Ki that Python's csv allows unasked."""


def read_rows(
    path: Path, delimiter: str, expected: str, quoted: bool = True, errors: Literal["strict", "replace"] = "strict"
) -> Iterator[tuple[int, list[str]]]:
    """The rows of a table, without blank lines.

    Args:
        path: UTF-8, with or without a byte-order mark, any line ends.
        delimiter: Between columns.
        expected: What the user should have there, for the message if it is missing.
        quoted: Whether double quotes enclose fields, which may then hold delimiters and line ends.
        errors: What becomes of bytes that are not UTF-8: they are refused, or replaced.

    Yields:
        The number of the line on which the row ends, from 1, and its columns.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not UTF-8, or no table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {expected}")
    before = csv.field_size_limit(_LONGEST_FIELD)
    try:
        with path.open(encoding="utf-8-sig", errors=errors, newline="") as file:
            rows = csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE)
            try:
                for row in rows:
                    if any(cell.strip() for cell in row):
                        yield rows.line_num, row
            except csv.Error as error:
                raise ValueError(f"{path}:{rows.line_num}: cannot be read as a table ({error})") from error
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}: after line {rows.line_num}: is not UTF-8 ({error})") from error
    finally:
        csv.field_size_limit(before)


def read_records(path: Path, columns: Collection[str], expected: str) -> list[dict[str, str]]:
    """The rows of a table of metadata, by the names of its columns in its first row.

    Names in them are compared with each other and no more: what is not UTF-8 does not matter.

    Args:
        path: Commas between columns, any line ends.
        columns: Those that it must have.
        expected: What the user should have there, for the message if it is missing.

    Returns:
        Rows that have "" where they end before a column.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no table, or lacks a column.
    """
    header: list[str] | None = None
    found = []
    for line, row in read_rows(path, ",", expected, errors="replace"):
        if header is None:
            header = [name.strip() for name in row]
            lacking = [name for name in columns if name not in header]
            if lacking:
                raise ValueError(f"{path}:{line}: the first row names no column {', '.join(lacking)}")
        else:
            found.append(dict.fromkeys(header, "") | dict(zip(header, map(str.strip, row), strict=False)))
    if header is None and columns:
        raise ValueError(f"{path}: is empty; expected {expected}")
    return found


def version(path: Path) -> tuple[int, int]:
    """What changes when a file does: its time in ns and its size in bytes; zeros where there is none.

    Readers keep a table in memory once a process, and this with it, so that an edited file is read again.
    """
    if not path.is_file():
        return 0, 0
    status = path.stat()
    return status.st_mtime_ns, status.st_size
