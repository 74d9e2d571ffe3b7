"""Who is trained on and who is tested: folds by hash, or the lists that others published."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from data_modules.corpora.base import BadTrack, Split
from data_modules.corpora.label_rows import rows

NUM_FOLDS = 8
"""As many as the lists that beat_this publishes (`8-folds.split`) have."""

_NAMES: dict[str, Split] = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_SUFFIX = re.compile(r"\.(wav|au|mp3|flac|ogg|beats|jams)$", re.IGNORECASE)


def splits(
    groups: Mapping[str, str], fold: int, split_file: Path | None, track_of: Callable[[str], str | None]
) -> dict[str, Split]:
    """The split of each track: `from_lists` where the user names a list, else `by_hash`."""
    return by_hash(groups, fold) if split_file is None else from_lists(split_file, fold, track_of)


def by_hash(groups: Mapping[str, str], fold: int) -> dict[str, Split]:
    """The split of each track: its group's fold of eight is a hash of the group's name.

    Fold `fold` is for test, the one after it for validation. A group stays in its fold as others come and go.
    These folds are our own: published figures rest on lists by their authors.

    Args:
        groups: The group of each track.
        fold: 0 to 7.
    """
    _check_fold(fold, NUM_FOLDS)
    of_group = {
        group: int(hashlib.sha256(group.encode()).hexdigest()[:12], 16) % NUM_FOLDS for group in set(groups.values())
    }
    return {track: split_of(of_group[group], fold, NUM_FOLDS) for track, group in groups.items()}


def from_lists(path: Path, fold: int | None, track_of: Callable[[str], str | None]) -> dict[str, Split]:
    """The split of each track by published lists.

    Args:
        path: A file with a track and its split (train, val or test) or its fold (0, 1, ...) on each line, as
            beat_this has them; or a folder with files of names: one that begins with `train`, one with `val`
            and one with `test`, as GTZAN's `train_filtered.txt`, `valid_filtered.txt`, `test_filtered.txt`.
        fold: For lists of folds: the one for test; that after it is for validation.
        track_of: The track by its name in the list, without folders and suffix; None if it is none.

    Raises:
        FileNotFoundError: There is no such file, or none of names in the folder.
        ValueError: A line that cannot be read so; the message names file and line.
    """
    if path.is_dir():
        return {
            _track(name, where, track_of): split
            for split, file in _lists(path)
            for name, where, _ in _read(file, r"(?!)", 1)
        }
    if not path.is_file():
        raise FileNotFoundError(f"--corpus.split_file: no file or folder {path}")
    lines = _read(path, r"[\t ]+(?=\S+$)", 2)
    folds = [int(value) for _, _, value in lines if value.isdigit()]
    if not folds:
        return {_track(name, where, track_of): _named(value, where) for name, where, value in lines}
    if len(folds) < len(lines):
        raise ValueError(f"--corpus.split_file: {path} has folds on some lines and splits on others")
    num_folds = max(folds) + 1
    chosen = 0 if fold is None else fold
    _check_fold(chosen, num_folds)
    return {_track(name, where, track_of): split_of(int(v), chosen, num_folds) for name, where, v in lines}


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
        for row in rows(path, delimiter):
            if len(row.fields) != num_columns:
                raise ValueError(
                    f"--corpus.split_file: {path}:{row.line}: expected {num_columns} columns, "
                    f"got {' '.join(row.fields)!r}"
                )
            found.append((row.fields[0], f"{path}:{row.line}", row.fields[-1]))
    except BadTrack as error:
        raise ValueError(f"--corpus.split_file: {error}") from error
    return found


def _track(name: str, where: str, track_of: Callable[[str], str | None]) -> str:
    track = track_of(_SUFFIX.sub("", name.replace("\\", "/").rsplit("/", 1)[-1]))
    if track is None:
        raise ValueError(f"--corpus.split_file: {where}: {name!r} is no name of a track of this corpus")
    return track


def _named(value: str, where: str) -> Split:
    if value not in _NAMES:
        raise ValueError(f"--corpus.split_file: {where}: {value!r} is neither train, val or test nor a fold")
    return _NAMES[value]


def split_of(own: int, fold: int, num_folds: int) -> Split:
    """The split of a track of fold `own`: `fold` is for test, the one after it for validation."""
    return "test" if own == fold else "val" if own == (fold + 1) % num_folds else "train"


def _check_fold(fold: int, num_folds: int) -> None:
    if not 0 <= fold < num_folds:
        raise ValueError(f"--corpus.fold: {fold} is none of the folds 0 to {num_folds - 1}")
