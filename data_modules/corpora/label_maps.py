"""Labels of sections as data sets have them to the seven functions; the maps are the tables in `maps/`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path

from data_modules.corpora.base import BadTrack
from data_modules.corpora.label_rows import Label
from data_modules.corpora.tables import read_rows
from data_modules.labels import FUNCTIONS

RULES = "functions"
"""The table of what a word of a label may begin with, that a `FunctionMap` ends with."""

_PREVIOUS = "previous"
_LETTER = re.compile(r"([A-Z])\1?[0-9]*'*")
"""A letter of similarity among functions. Two that differ are no letter here but a word that lacks its row: MR, GT."""

_PREFIXES = (
    *("alt", "big", "fade", "half", "inst", "instrumental", "int", "intro", "mini", "post", "pre", "quiet"),
    *("rhythmless", "bass", "drum", "drums", "gtr", "guitar", "organ", "piano", "sax", "synth", "vocal"),
)
"""What a rule may follow without a gap at the beginning of a word: those of Harmonix, their like and instruments."""

_APART = re.compile(r"[\s_-]+")


class FunctionMap:
    """Tables of labels, and below them the published rules on the words in a label.

    Case does not matter: CHORUS is a chorus. A rule fits where a word of the label begins as it says, or does so after
    one of a few prefixes such as `post`: `out` is in "fade-out", "outro" and "bigout", and not in "without". Spaces and
    underscores are as good as hyphens: "Pre Chorus" is a pre-chorus. Of a label with a row of its own as it is written
    that row counts. A letter of similarity (A, B', AA) that no row fits is its own label.

    Args:
        names: Of the tables in `maps/`, such as "harmonix"; where two have a row for a label, the first counts.
        table: A table of one's own that goes before them, as CSV with a row `label,function,basis`, in which a
            function is one of the seven or `previous`, the function of the section before.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: A row of a table is not as it should be.
    """

    def __init__(self, *names: str, table: Path | None = None) -> None:
        self._functions: dict[str, str] = {}
        self._read = []
        if table is not None:
            self._functions |= _read(table, "label")
            self._read.append(str(table))
        for name in names:
            for label, function in packaged(name).items():
                self._functions.setdefault(label, function)
        self._hyphened: dict[str, str] = {}
        for label, function in self._functions.items():
            self._hyphened.setdefault(_hyphened(label), function)
        begin = f"(?<![a-z])(?:{'|'.join(_PREFIXES)})?"
        self._rules = {re.compile(begin + re.escape(part)): to for part, to in packaged(RULES, "begins").items()}
        self._read += [f"data_modules/corpora/maps/{one}.csv" for one in (*names, RULES)]

    def function_of(self, label: str, source: str, previous: str | None = None) -> str | None:
        """The function of a section, or its letter; None where the section before decides and there is none.

        Args:
            label: As the data set has it.
            source: File and line to name in the message.
            previous: The function of the section before.

        Raises:
            BadTrack: No row fits the label.
        """
        name = label.strip().lower()
        hyphened = _hyphened(name)
        by_rule = (function for rule, function in self._rules.items() if rule.search(hyphened))
        function = self._functions.get(name) or self._hyphened.get(hyphened) or next(by_rule, None)
        # Words in capitals may look like letters, so letters come last.
        if function is None and not _LETTER.fullmatch(label):
            raise BadTrack(
                f"{source}: no function is known for the section {label!r}; looked in {', '.join(self._read)}: "
                f"name a table of your own with the row `{name},FUNCTION,inferred` as label_map"
            )
        return previous if function == _PREVIOUS else function or label

    def applied(self, rows: Iterable[Label]) -> list[Label]:
        """Rows with functions or letters for labels, in the order of time; those without any are left out.

        Raises:
            BadTrack: No row of the table fits a label.
        """
        result: list[Label] = []
        previous: str | None = None
        for row in rows:
            function = self.function_of(row.label, row.source, previous)
            if function is not None:
                result.append(replace(row, label=function))
            # What follows a silence is music: it has the function of the music before.
            previous = previous if function == "silence" else function
        return result


@cache
def packaged(name: str, column: str = "label") -> Mapping[str, str]:
    """A table in `maps/`: functions by label in lower case, in the order of the file.

    Args:
        name: Such as "rwc".
        column: What the first column is called.

    Raises:
        FileNotFoundError: There is no such table.
        ValueError: A row of it is not as it should be.
    """
    with as_file(files("data_modules.corpora") / "maps" / f"{name}.csv") as path:
        return _read(path, column)


def _hyphened(name: str) -> str:
    """A label of which the words are apart by single hyphens, whatever they were apart by."""
    return _APART.sub("-", name)


def _read(path: Path, column: str) -> dict[str, str]:
    if not path.is_file():
        raise FileNotFoundError(f"label_map: no such file: {path}")
    header = [column, "function", "basis"]
    rows = [(number, row) for number, row in read_rows(path, ",", "a label_map") if not row[0].startswith("#")]
    if not rows or rows[0][1] != header:
        line = f":{rows[0][0]}" if rows else ""
        raise ValueError(f"{path}{line}: the first row that is no comment must be {','.join(header)}")
    found: dict[str, str] = {}
    for number, row in rows[1:]:
        if len(row) != len(header) or row[1] not in (*FUNCTIONS, _PREVIOUS):
            raise ValueError(f"{path}:{number}: {','.join(row)!r} names none of {', '.join(FUNCTIONS)}, {_PREVIOUS}")
        if row[0].lower() in found:
            raise ValueError(f"{path}:{number}: {row[0]!r} has a row already")
        found[row[0].lower()] = row[1]
    return found
