"""Who is trained on and who is tested: groups by a hash, in shares or in folds, or the lists that others published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from data_modules.corpora.audio_files import AUDIO_SUFFIXES
from data_modules.corpora.base import BadTrack, Split
from data_modules.corpora.label_rows import rows

VAL_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the groups, in the data sets that come without a split of their own."""

NUM_FOLDS = 8
"""As many as the lists that beat_this publishes (`8-folds.split`) have."""

_NAMES: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SUFFIX = re.compile(f"({'|'.join(map(re.escape, (*AUDIO_SUFFIXES, '.beats', '.jams', '.lab')))})$", re.IGNORECASE)

_FOLD = re.compile(r"[0-9]{1,3}")

_Value = TypeVar("_Value")

_DIGITS = 12
"""Hexadecimal, of a hash: enough for all names to differ, and exact in a float."""


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
    place = {name: _number(name) / 16**_DIGITS for name in names}
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


def splits(
    groups: Mapping[str, str], fold: int | None, split_file: Path | None, track_of: Callable[[str], str | None]
) -> dict[str, Split]:
    """The split of each track: `from_lists` where the user names a list, else `folds_by_hash`, or shares of groups.

    Args:
        groups: The group of each track.
        fold: For test; without a list None asks for `split_by_hash`.
        split_file: See `from_lists`.
        track_of: See `from_lists`.
    """
    if split_file is not None:
        return from_lists(Path(split_file), fold, track_of)
    if fold is not None:
        return folds_by_hash(groups, fold)
    of_group = split_by_hash(groups.values())
    return {track: of_group[group] for track, group in groups.items()}


def folds_by_hash(groups: Mapping[str, str], fold: int) -> dict[str, Split]:
    """The split of each track: its group's fold of eight is a hash of the group's name.

    Fold `fold` is for test, the one after it for validation. A group stays in its fold as others come and go.
    These folds are our own: published figures rest on lists by their authors.

    Args:
        groups: The group of each track.
        fold: 0 to 7.
    """
    _check_fold(fold, NUM_FOLDS)
    of_group = {group: _number(group) % NUM_FOLDS for group in set(groups.values())}
    return {track: split_of(of_group[group], fold, NUM_FOLDS) for track, group in groups.items()}


def from_lists(path: Path, fold: int | None, track_of: Callable[[str], str | None]) -> dict[str, Split]:
    """The split of each track by published lists.

    Args:
        path: A file with a track and its split (train, val or test) or its fold (0, 1, ...) on each line, as
            beat_this has them; or a folder with files of names: one that begins with `train`, one with `val`
            and one with `test`, as GTZAN's `train_filtered.txt`, `valid_filtered.txt`, `test_filtered.txt`.
        fold: For lists of folds: the one for test; that after it is for validation.
        track_of: The track by its name in the list, without folders and suffix; None if it is none, or a
            ValueError that says why the name will not do.

    Raises:
        FileNotFoundError: There is no such file, or none of names in the folder.
        ValueError: A line that cannot be read so, or a track in two splits or folds; the message names file and
            line.
    """
    if path.is_dir():
        return _once(
            (_track(name, where, track_of), where, split)
            for split, file in _lists(path)
            for name, where, _ in _read(file, r"\s+", 1)
        )
    if not path.is_file():
        raise FileNotFoundError(f"--corpus.split_file: no file or folder {path}")
    lines = _read(path, r"[\t ]+(?=\S+$)", 2)
    folds = [int(value) for _, _, value in lines if _FOLD.fullmatch(value)]
    if not folds:
        return _once((_track(name, where, track_of), where, _named(value, where)) for name, where, value in lines)
    for _, where, value in lines:
        if not _FOLD.fullmatch(value):
            raise ValueError(f"--corpus.split_file: {where}: {value!r} is no fold, which other lines have")
    num_folds = max(folds) + 1
    chosen = 0 if fold is None else fold
    _check_fold(chosen, num_folds)
    of_track = _once((_track(name, where, track_of), where, int(value)) for name, where, value in lines)
    return {track: split_of(own, chosen, num_folds) for track, own in of_track.items()}


def split_of(own: int, fold: int, num_folds: int) -> Split:
    """The split of a track of fold `own`: `fold` is for test, the one after it for validation."""
    return "test" if own == fold else "val" if own == (fold + 1) % num_folds else "train"


def _number(name: str) -> int:
    """A name as a number of so many hexadecimal digits, spread evenly."""
    return int(hashlib.sha256(name.encode()).hexdigest()[:_DIGITS], 16)


def _lists(folder: Path) -> list[tuple[Split, Path]]:
    found: list[tuple[Split, Path]] = []
    for file in sorted(folder.glob("*.txt")):
        begin = re.match(r"train|val|test", file.name)
        if begin:
            found.append((_NAMES[begin[0]], file))
    if len({split for split, _ in found}) < len(found) or not found:
        raise FileNotFoundError(
            f"--corpus.split_file: {folder} should hold one file of names each that begins with train, val and test; "
            f"found {', '.join(file.name for _, file in found) or 'none'}"
        )
    return found


def _read(path: Path, delimiter: str, num_columns: int) -> list[tuple[str, str, str]]:
    """(name, file and line, value) of each line; names may hold spaces."""
    found = []
    try:
        for row in rows(path, delimiter, num_columns):
            if len(row.fields) != num_columns:
                raise ValueError(
                    f"--corpus.split_file: {row.source}: expected {num_columns} columns, got {' '.join(row.fields)!r}"
                )
            found.append((row.fields[0], row.source, row.fields[-1]))
    except BadTrack as error:
        raise ValueError(f"--corpus.split_file: {error}") from error
    return found


def _track(name: str, where: str, track_of: Callable[[str], str | None]) -> str:
    try:
        track = track_of(_SUFFIX.sub("", name.replace("\\", "/").rsplit("/", 1)[-1]))
    except ValueError as error:
        raise ValueError(f"--corpus.split_file: {where}: {error}") from error
    if track is None:
        raise ValueError(f"--corpus.split_file: {where}: {name!r} is no name of a track of this corpus")
    return track


def _once(named: Iterable[tuple[str, str, _Value]]) -> dict[str, _Value]:
    """The split or fold of each track from (track, file and line, split or fold); the same may be said twice."""
    found: dict[str, tuple[str, _Value]] = {}
    for track, where, value in named:
        before, said = found.setdefault(track, (where, value))
        if said != value:
            raise ValueError(f"--corpus.split_file: {where}: {track} is in {value}, but {before} has it in {said}")
    return {track: value for track, (_, value) in found.items()}


def _named(value: str, where: str) -> Split:
    if value not in _NAMES:
        raise ValueError(f"--corpus.split_file: {where}: {value!r} is neither train, val or test nor a fold")
    return _NAMES[value]


def _check_fold(fold: int, num_folds: int) -> None:
    if not 0 <= fold < num_folds:
        raise ValueError(f"--corpus.fold: {fold} is none of the folds 0 to {num_folds - 1}")
