"""Finds audio and annotations below a user's folder, by the names that a data set gives its tracks."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from data_modules.audio import SUFFIXES

AUDIO_SUFFIXES = (*SUFFIXES, ".au")
"""What `read_audio` can open; GTZAN first came as .au."""

_SHOWN = 10


def files_below(
    root: Path,
    suffixes: Collection[str],
    track_of: Callable[[str], str | None],
    what: str,
    option: str = "root",
    by_path: bool = False,
) -> dict[str, Path]:
    """The files below a folder that belong to a track, by track.

    Of two files for one track the one counts whose suffix comes first in `suffixes`.

    Args:
        root: The top of the tree; links are followed.
        suffixes: Endings of the names, in lower case and in the order of preference.
        track_of: The track that a file belongs to by its name without the suffix; None for no track.
        what: What is looked for, as the errors call it: "gtzan: audio such as genres/blues/blues.00000.wav".
        option: The argument of the corpus that named the folder.
        by_path: Whether `track_of` is asked with the path from the root, parted by "/", and not the name alone.

    Raises:
        FileNotFoundError: There is no such folder, or nothing of the kind in it.
        ValueError: Two files with the same suffix for one track: the user must say which.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"{what}: no folder {root}; --corpus.{option} names the folder that holds it")
    ranks = list(suffixes)
    found: dict[str, tuple[int, Path]] = {}
    for path in walk(root):
        suffix = next((one for one in ranks if path.name.lower().endswith(one)), None)
        if suffix is None:
            continue
        name = path.relative_to(root).as_posix() if by_path else path.name
        track = track_of(name[: -len(suffix)])
        if track is None:
            continue
        rank, other = found.get(track, (len(ranks), path))
        if ranks.index(suffix) == rank:
            raise ValueError(
                f"{what}: both {other} and {path} are for {track}; let --corpus.{option} name the folder of one of them"
            )
        if ranks.index(suffix) < rank:
            found[track] = (ranks.index(suffix), path)
    if not found:
        raise FileNotFoundError(f"{what}: none below {root}, --corpus.{option}")
    return {track: found[track][1] for track in sorted(found)}


def missing(wanted: Collection[str], there: Mapping[str, Path], what: str) -> list[str]:
    """A remark, if any is called for, that names tracks for which there is no file.

    Args:
        wanted: Tracks that should have one.
        there: The files by track.
        what: Such as "annotated tracks have no audio".
    """
    names = sorted(set(wanted) - set(there))
    return [f"{len(names)} {what}: {listed(names)}"] if names else []


def listed(names: Collection[str]) -> str:
    """Names for a message: all of a few, the first ten of many."""
    shown = ", ".join(sorted(names)[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def walk(root: Path) -> Iterator[Path]:
    """The files below a folder that are not hidden, each once; links are followed."""
    visited: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        subfolders.sort()
        # macOS leaves a "._name" beside each file of an archive.
        yield from (Path(folder) / name for name in sorted(names) if not name.startswith("."))
