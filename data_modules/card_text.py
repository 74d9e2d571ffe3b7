"""The dataset card of a prepared folder, for people: on the screen in short, and as `card.md`."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from rich.console import Console

from data_modules import SAMPLE_RATE
from data_modules.card import shape_of
from data_modules.corpora.base import KINDS, SPLITS
from data_modules.shard_writer import FAULTY, SUMS
from data_modules.shards import Prepared, written_aside

NAME = "card.md"
_HOPS = (240, 320)
"""Of the study's foundation models, so that none of them has to measure when it starts; the first is said."""
_SHOWN = 12
"""Rows of a table of what is found in files; the rest are counted together."""


def report(out: Path, console: Console) -> None:
    """Says what a finished folder holds, measures the mel statistics if need be, and writes the card."""
    prepared = Prepared(out)
    index = prepared.index
    splits = np.asarray(index.splits.to_pylist(), dtype=object)
    hours: dict[str, tuple[int, float]] = {
        split: (int((splits == split).sum()), float(index.num_samples_E[splits == split].sum()) / SAMPLE_RATE / 3600)
        for split in SPLITS
    }
    for split, (tracks, length_h) in hours.items():
        console.print(f"{split:>5}: {tracks:4d} tracks, {length_h:.2f} h")
    aside = [line.split("\t") for line in (out / "set_aside.tsv").read_text().splitlines()]
    console.print(f"set aside: {len(aside)} of {prepared.card['num_items']} tracks (see {out / 'set_aside.tsv'})")
    gaps = [line.split("\t") for line in (out / "gaps.tsv").read_text().splitlines()]
    for kind in KINDS:
        states = [line[-1] for line in gaps if line[1] == kind]
        if states:
            faulty = f", {states.count(FAULTY)} of them since theirs are faulty" if FAULTY in states else ""
            console.print(
                f"without {kind} labels: {len(states)} tracks{faulty} (why, with file and line: {out / 'gaps.tsv'})"
            )
    if hours["train"][0]:
        # Torch takes seconds to import, which neither `--help` nor the processes that render should wait for.
        from data_modules.statistics import mel_statistics

        statistics, *_ = [mel_statistics(prepared, hop_length) for hop_length in _HOPS]
        mel = f"mel statistics of the training split: mean {statistics.mean:.3f}, std {statistics.std:.3f}"
    else:
        mel = "no track for training, so no mel statistics: to test on, with those of where it was trained"
    console.print(mel)
    console.print(f"licence: {prepared.card['licence']}")
    text = "".join(line + "\n" for line in _lines(prepared, hours, aside, mel))
    if not (out / NAME).exists() or (out / NAME).read_text() != text:
        with written_aside(out / NAME, "w") as file:
            file.write(text)
    console.print(f"written: {out}")


def _lines(
    prepared: Prepared, hours: dict[str, tuple[int, float]], aside: Sequence[Sequence[str]], mel: str
) -> Iterator[str]:
    card, shape = prepared.card, shape_of(prepared.card)
    yield from (f"# {card['corpus']}", "", "Written by `musicfm prepare`.", "")
    yield from (f"- licence: {card['licence']}", *([f"- note: {card['note']}"] if card["note"] else []))
    yield f"- stored as: {shape.format}, {SAMPLE_RATE} Hz, one channel, in blocks of ten seconds"
    yield f"- {mel}"
    yield f"- index: sha256 {hashlib.sha256((prepared.root / 'index.parquet').read_bytes()).hexdigest()}"
    if (prepared.root / SUMS).exists():
        yield f"- shards: `sha256sum -c {SUMS}`"
    yield from ("", "| split | tracks | hours |", "|---|---|---|")
    yield from (f"| {split} | {tracks} | {length_h:.2f} |" for split, (tracks, length_h) in hours.items())
    yield f"| together | {sum(n for n, _ in hours.values())} | {sum(h for _, h in hours.values()):.2f} |"
    file = prepared.root / "index.parquet"
    for column, title in (("origin", "made from"), ("licence", "licence that the files tell")):
        if column in pq.read_schema(file).names:
            told = pq.read_table(file, columns=[column])[column].to_pylist()
            yield from _table(title, (value or "not told" for value in told))
    if aside:
        yield from _table("set aside, of " + str(card["num_items"]), (_kind_of(row[1]) for row in aside))


def _table(title: str, values: Iterable[str]) -> Iterator[str]:
    counts = Counter(values).most_common()
    yield from ("", f"| {title} | tracks |", "|---|---|")
    yield from (f"| {value.replace('|', ' ')} | {count} |" for value, count in counts[:_SHOWN])
    if rest := counts[_SHOWN:]:
        yield f"| {len(rest)} others | {sum(count for _, count in rest)} |"


def _kind_of(reason: str) -> str:
    """A reason without the file and the figures in it, so that equal ones are counted together."""
    words = re.sub(r"^.*?: (?=[a-z])", "", reason)
    return re.sub(r"[(:].*$", "", words).strip()
