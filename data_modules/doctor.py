"""`musicfm doctor`: what is missing, duplicated, mis-timed or unreadable in a corpus, before anything is made of it."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_modules.corpora.base import KINDS, SPLITS, Corpus, Item, Kind
from data_modules.examination import Examined, examine
from data_modules.processes import over_tracks
from data_modules.shards import written_aside

_PART = 4
"""Tracks that a process takes at a time."""
_SHOWN = 20
"""Lines of one kind of finding on the screen; the report has them all."""
_CLIPPED = 0.01
"""Share of samples at full scale from which a track is named as clipped."""
_COLUMNS = (
    *("track", "group", "split", "state", "seconds", "kinds", "silent", "clipped", "audio"),
    *("problem", "doubts", "gaps"),
)


def doctor(corpus: Corpus, out: Path | None = None, jobs: int = 0) -> None:
    """Loads every track of a corpus and says what is wrong; nothing is changed or prepared.

    Tracks that cannot be used, labels that are at fault, tracks that annotations or lists name and that are not there,
    tracks that are there twice, labels that are doubtful (a tempo that jumps, annotations that end long before the
    audio), a group in two splits, or another number of tracks than the data set holds are wrong. Kinds of label that
    are not annotated, or are left out though no file is at fault, and clipped audio are told, and are not.

    Args:
        corpus: What to look at: a name such as `tiny`, `pop909` or `folder` (an unknown name lists all) or a
            class path, with its own settings as `--corpus.root` and so on.
        out: A file for the whole report, tab-separated, one row a track.
        jobs: Processes; 0 for one a core.

    Raises:
        SystemExit: With 1 if anything is wrong.
    """
    console = Console()
    corpus.fetch(console.print)
    items = corpus.items()
    for remark in corpus.remarks():
        console.print(f"{corpus.name}: {remark}", markup=False, highlight=False)
    found = _examined(corpus, items, jobs or os.cpu_count() or 1, console)
    twins = _twins(found)
    absent = _absent(corpus, items)
    wrong = _report(corpus, found, absent, twins, console)
    if out is not None:
        _write(found, absent, twins, out)
        console.print(f"written: {out}", markup=False, highlight=False)
    if wrong:
        raise SystemExit(1)


def _examined(corpus: Corpus, items: Sequence[Item], jobs: int, console: Console) -> list[Examined]:
    """Every track, in the order of the corpus."""
    parts = [(items[at : at + _PART], at) for at in range(0, len(items), _PART)]
    numbered = [(len(part), (corpus, part, at)) for part, at in parts]
    found: dict[int, Examined] = {}
    for first, results in over_tracks(_part, numbered, _seconds, jobs, f"doctor {corpus.name}", console):
        found.update(enumerate(results, start=first))
    return [found[number] for number in sorted(found)]


def _part(corpus: Corpus, items: Sequence[Item], first: int) -> tuple[int, list[Examined]]:
    return first, examine(corpus, items)


def _seconds(result: tuple[int, list[Examined]]) -> float:
    return sum(one.duration_s for one in result[1])


def _twins(found: Sequence[Examined]) -> dict[int, Examined]:
    """For each track with the same audio as an earlier one, by its place: that earlier one."""
    first: dict[str, Examined] = {}
    twins = {}
    for number, one in enumerate(found):
        if one.audio and first.setdefault(one.audio, one) is not one:
            twins[number] = first[one.audio]
    return twins


def _twin_line(one: Examined, twin: Examined) -> str:
    text = f"the same audio as {twin.item.track_id}"
    if one.item.split != twin.item.split:
        text += f", which is in another split ({one.item.split} and {twin.item.split})"
    elif one.item.group != twin.item.group:
        text += ", which is of another group"
    return text


def _absent(corpus: Corpus, items: Sequence[Item]) -> list[str]:
    """What annotations or lists name, and the corpus has not."""
    return sorted(set(corpus.named() or ()) - {item.track_id for item in items})


def _report(
    corpus: Corpus,
    found: Sequence[Examined],
    absent: Sequence[str],
    twins: Mapping[int, Examined],
    console: Console,
) -> bool:
    """Prints all that was found; whether anything is wrong."""
    usable = [one for one in found if one.problem is None]
    wrong = {
        "not as many tracks as there should be": _miscounted(corpus, len(found)),
        "annotated or listed, but not there": absent,
        "cannot be used": [f"{one.item.track_id}: {one.problem}" for one in found if one.problem is not None],
        "labels that cannot be used": [
            f"{one.item.track_id}: {kind}: {fault}" for one in usable for kind, fault in one.faults.items()
        ],
        "there twice": [
            f"{found[number].item.track_id}: {_twin_line(found[number], twin)}" for number, twin in twins.items()
        ],
        "named twice": _repeated(one.item.track_id for one in found),
        "a group in more than one split": _divided([one.item for one in found]),
        "doubtful": [f"{one.item.track_id}: {doubt}" for one in usable for doubt in one.doubts],
    }
    told = {
        "clipped": [
            f"{one.item.track_id}: {one.clipped:.1%} of samples at full scale"
            for one in usable
            if one.clipped > _CLIPPED
        ],
        **{f"without {kind} labels": _reasons(kind, usable) for kind in KINDS},
    }
    for title, lines in {**wrong, **told}.items():
        _show(title, lines, "red" if title in wrong else "yellow", console)
    if usable:
        lengths_s = [one.duration_s for one in usable]
        silent = sum(one.silent * one.duration_s for one in usable) / sum(lengths_s)
        clipped = sum(one.clipped * one.duration_s for one in usable) / sum(lengths_s)
        console.print(
            f"tracks last {min(lengths_s):.1f} to {max(lengths_s):.1f} s, half of them at most "
            f"{statistics.median(lengths_s):.1f} s; {silent:.1%} of the audio is silent, {clipped:.2%} at full scale",
            highlight=False,
        )
    console.print(_counts(corpus, found))
    said = [f"{title} {len(lines)}" for title, lines in wrong.items() if lines]
    console.print(
        f"{corpus.name}: {'to be looked at: ' + ', '.join(said) if said else 'nothing is wrong'}", highlight=False
    )
    return bool(said)


def _miscounted(corpus: Corpus, num_found: int) -> list[str]:
    if num_found == 0:
        return [f"{corpus.name} has none"]
    if corpus.expected_tracks is None or corpus.expected_tracks == num_found:
        return []
    return [f"{num_found} are there, but {corpus.name} should hold {corpus.expected_tracks}"]


def _expected(corpus: Corpus) -> str:
    """How many tracks there should be: as published, else those that are named."""
    named = corpus.named()
    if corpus.expected_tracks is not None:
        return str(corpus.expected_tracks)
    return "open" if named is None else str(len(named))


def _repeated(names: Iterable[str]) -> list[str]:
    return [f"{name}: {count} tracks have this name" for name, count in Counter(names).items() if count > 1]


def _divided(items: Sequence[Item]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for item in items:
        splits.setdefault(item.group, set()).add(item.split)
    return [f"{group}: in {' and '.join(sorted(names))}" for group, names in splits.items() if len(names) > 1]


def _reasons(kind: Kind, usable: Sequence[Examined]) -> list[str]:
    """Tracks that lack a kind which others carry, with why; not those whose labels are at fault."""
    if not any(kind in one.kinds or kind in one.lacking for one in usable):
        return []
    lacking = [one for one in usable if kind not in one.kinds and kind not in one.faults]
    return [f"{one.item.track_id}: {one.gaps.get(kind, 'not annotated')}" for one in lacking]


def _show(title: str, lines: Sequence[str], colour: str, console: Console) -> None:
    if not lines:
        return
    console.print(f"{title}: {len(lines)}", style=colour, markup=False, highlight=False)
    for line in lines[:_SHOWN]:
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    if len(lines) > _SHOWN:
        console.print(f"  and {len(lines) - _SHOWN} more; --out FILE takes all", markup=False, highlight=False)


def _counts(corpus: Corpus, found: Sequence[Examined]) -> Table:
    """Tracks found, expected, usable and labelled, in all and by split, with their hours."""
    table = Table(show_edge=False, pad_edge=False)
    kinds = [kind for kind in KINDS if any(kind in one.kinds or kind in one.lacking for one in found)]
    for title in ("", "found", "expected", "usable", "hours", *kinds):
        table.add_column(title, justify="right" if title else "left")
    for name in ("all", *SPLITS):
        part = [one for one in found if name in ("all", one.item.split)]
        usable = [one for one in part if one.problem is None]
        expected = _expected(corpus) if name == "all" else ""
        hours = sum(one.duration_s for one in usable) / 3600
        labelled = [str(sum(kind in one.kinds for one in usable)) for kind in kinds]
        table.add_row(name, str(len(part)), expected, str(len(usable)), f"{hours:.2f}", *labelled)
    return table


def _state(one: Examined, doubts: Sequence[str]) -> str:
    if one.problem is not None:
        return "unusable"
    return "faulty" if one.faults else "doubtful" if doubts else "good"


def _write(found: Sequence[Examined], absent: Sequence[str], twins: Mapping[int, Examined], out: Path) -> None:
    with written_aside(out, "w") as file:
        file.write("\t".join(_COLUMNS) + "\n")
        for number, one in enumerate(found):
            doubts = [*one.doubts, *([_twin_line(one, twins[number])] if number in twins else [])]
            row = (
                *(one.item.track_id, one.item.group, one.item.split),
                _state(one, doubts),
                *(f"{one.duration_s:.3f}", " ".join(one.kinds), f"{one.silent:.4f}", f"{one.clipped:.6f}", one.audio),
                *(one.problem or "", "; ".join(doubts), "; ".join(f"{k}: {why}" for k, why in one.lacking.items())),
            )
            file.write("\t".join(row) + "\n")
        for name in absent:
            file.write("\t".join((name, "", "", "absent", *[""] * (len(_COLUMNS) - 4))) + "\n")
