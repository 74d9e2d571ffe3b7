"""Files of a data set where a user has them: by the names they should have, or anywhere below a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

from data_modules.audio import SUFFIXES
from data_modules.corpora.base import BadTrack

AUDIO_SUFFIXES = (*SUFFIXES, ".au")
"""What `read_audio` can open; GTZAN first came as .au."""

_MP3_FIRST = sorted(SUFFIXES, key=lambda suffix: suffix != ".mp3")


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


def absent_and_empty(audio: Mapping[str, Sequence[Path]]) -> tuple[list[str], list[str]]:
    """The tracks whose audio is not there, and those whose audio is an empty file.

    Args:
        audio: Where the audio of each track may lie, by track.
    """
    absent, empty = [], []
    # A listing of each folder is many times faster than asking for every name.
    listings: dict[Path, frozenset[str]] = {}
    for track, paths in audio.items():
        for path in paths:
            if path.parent not in listings:
                listings[path.parent] = _names(path.parent)
        found = next((path for path in paths if path.name in listings[path.parent]), None)
        if found is None:
            absent.append(track)
        elif _size(found) == 0:
            empty.append(track)
    return absent, empty


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


def annotations_below(
    annotations: Path | None,
    root: Path,
    suffixes: Collection[str],
    track_of: Callable[[str], str | None],
    what: str,
    required: bool = True,
) -> dict[str, Path]:
    """As `files_below`, in the folder of annotations that the user names, else in the root of the data set.

    Args:
        annotations: The argument `annotations` of the corpus.
        root: Its argument `root`, or a folder in it.
        suffixes: See `files_below`.
        track_of: See `files_below`.
        what: See `files_below`.
        required: Whether it is an error that the root has none.

    Raises:
        FileNotFoundError: As `files_below`.
        ValueError: As `files_below`.
    """
    option = "annotations" if annotations else "root"
    try:
        return files_below(annotations or root, suffixes, track_of, what, option)
    except FileNotFoundError:
        if annotations or required:
            raise
        return {}


def audio_below(root: Path) -> list[Path]:
    """The audio files below a folder, sorted; hidden ones are passed over.

    Raises:
        FileNotFoundError: There is no such folder, or no audio in it.
    """
    if not root.is_dir():
        raise FileNotFoundError(f"audio: no folder {root}")
    found = [path for path in walk(root) if path.name.lower().endswith(AUDIO_SUFFIXES)]
    if not found:
        raise FileNotFoundError(f"audio: no audio below {root}; looked for {', '.join(AUDIO_SUFFIXES)}")
    return sorted(found)


def matching(folder: Path, pattern: str) -> list[Path]:
    """The paths in a folder that fit a pattern, sorted; hidden ones are passed over, as `walk` does."""
    return sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))


def walk(root: Path, hidden: bool = False) -> Iterator[Path]:
    """The files below a folder, each once; links are followed, and hidden files are passed over unless asked for."""
    visited: set[Path] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        real = Path(folder).resolve()
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        subfolders.sort()
        # macOS leaves a "._name" beside each file of an archive.
        yield from (Path(folder) / name for name in sorted(names) if hidden or not name.startswith("."))


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
