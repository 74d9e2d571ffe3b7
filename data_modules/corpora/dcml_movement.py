"""Reads one movement from the converted tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_modules.corpora import dcml_harmony
from data_modules.corpora.dcml_harmony import Harmony
from data_modules.corpora.dcml_score import Bar, NoteTable
from data_modules.corpora.dcml_source import MISSING, read_rows


@dataclass(frozen=True)
class Movement:
    """What the tables know of a movement.

    Attributes:
        bars: In the order of the notation.
        notes: Without grace notes.
        harmonies: Empty where no expert labelled it.
        content: For each bar number, a value that is the same for bars with the same notes.
        minor: Whether the piece is in minor; None where no expert says so.
    """

    bars: list[Bar]
    notes: NoteTable
    harmonies: list[Harmony]
    content: dict[int, int]
    minor: bool | None


def read(store: Path, movement: str) -> Movement:
    """Reads a movement, such as "corelli/op01n01a".

    Raises:
        ValueError: The tables do not know it, or hold something that cannot be read as music.
    """
    bars = _bars(read_rows(store, "measures", movement))
    table = read_rows(store, "notes", movement)
    if not bars or table.num_rows == 0:
        raise ValueError("no bars, or no notes, in the tables")
    notes = _notes(table)
    labels = read_rows(store, "expanded", movement)
    return Movement(bars, notes, _harmonies(labels), _content(bars, notes), _minor(labels))


def _bars(table: pa.Table) -> list[Bar]:
    bars: list[Bar] = []
    doubled = False  # whether the bar line before is a double one
    for row in table.to_pylist():
        num, den = (int(part) for part in row["timesig"].split("/"))
        bars.append(
            Bar(
                number=row["mc"],
                length_q=row["act_dur"],
                offset_q=row["mc_offset"],
                metre=(num, den),
                keysig=row["keysig"],
                next=tuple(int(part) for part in (row["next"] or "-1").split(",")),
                opens=doubled or row["repeats"] == "start" or row["markers"] in ("segno", "coda", "codab"),
                closes=row["repeats"] == "end" or row["markers"] == "fine" or row["jump_bwd"] is not None,
                volta=max(row["volta"], 0),
            )
        )
        doubled = row["barline"] == "double"
    return bars


def _numpy(table: pa.Table, column: str) -> NDArray[np.int64]:
    return table[column].to_numpy().astype(np.int64)


def _notes(table: pa.Table) -> NoteTable:
    by_bar = np.argsort(_numpy(table, "mc"), kind="stable")
    return NoteTable(
        bar=_numpy(table, "mc")[by_bar],
        onset_q=table["mc_onset"].to_numpy()[by_bar],
        length_q=table["duration"].to_numpy()[by_bar],
        pitch=_numpy(table, "midi")[by_bar],
        staff=_numpy(table, "staff")[by_bar],
        tied=_numpy(table, "tied")[by_bar],
    )


def _content(bars: list[Bar], notes: NoteTable) -> dict[int, int]:
    same: dict[frozenset[tuple[float, int]], int] = {}
    content = {}
    for bar in bars:
        a, b = np.searchsorted(notes.bar, [bar.number, bar.number + 1])
        pairs = zip(notes.onset_q[a:b].round(3).tolist(), notes.pitch[a:b].tolist(), strict=True)
        content[bar.number] = same.setdefault(frozenset(pairs), len(same))
    return content


def _harmonies(table: pa.Table) -> list[Harmony]:
    harmonies = []
    for row in table.to_pylist():
        tonic, minor = dcml_harmony.tonic(row["globalkey"], row["localkey"])
        label = None
        if row["numeral"] == "@none":
            label = "N"
        elif row["chord_type"] is not None:
            tones = [int(tone) for tone in (row["chord_tones"] or "").split(",") if tone]
            inverted = row["figbass"] not in (MISSING, 7)
            label = dcml_harmony.chord(tonic, row["chord_type"], row["root"], row["bass_note"], tones, inverted)
        harmonies.append(Harmony(row["mc"], row["mc_onset"], label, dcml_harmony.key(tonic, minor)))
    return harmonies


def _minor(table: pa.Table) -> bool | None:
    return table["globalkey"][0].as_py()[0].islower() if table.num_rows else None
