"""Which audio file below a folder is of which annotated track: by identifier, by place, or by album and song."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_modules.corpora.audio_files import audio_below
from data_modules.corpora.remarks import remark

Match = Callable[[Sequence[str], Sequence[Path]], Mapping[str, Path]]

_LEADING_NUMBER = re.compile(r"^\d+(cd\d+)? (?=.)")


@dataclass(frozen=True)
class MatchedAudio:
    """Which audio file is of which annotated track.

    Attributes:
        root: The folder of audio.
        files: Audio by the name of the track.
        missing: Annotated tracks without audio.
        unmatched: Audio of no annotated track.
    """

    root: Path
    files: Mapping[str, Path]
    missing: Sequence[str]
    unmatched: Sequence[Path]

    def remarks(self) -> list[str]:
        """What to say of annotated tracks without audio, and of audio without annotations: all by name."""
        unmatched = [file.relative_to(self.root).as_posix() for file in self.unmatched]
        return [
            *remark(self.missing, f"annotated tracks without audio below {self.root} are left out", None),
            *remark(unmatched, "audio files are of no annotated track", None),
        ]


def match_audio(tracks: Sequence[str], root: Path, match: Match) -> MatchedAudio:
    """Finds the audio of annotated tracks.

    Args:
        tracks: Their names.
        root: The folder of audio.
        match: `by_identifier`, `by_song`, or `by_place` of the same folder.

    Raises:
        FileNotFoundError: There is no such folder, no audio in it, or none of any track.
    """
    files = audio_below(root)
    matched = match(tracks, files)
    if not matched:
        raise FileNotFoundError(
            f"audio: none of the {len(files)} audio files below {root}, such as {files[0].name}, is named like an "
            f"annotated track, such as {tracks[0]}"
        )
    taken = set(matched.values())
    return MatchedAudio(
        root,
        matched,
        [track for track in tracks if track not in matched],
        [file for file in files if file not in taken],
    )


def by_identifier(tracks: Sequence[str], files: Sequence[Path]) -> dict[str, Path]:
    """The file that is called as each track, whatever its suffix and its folder.

    Of several the first counts. Identifiers that are numbers match without regard to leading zeros: "0003" is 3.
    """
    by_stem: dict[str, Path] = {}
    for file in files:
        by_stem.setdefault(_bare(file.stem), file)
    return {name: by_stem[_bare(name)] for name in tracks if _bare(name) in by_stem}


def by_place(tracks: Sequence[str], files: Sequence[Path], root: Path) -> dict[str, Path]:
    """The file at the same place below `root` as each track, a path without suffix; else the one of its name alone.

    A name that is that of several tracks, or of several files, matches by its place only.
    """
    places = {file.relative_to(root).with_suffix("").as_posix(): file for file in reversed(files)}
    found = {track: places[track] for track in tracks if track in places}
    taken = set(found.values())
    open_tracks: dict[str, list[str]] = defaultdict(list)
    open_files: dict[str, list[Path]] = defaultdict(list)
    for track in tracks:
        if track not in found:
            open_tracks[track.rpartition("/")[2]].append(track)
    for file in files:
        if file not in taken:
            open_files[file.stem].append(file)
    for name, candidates in open_tracks.items():
        if len(candidates) == 1 and len(open_files[name]) == 1:
            found[candidates[0]] = open_files[name][0]
    return found


def by_song(tracks: Sequence[str], files: Sequence[Path]) -> dict[str, Path]:
    """The file of each `album/song`, by the names of its folder and of itself.

    Case, accents, apostrophes do not matter, and any other sign is as good as a space: `01_-_Help!` is
    `01 help`. First go the songs whose album and name agree, then those that agree without the leading track
    numbers, then those whose name alone does. Only what is the one song and the one file of its names matches.
    """
    found: dict[str, Path] = {}
    for key in (_full_names, _unnumbered_names, _unnumbered_song):
        taken = set(found.values())
        open_songs: dict[Hashable, list[str]] = defaultdict(list)
        open_files: dict[Hashable, list[Path]] = defaultdict(list)
        for track in tracks:
            if track not in found:
                album, _, song = track.partition("/")
                open_songs[key(album, song)].append(track)
        for file in files:
            if file not in taken:
                open_files[key(file.parent.name, file.stem)].append(file)
        for names, candidates in open_songs.items():
            if len(candidates) == 1 and len(open_files.get(names, ())) == 1:
                found[candidates[0]] = open_files[names][0]
    return found


def track_by_identifier(tracks: Sequence[str]) -> Callable[[str], str | None]:
    """What gives the track of a name in a user's list, as `by_identifier` does of a file; None if it is none."""
    of_bare = {_bare(track): track for track in tracks}
    return lambda name: of_bare.get(_bare(name))


def track_by_song(tracks: Sequence[str]) -> Callable[[str], str | None]:
    """What gives the `album/song` of the name of a song in a user's list, in whatever of the ways of `by_song`.

    Such a list knows no albums: a name that is that of several songs is refused by a ValueError.
    """
    of_name: dict[str, list[str]] = defaultdict(list)
    for track in tracks:
        song = track.partition("/")[2]
        for name in {plain(song), _unnumbered(song)}:
            of_name[name].append(track)

    def track_of(name: str) -> str | None:
        found = of_name.get(plain(name)) or of_name.get(_unnumbered(name)) or []
        if len(found) > 1:
            # No folder in a list tells them apart: it is taken off before the name comes here.
            raise ValueError(
                f"{name!r} may be any of {', '.join(found)}; call it as the file of its annotations, and where those "
                f"of two albums are called alike, rename them in one"
            )
        return found[0] if found else None

    return track_of


def plain(name: str) -> str:
    """A name in lower case with letters and digits alone, and single spaces where there were other signs."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(sign for sign in letters if not unicodedata.combining(sign) and sign not in "'’`´")
    return " ".join(re.findall(r"[^\W_]+", letters))


def _full_names(album: str, song: str) -> Hashable:
    return plain(album), plain(song)


def _unnumbered_names(album: str, song: str) -> Hashable:
    return _unnumbered(album), _unnumbered(song)


def _unnumbered_song(album: str, song: str) -> Hashable:
    return _unnumbered(song)


def _unnumbered(name: str) -> str:
    return _LEADING_NUMBER.sub("", plain(name))


def _bare(identifier: str) -> str:
    """An identifier as it is matched: a number without leading zeros."""
    return str(int(identifier)) if identifier.isdecimal() else identifier
