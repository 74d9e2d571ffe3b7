"""What to tell the user of tracks that lack something: how many they are, what of, and their names."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from data_modules.corpora.audio_files import absent_and_empty

_NAMED = 12
"""So many tracks are named in a remark before the rest is counted."""


def remark(names: Sequence[str], what: str, most: int | None = _NAMED) -> list[str]:
    """A line such as `3 tracks have no beats: a, b, c`; none if there are no names.

    Args:
        names: Of tracks or files.
        what: Such as "tracks have no beats".
        most: So many are named, and the rest is counted; None for all.
    """
    return [f"{len(names)} {what}: {listed(names, most)}"] if names else []


def missing(wanted: Iterable[str], there: Collection[str], what: str) -> list[str]:
    """A remark, if any is called for, that names all tracks for which there is no file, split or the like.

    Args:
        wanted: Tracks that should have one.
        there: Tracks that have one, such as files by track.
        what: Such as "annotated tracks have no audio".
    """
    return remark(sorted(set(wanted) - set(there)), what, None)


def without_audio(audio: Mapping[str, Sequence[Path]]) -> list[str]:
    """Remarks on the tracks whose audio is missing, or empty; of very many, they say where all names stand.

    Args:
        audio: Where the audio of each track may lie, by track.
    """
    absent, empty = absent_and_empty(audio)
    lines = [
        *remark(absent, f"of {len(audio)} tracks have no audio"),
        *remark(empty, f"of {len(audio)} tracks have audio files without content"),
    ]
    if max(len(absent), len(empty)) > _NAMED:
        lines.append("set_aside.tsv, which `musicfm prepare` writes, and `musicfm doctor --out FILE` name them all")
    return lines


def listed(names: Sequence[str], most: int | None = _NAMED) -> str:
    """The first names, and how many more there are."""
    more = 0 if most is None else len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
