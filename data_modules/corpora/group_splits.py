"""Which split a group of tracks belongs to: by a hash of its name, or by a file that says so."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_modules.corpora.base import SPLITS, Split

VAL_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the groups, in the data sets that come without a split of their own."""


def split_by_hash(groups: Iterable[str], val: float = VAL_SHARE, test: float = TEST_SHARE) -> dict[str, Split]:
    """The split of each group by its SHA-256 as a number in [0, 1): lowest for val, highest for test.

    So a group stays where it is as others come and go. Where there are three groups or more, each split has one
    at least. Of two groups one is for validation; a single one is for training.

    Args:
        groups: Names; repeated ones count once.
        val: Share of the groups for validation, in [0, 1].
        test: Share for test.
    """
    names = set(groups)
    place = {name: int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12 for name in names}
    by_hash = sorted(names, key=lambda name: (place[name], name))
    splits: dict[str, Split] = {
        name: "val" if place[name] < val else "test" if place[name] >= 1 - test else "train" for name in by_hash
    }
    if len(by_hash) == 1:
        splits[by_hash[0]] = "train"
    elif len(by_hash) == 2:
        splits.update({by_hash[0]: "val", by_hash[1]: "train"})
    elif by_hash:
        splits.update({by_hash[0]: "val", by_hash[-1]: "test"})
        if "train" not in splits.values():
            splits[by_hash[len(by_hash) // 2]] = "train"
    return splits


def split_of_fold(fold_of_track: int, fold: int, num_folds: int) -> Split:
    """The split of a track in cross-validation: `fold` is tested, the one after it validates, the rest trains."""
    if fold_of_track == fold:
        return "test"
    return "val" if fold_of_track == (fold + 1) % num_folds else "train"


def read_split_file(path: Path, tracks: Sequence[str], fold: int = 0) -> dict[str, Split]:
    """The split of each track by a text file of `track split` rows, or of `track fold` rows.

    Args:
        path: Rows of two columns apart by a tab or spaces; `#` begins a comment. The second is train, val or
            test, or the number of a fold from 0 as in beat_this' `8-folds.split`.
        tracks: Names to look up.
        fold: Where the file has folds: the one to test, the next one validates.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row that is neither, or tracks that the file does not name.
    """
    if not path.is_file():
        raise FileNotFoundError(f"split_file: no such file: {path}")
    named: dict[str, str] = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        track, _, value = text.replace("\t", " ").rpartition(" ")
        if not track or not (value in SPLITS or value.isdecimal()):
            raise ValueError(f"{path}:{number}: {text!r} is no `track split` with train, val, test or a fold's number")
        named[track.strip()] = value
    missing = [track for track in tracks if track not in named]
    if missing:
        raise ValueError(f"{path}: names no split for {', '.join(missing)}")
    return _splits(named, tracks, fold, path)


def _splits(named: Mapping[str, str], tracks: Sequence[str], fold: int, path: Path) -> dict[str, Split]:
    num_folds = max((int(value) + 1 for value in named.values() if value.isdecimal()), default=0)
    if num_folds and not 0 <= fold < num_folds:
        raise ValueError(f"fold: {fold} asked for, but {path} has folds 0 to {num_folds - 1}")
    splits: dict[str, Split] = {}
    for track in tracks:
        value = named[track]
        known = [split for split in SPLITS if split == value]
        splits[track] = known[0] if known else split_of_fold(int(value), fold, num_folds)
    return splits
