"""Corpus -> shards, index, mel statistics and card; stops and goes on, in parts if need be; says what it set aside."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from data_modules import SAMPLE_RATE, card
from data_modules.blocks import Format
from data_modules.card_text import report
from data_modules.corpora.base import Corpus, Item
from data_modules.processes import over_tracks
from data_modules.shard_writer import Shape, counts_of, is_damaged, is_whole, merge_index, write_shard
from data_modules.shards import is_address

_LOCK = ".lock"


def prepare(
    corpus: Corpus,
    out: Path,
    jobs: int = 0,
    format: Format | None = None,
    tracks_per_shard: int | None = None,
    shard_mb: int | None = None,
    part: str | None = None,
) -> None:
    """Turns a corpus into a folder that training reads: 24 kHz mono shards, one index, mel statistics, a card.

    Stopped and started again it goes on with what is missing or has become shorter; finished, it does nothing.
    Tracks that cannot be used are set aside and listed in `set_aside.tsv` with their reasons, kinds of label that a
    track lacks in `gaps.tsv`. `sha256sum -c SHA256SUMS` in the folder tells whether a shard was damaged since. It ends
    with how fast it was: audio seconds per second, in all and per process.

    Args:
        corpus: What to prepare: a name such as `tiny`, `pop909` or `folder` (an unknown name lists all) or a
            class path, with its own settings as `--corpus.root` and so on.
        out: The folder to write.
        jobs: Processes; 0 for one a core.
        format: How samples are stored: `int16` (the default, the fastest to read), or `flac` in independent blocks
            of ten seconds, lossless in about 60 % of the bytes.
        tracks_per_shard: Tracks in a shard, the unit of going on; 4 (the default), or more where tracks are many.
        shard_mb: Size in MB from which a shard goes on in another file (1024).
        part: `2/8` for the second of eight parts, which may be prepared at the same time, on machines that share
            `out`, as in an array of jobs. When all are done, `musicfm merge --out` makes one folder of them.
    """
    shape = {"format": format, "tracks_per_shard": tracks_per_shard, "shard_mb": shard_mb}
    _prepare(corpus, out, jobs, shape, wait=False, part=_part(part))


def merge(out: Path) -> None:
    """Makes one folder of parts that were prepared with `--part`: index, mel statistics, card.

    Args:
        out: The folder that all parts were written to.

    Raises:
        ValueError: A part has not been prepared to the end; the message names shards that are missing.
    """
    console = Console()
    if not (out / card.NAME).exists():
        raise FileNotFoundError(f"--out: {out} is no folder that `musicfm prepare --part` wrote (no {card.NAME})")
    count = card.num_shards(json.loads((out / card.NAME).read_text()))
    with _alone(out, wait=False):
        missing = [number for number in range(count) if not is_whole(out, number)]
        if missing:
            some = ", ".join(f"{number:05d}" for number in missing[:5])
            raise ValueError(
                f"--out: {len(missing)} of the {count} shards of {out} are missing or cut short ({some}"
                f"{', ...' if len(missing) > 5 else ''}); give the `musicfm prepare --part` that stopped again "
                f"(shard k is of part k modulo the number of parts, plus 1)"
            )
        _merge(out, count, console)
        report(out, console)


def folder_of(corpus: Corpus | None, root: str | Path | None) -> str | None:
    """Where the data of a run lie: `root`, or else `data/<name of the corpus>` in the working directory.

    A string, since a path would fold the slashes of an address.

    Raises:
        ValueError: A corpus is to be prepared at an address.
    """
    if root is None:
        return None if corpus is None else str(Path("data") / corpus.name)
    if corpus is not None and is_address(root):
        raise ValueError(f"data.root: {root} is an address; prepare data.corpus into a folder, and copy that there")
    return str(root)


def prepare_for_run(corpus: Corpus, folder: Path) -> None:
    """Prepares a corpus for a run that names it, as `prepare` does, unless that is done.

    Runs that start together wait for the one that prepares. Of a folder that is finished the data set itself is not
    needed any more: its name and its arguments say whether it is the one.

    Raises:
        ValueError: The folder was prepared from something else; the message names what differs.
    """
    if (folder / "index.parquet").exists() and card.is_of(corpus, folder):
        _say_done(folder, Console())
    else:
        _prepare(corpus, folder, 0, {}, wait=True)


def _prepare(
    corpus: Corpus,
    out: Path,
    jobs: int,
    wanted: Mapping[str, Any],
    wait: bool,
    part: tuple[int, int] | None = None,
) -> None:
    console = Console()
    corpus.fetch(console.print)
    items = corpus.items()
    if not items:
        raise ValueError(f"corpus {corpus.name}: no track to prepare")
    with _alone(out, wait, part):
        shape = card.settle(corpus, items, out, wanted)
        for remark in corpus.remarks():
            console.print(f"{corpus.name}: {escape(remark)}", highlight=False)
        size = shape.tracks_per_shard
        groups = {number: items[at : at + size] for number, at in enumerate(range(0, len(items), size))}
        if (out / "index.parquet").exists() and not any(is_damaged(out, number) for number in groups):
            _say_done(out, console)
            report(out, console)
        else:
            own = {number: group for number, group in groups.items() if part is None or number % part[1] == part[0]}
            _clear_up(out, None if part is None else own)
            speed = _write_shards(corpus, own, out, shape, jobs or os.cpu_count() or 1, console)
            if part is None:
                _merge(out, len(groups), console)
                report(out, console)
            else:
                console.print(f"part {part[0] + 1} of {part[1]} is done; after all: musicfm merge --out {out}")
            if speed:
                console.print(speed, highlight=False)


def _part(text: str | None) -> tuple[int, int] | None:
    """Number, from 0, and count of parts, of "2/8"."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise ValueError(f"--part: {text!r} is not a part such as 2/8, from 1/8 to 8/8")
    return int(found[1]) - 1, int(found[2])


def _merge(out: Path, count: int, console: Console) -> None:
    for track, reason in merge_index(out, count):
        console.print(f"[yellow]set aside[/] {escape(track)}: {escape(reason)}", highlight=False)


def _say_done(out: Path, console: Console) -> None:
    console.print(f"{out} is prepared already: nothing to do")


@contextlib.contextmanager
def _alone(out: Path, wait: bool, part: tuple[int, int] | None = None) -> Iterator[None]:
    """Keeps other processes from preparing the same folder, or the same part of it; names a full disk."""
    if out.exists() and not (out / _LOCK).exists():
        _refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        _lock(stack, out / _LOCK, wait, fcntl.LOCK_EX if part is None else fcntl.LOCK_SH)
        if part is not None:
            _lock(stack, out / f"{_LOCK}-{part[0] + 1}-of-{part[1]}", wait, fcntl.LOCK_EX)
        _refuse_foreign(out)  # once nobody else is at work on it: files come and go until then
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise OSError(
                error.errno,
                f"the disk is full while writing to {out}; finished shards are kept: "
                f"free some space and give the same command again",
            ) from error


def _lock(stack: contextlib.ExitStack, path: Path, wait: bool, kind: int) -> None:
    lock = stack.enter_context(path.open("w"))
    try:
        fcntl.flock(lock, kind | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise OSError(
            f"another `musicfm prepare` is at work on {path.parent}; wait for it, or name another --out"
        ) from None


def _clear_up(out: Path, numbers: Mapping[int, object] | None) -> None:
    """Removes what a process left that was killed; with numbers, of those shards alone."""
    for stale in [*(out.glob(".*.part") if numbers is None else ()), *(out / "shards").glob(".*.part")]:
        number = re.match(r"\.(\d+)", stale.name)
        if numbers is None or (number and int(number[1]) in numbers):
            stale.unlink()


def _refuse_foreign(out: Path) -> None:
    # Hidden files are the lock, and what another process is writing aside at this moment.
    names = {file.name for file in out.iterdir() if not file.name.startswith(".")}
    if names and card.NAME not in names:
        raise ValueError(f"--out: {out} holds other files; name a new or an empty folder")


def _write_shards(
    corpus: Corpus, groups: Mapping[int, Sequence[Item]], out: Path, shape: Shape, jobs: int, console: Console
) -> str:
    """Writes the shards that are missing; how fast that was, and nothing if none was."""
    whole = [number for number in groups if is_whole(out, number)]
    begun = (
        sum(len(groups[number]) for number in whole),
        sum(counts_of(out, number)[0] for number in whole) / SAMPLE_RATE,
    )
    missing = sorted(set(groups) - set(whole))
    parts = [(len(groups[number]), (corpus, groups[number], out, number, shape)) for number in missing]
    began_s = time.monotonic()
    shards = over_tracks(
        write_shard, parts, lambda done: done[0] / SAMPLE_RATE, jobs, f"prepare {corpus.name}", console, begun
    )
    audio_s = sum(num_samples for num_samples, _ in shards) / SAMPLE_RATE
    wall_s, processes = time.monotonic() - began_s, min(jobs, len(missing))
    if not audio_s:
        return ""
    return (
        f"speed: {audio_s / wall_s:,.0f} audio seconds per second, {audio_s / wall_s / processes:,.0f} per process "
        f"({audio_s:,.0f} s in {wall_s:,.1f} s, {processes} process{'' if processes == 1 else 'es'})"
    )
