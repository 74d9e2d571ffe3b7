"""Finding the audio of a track, and saying which tracks have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_modules.audio import SUFFIXES
from data_modules.corpora.base import BadTrack

_MP3_FIRST = sorted(SUFFIXES, key=lambda suffix: suffix != ".mp3")
_NAMED = 12
"""So many tracks are named in a remark before the rest is counted."""


def candidates(stem: Path) -> list[Path]:
    """Where the audio may lie: `stem` followed by each suffix of audio, mp3 first."""
    return [stem.parent / f"{stem.name}{suffix}" for suffix in _MP3_FIRST]


def first_file(paths: Sequence[Path]) -> Path:
    """The first of the paths that is a file.

    Raises:
        BadTrack: None is, or that file is empty; the message names it.
    """
    found = next((path for path in paths if _size(path) is not None), None)
    if found is None:
        others = [path.name for path in paths[1:]]
        more = f" or {len(others) - 1} other names" if len(others) > 1 else ""
        raise BadTrack(f"{paths[0]}: no such file{', nor ' + others[0] if others else ''}{more}")
    if _size(found) == 0:
        raise BadTrack(f"{found}: an empty file")
    return found


def remarks(audio: Mapping[str, Sequence[Path]]) -> list[str]:
    """What to tell the user of tracks whose audio is missing, or empty, a line each.

    Args:
        audio: Where the audio of each track may lie, by track.
    """
    missing, empty = [], []
    # A listing of each folder is many times faster than asking for every name.
    listings: dict[Path, frozenset[str]] = {}
    for track, paths in audio.items():
        for path in paths:
            if path.parent not in listings:
                listings[path.parent] = _names(path.parent)
        found = next((path for path in paths if path.name in listings[path.parent]), None)
        if found is None:
            missing.append(track)
        elif _size(found) == 0:
            empty.append(track)
    lines = []
    if missing:
        lines.append(f"{len(missing)} of {len(audio)} tracks have no audio: {listed(missing)}")
    if empty:
        lines.append(f"{len(empty)} of {len(audio)} tracks have audio files without content: {listed(empty)}")
    return lines


def _size(path: Path) -> int | None:
    """In bytes; None where there is no file."""
    try:
        return path.stat().st_size if path.is_file() else None
    except OSError:  # such as a name that is too long
        return None


def _names(folder: Path) -> frozenset[str]:
    try:
        return frozenset(path.name for path in folder.iterdir())
    except (OSError, ValueError):  # ValueError: a null character in the name
        return frozenset()


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
