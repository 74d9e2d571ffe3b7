"""Corpus -> shards, index and mel statistics; stops and goes on, and says what it set aside."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from data_modules import SAMPLE_RATE, card
from data_modules.corpora.base import KINDS, SPLITS, Corpus, Item
from data_modules.processes import over_tracks
from data_modules.shards import Prepared, merge_index, write_shard

_LOCK = ".lock"


def prepare(corpus: Corpus, out: Path, jobs: int = 0, tracks_per_shard: int = 4) -> None:
    """Turns a corpus into a folder that training reads: 24 kHz mono shards, one index, mel statistics.

    Stopped and started again it goes on with what is missing; finished, it does nothing. Tracks that cannot be
    used are set aside and listed in `set_aside.tsv` with their reasons, kinds of label that a track lacks in
    `gaps.tsv`.

    Args:
        corpus: What to prepare: a name such as `tiny`, `pop909` or `folder` (an unknown name lists all) or a
            class path, with its own settings as `--corpus.root` and so on.
        out: The folder to write.
        jobs: Processes; 0 for one a core.
        tracks_per_shard: Tracks in a shard file, the unit of going on.
    """
    _prepare(corpus, out, jobs, tracks_per_shard, wait=False)


def folder_of(corpus: Corpus | None, root: Path | None) -> Path | None:
    """Where the data of a run lie: `root`, or else `data/<name of the corpus>` in the working directory."""
    if root is None and corpus is not None:
        return Path("data") / corpus.name
    return None if root is None else Path(root)


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
        _prepare(corpus, folder, 0, None, wait=True)


def _prepare(corpus: Corpus, out: Path, jobs: int, tracks_per_shard: int | None, wait: bool) -> None:
    console = Console()
    corpus.fetch(console.print)
    items = corpus.items()
    if not items:
        raise ValueError(f"corpus {corpus.name}: no track to prepare")
    with _alone(out, wait):
        size = card.settle(corpus, items, out, tracks_per_shard)
        for remark in corpus.remarks():
            console.print(f"{corpus.name}: {escape(remark)}", highlight=False)
        if (out / "index.parquet").exists():
            _say_done(out, console)
        else:
            groups = [items[at : at + size] for at in range(0, len(items), size)]
            _write_shards(corpus, groups, out, jobs or os.cpu_count() or 1, console)
            for track, reason in merge_index(out, len(groups)):
                console.print(f"[yellow]set aside[/] {escape(track)}: {escape(reason)}", highlight=False)
        _report(corpus, out, console)


def _say_done(out: Path, console: Console) -> None:
    console.print(f"{out} is prepared already: nothing to do")


@contextlib.contextmanager
def _alone(out: Path, wait: bool) -> Iterator[None]:
    """Keeps other processes from preparing the same folder, clears up after one that was killed, names a full disk."""
    if out.exists() and not (out / _LOCK).exists():
        _refuse_foreign(out)
    out.mkdir(parents=True, exist_ok=True)
    with (out / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise OSError(
                f"another `musicfm prepare` is at work on {out}; wait for it, or name another --out"
            ) from None
        for stale in [*out.glob(".*.part"), *(out / "shards").glob(".*.part")]:
            stale.unlink()
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


def _refuse_foreign(out: Path) -> None:
    # Hidden files are the lock, and what another process is writing aside at this moment.
    names = {file.name for file in out.iterdir() if not file.name.startswith(".")}
    if names and card.NAME not in names:
        raise ValueError(f"--out: {out} holds other files; name a new or an empty folder")


def _write_shards(corpus: Corpus, groups: Sequence[Sequence[Item]], out: Path, jobs: int, console: Console) -> None:
    parts = [(len(group), (corpus, group, out, number)) for number, group in enumerate(groups)]
    for _ in over_tracks(
        write_shard, parts, lambda done: done[0] / SAMPLE_RATE, jobs, f"prepare {corpus.name}", console
    ):
        pass


def _report(corpus: Corpus, out: Path, console: Console) -> None:
    prepared = Prepared(out)
    for split in SPLITS:
        seconds = [entry.duration_s for entry in prepared.entries if entry.split == split]
        console.print(f"{split:>5}: {len(seconds):4d} tracks, {sum(seconds) / 3600:.2f} h")
    aside = len((out / "set_aside.tsv").read_text().splitlines())
    console.print(f"set aside: {aside} of {prepared.card['num_items']} tracks (see {out / 'set_aside.tsv'})")
    gaps = Counter(line.split("\t")[1] for line in (out / "gaps.tsv").read_text().splitlines())
    for kind in KINDS:
        if gaps[kind]:
            console.print(f"without {kind} labels: {gaps[kind]} tracks (see {out / 'gaps.tsv'})")
    if any(entry.split == "train" for entry in prepared.entries):
        # Torch takes seconds to import, which neither `--help` nor the processes that render should wait for.
        from data_modules.statistics import mel_statistics

        statistics = mel_statistics(prepared)
        console.print(f"mel statistics of the training split: mean {statistics.mean:.3f}, std {statistics.std:.3f}")
    else:
        console.print("no track for training, so no mel statistics: to test on, with those of where it was trained")
    console.print(f"licence: {corpus.licence}")
    console.print(f"written: {out}")
