"""Finding the audio of a track, and saying which tracks have none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from data_modules.audio import SUFFIXES
from data_modules.corpora.base import BadTrack

_NAMED = 12
"""So many tracks are named in a remark before the rest is counted."""


def candidates(stem: Path) -> list[Path]:
    """Where the audio may lie: `stem` followed by each suffix of audio, mp3 first."""
    return [stem.with_name(stem.name + suffix) for suffix in sorted(SUFFIXES, key=lambda s: s != ".mp3")]


def first_file(paths: Sequence[Path]) -> Path:
    """The first of the paths that is a file.

    Raises:
        BadTrack: None is; the message names the first.
    """
    for path in paths:
        if _is_file(path):
            return path
    others = ", ".join(path.name for path in paths[1:])
    raise BadTrack(f"{paths[0]}: no such file{', nor ' + others if others else ''}")


def remarks(audio: Mapping[str, Sequence[Path]]) -> list[str]:
    """What to tell the user of tracks whose audio is missing, or empty, a line each.

    Args:
        audio: Where the audio of each track may lie, by track.
    """
    missing, empty = [], []
    for track, paths in audio.items():
        found = next((path for path in paths if _is_file(path)), None)
        if found is None:
            missing.append(track)
        elif found.stat().st_size == 0:
            empty.append(track)
    lines = []
    if missing:
        lines.append(f"{len(missing)} of {len(audio)} tracks have no audio: {listed(missing)}")
    if empty:
        lines.append(f"{len(empty)} of {len(audio)} tracks have audio files without content: {listed(empty)}")
    return lines


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False


def listed(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    names = list(names)
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
