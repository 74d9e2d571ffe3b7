"""The tables of MagnaTagATune: all clips with 188 tags, and the files of the cleaned split of Won et al."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_modules.corpora import npy_tables, tables
from data_modules.corpora.base import Split
from data_modules.corpora.remarks import remark

NUM_TAGS = 50
"""The field scores the 50 most frequent of the 188 tags."""
WON_FILES: dict[str, Split] = {"train.npy": "train", "valid.npy": "val", "test.npy": "test"}
_FOLDERS: dict[str, Split] = {
    **dict.fromkeys("0123456789ab", "train"), "c": "val", **dict.fromkeys("def", "test"),
}  # fmt: skip
"""Splits of the full data set, by the folder of a clip; a folder holds whole albums."""
_PATH = re.compile(r"([0-9a-f])/[^/\0]+\.mp3")
_INDEX = re.compile(r"[0-9]{1,9}")
_ANNOTATIONS = "annotations_final.csv"
_WON = "train.npy, valid.npy, test.npy, tags.npy and binary.npy of sota-music-tagging-models (Won et al., 2020)"


class Clip(NamedTuple):
    """A clip: where it is listed, its split, and its tags among the top 50."""

    source: str
    split: Split
    tags: tuple[str, ...]


class _Annotated(NamedTuple):
    line: int
    tags: tuple[str, ...]


class _Won(NamedTuple):
    """The clips of the cleaned split; those that `annotations_final.csv` has in another row, and those it lacks."""

    clips: dict[str, Clip]
    elsewhere: list[str]
    unknown: list[str]


def full(root: Path) -> Mapping[str, Clip]:
    """All clips by path, split by folder.

    Raises:
        FileNotFoundError: `annotations_final.csv` is not in `root`.
        ValueError: It is damaged; the message names the line.
    """
    path = root / _ANNOTATIONS
    return _full(path, tables.version(path))


def won(root: Path, folder: Path) -> Mapping[str, Clip]:
    """The clips of the cleaned split by path.

    The tags of a clip are its row of `binary.npy`, named by `tags.npy`. If `annotations_final.csv` is there they
    must agree with what it says of the clip of that path, in whatever row; without `binary.npy` they are taken from it,
    by the names in `tags.npy`.

    Args:
        root: Where `annotations_final.csv` is, if it is anywhere.
        folder: Where the files of the split are.

    Raises:
        FileNotFoundError: A file of the split is missing.
        ValueError: A file is damaged, or they are not of one copy; the message names the file and the row.
    """
    return _won(root, folder, _versions(root, folder)).clips


def won_remarks(root: Path, folder: Path) -> list[str]:
    """Where the files of the cleaned split and `annotations_final.csv` count rows differently; arguments as `won`.

    Raises:
        FileNotFoundError, ValueError: As `won`.
    """
    found = _won(root, folder, _versions(root, folder))
    path = root / _ANNOTATIONS
    return [
        *remark(
            found.elsewhere,
            f"clips of the split have another row in {path} than the split says: it is read by their paths",
        ),
        *remark(found.unknown, f"clips of the split are not in {path}; their tags are those of binary.npy"),
    ]


def _versions(root: Path, folder: Path) -> tuple[tuple[int, int], ...]:
    files = [root / _ANNOTATIONS, *(folder / name for name in ("binary.npy", "tags.npy", *WON_FILES))]
    return tuple(tables.version(path) for path in files)


@lru_cache(maxsize=2)
def _annotations(path: Path, version: tuple[int, int]) -> dict[str, _Annotated]:
    """All 188 tags of each clip, by path, in the order of the file."""
    found: dict[str, _Annotated] = {}
    header: list[str] = []
    for line, row in tables.read_rows(path, "\t", f"{_ANNOTATIONS} of MagnaTagATune in the root"):
        source = f"{path}:{line}"
        if not header:
            header = [name.strip() for name in row]
            if header[0] != "clip_id" or header[-1] != "mp3_path" or len(set(header)) < len(header):
                raise ValueError(f"{source}: expected clip_id, names of tags, each once, and mp3_path")
            continue
        if len(row) != len(header):
            raise ValueError(f"{source}: {len(row)} columns, but the header has {len(header)}")
        clip, names, marks = row[-1].strip(), header[1:-1], row[1:-1]
        if not _PATH.fullmatch(clip):
            raise ValueError(f"{source}: {clip!r} is no path of a clip, such as f/artist-album-01-title-0-29.mp3")
        if clip in found:
            raise ValueError(f"{source}: {clip} is there already, on line {found[clip].line}")
        if not {"0", "1"}.issuperset(marks):
            at, mark = next((at, mark) for at, mark in enumerate(marks) if mark not in ("0", "1"))
            raise ValueError(f"{source}: tag {names[at]!r}: {mark!r} is neither 0 nor 1")
        found[clip] = _Annotated(line, tuple(compress(names, (mark == "1" for mark in marks))))
    return found


@lru_cache(maxsize=2)
def _full(path: Path, version: tuple[int, int]) -> dict[str, Clip]:
    annotated = _annotations(path, version)
    counts = Counter(tag for row in annotated.values() for tag in row.tags)
    top = set(sorted(counts, key=lambda tag: (-counts[tag], tag))[:NUM_TAGS])
    return {
        clip: Clip(f"{path}:{row.line}", _FOLDERS[clip[0]], tuple(tag for tag in row.tags if tag in top))
        for clip, row in annotated.items()
    }


@lru_cache(maxsize=2)
def _won(root: Path, folder: Path, versions: tuple[tuple[int, int], ...]) -> _Won:
    names = npy_tables.read_strings(folder / "tags.npy", _WON)
    if len(set(names)) < len(names):
        raise ValueError(f"{folder / 'tags.npy'}: names a tag twice")
    path = root / _ANNOTATIONS
    annotated = _annotations(path, versions[0]) if path.is_file() else None
    rows = _binary(folder / "binary.npy", names) if annotated is None or (folder / "binary.npy").is_file() else None
    order = {clip: row for row, clip in enumerate(annotated or ())}
    found: dict[str, Clip] = {}
    elsewhere: list[str] = []
    for file, split in WON_FILES.items():
        for number, text in enumerate(npy_tables.read_strings(folder / file, _WON)):
            source = f"{folder / file}: entry {number}"
            index, _, clip = text.partition("\t")
            if not (_INDEX.fullmatch(index) and _PATH.fullmatch(clip)):
                raise ValueError(f"{source}: {text!r} is no row number, tab, and path of a clip")
            at = int(index)
            if clip in found:
                raise ValueError(f"{source}: {clip} is there already, in {found[clip].source}")
            if rows is not None and at >= len(rows):
                raise ValueError(f"{source}: row {index} of binary.npy, which has only {len(rows)}")
            row = annotated.get(clip) if annotated is not None else None
            if rows is None and row is None:
                raise ValueError(f"{source}: {clip} is not in {path}: they are of different copies")
            tags = set(names).intersection(row.tags) if row is not None else set()
            if rows is not None:
                marked = {name for name, mark in zip(names, rows[at], strict=True) if mark}
                if row is not None and marked != tags:
                    raise ValueError(
                        f"{folder / 'binary.npy'}: row {index}: {_named(marked)} for {clip}, but {path}:{row.line} has "
                        f"{_named(tags)}: binary.npy, tags.npy and {file} are of different copies"
                    )
                tags = marked
            found[clip] = Clip(source, split, tuple(name for name in names if name in tags))
            if order.get(clip, at) != at:
                elsewhere.append(clip)
    return _Won(found, elsewhere, [clip for clip in found if clip not in order] if annotated is not None else [])


def _binary(path: Path, names: list[str]) -> list[list[bool]]:
    array = npy_tables.read_array(path, _WON)
    if array.ndim != 2 or array.shape[1] != len(names) or array.dtype.kind not in "biuf":
        raise ValueError(f"{path}: expected rows of {len(names)} numbers, as many as tags.npy has names")
    if not np.isin(array, (0, 1)).all():
        at = int(np.flatnonzero(~np.isin(array, (0, 1)).all(axis=1))[0])
        raise ValueError(f"{path}: row {at}: a mark that is neither 0 nor 1")
    rows: list[list[bool]] = array.astype(bool).tolist()
    return rows


def _named(tags: set[str]) -> str:
    return ", ".join(sorted(tags)) or "no tag"
