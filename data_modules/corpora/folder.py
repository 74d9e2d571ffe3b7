"""`folder`: any tree of audio files, without labels, for pretraining on one's own music."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from data_modules.audio import SUFFIXES, describe, read_audio
from data_modules.corpora.audio_files import walk
from data_modules.corpora.base import Corpus, Item, Track
from data_modules.corpora.group_splits import split_by_hash

_HELD_OUT = 0.02
"""Share of the groups for val, and again for test."""
_TO_CONVERT = (".m4a", ".m4b", ".aac", ".wma", ".ape", ".wv", ".mpc")
"""Audio that libsndfile does not read."""
_SHOWN = 6
"""Kinds of file that are named; the rest are counted together."""


class Folder(Corpus):
    """The audio files (wav, flac, mp3, ogg, opus, aiff) below a folder, of any rate and number of channels.

    A group is a folder with audio in it, such as an album; a file right in the root is its own. Groups are
    split by a hash of their names, about 96 % for training and 2 % each for validation and test, and at least
    one each where there are three groups. Of two groups one is for validation; a single one is for training:
    then give validation a folder of its own. So a group stays where it is as others come and go, save for
    that at-least-one.

    Links to files are followed; a link to a folder is followed unless it leads to one that was visited
    already. Audio in other formats (m4a, aac, wma) is passed over, counted, and to be converted first.

    Args:
        root: The top of the tree.
    """

    name = "folder"
    licence = "unknown: the user's own files"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a track's name is its path from the root.

        Raises:
            FileNotFoundError: There is no such folder, or no audio in it.
        """
        audio = self._files[0]
        if not audio:
            looked = f"folder: no audio below {self.root}; looked for {', '.join(SUFFIXES)}"
            unread, _ = _passed_over(self._files[1])
            raise FileNotFoundError("; ".join([looked, *unread]))
        groups = {path: _group(path) for path in audio}
        splits = split_by_hash(groups.values(), _HELD_OUT, _HELD_OUT)
        return [Item(path, groups[path], splits[groups[path]]) for path in audio]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        path = self.root / item.track_id
        waveform_N = read_audio(path)
        description = describe(path)
        return Track(item, waveform_N, origin=description.origin, licence=description.licence)

    def __getstate__(self) -> dict[str, object]:
        # The list of files is not for the processes that load them: it goes to them again with every few tracks.
        return {key: value for key, value in self.__dict__.items() if key != "_files"}

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`: files that are passed over, by the ends of their names."""
        unread, others = _passed_over(self._files[1])
        return [*unread, *others]

    @cached_property
    def _files(self) -> tuple[list[str], Counter[str]]:
        """Paths of the audio from the root, sorted, and how many other files there are of which kind."""
        if not self.root.is_dir():
            raise FileNotFoundError(f"folder: no folder {self.root}; expected the top of a tree of audio files")
        audio: list[str] = []
        others: Counter[str] = Counter()
        for path in walk(self.root, hidden=True):
            if path.name.startswith("."):
                others["hidden"] += 1
            elif path.name.lower().endswith(SUFFIXES):
                audio.append(path.relative_to(self.root).as_posix())
            else:
                others[path.suffix.lower() or "without an ending"] += 1
        return sorted(audio), others


def _passed_over(counts: Counter[str]) -> tuple[list[str], list[str]]:
    """What to say of audio in other formats, and of files that are none; nothing where there are none."""
    unread = Counter({kind: counts[kind] for kind in _TO_CONVERT if counts[kind]})
    others = counts - unread
    return (
        [f"{_counted(unread)} passed over: convert such audio to flac or wav with ffmpeg"] if unread else [],
        [f"{_counted(others)} passed over: their names are not those of audio"] if others else [],
    )


def _counted(counts: Counter[str]) -> str:
    """As "3 files (2 .jpg, 1 .txt)", the commonest first."""
    kinds = sorted(counts, key=lambda kind: (-counts[kind], kind))
    shown = [f"{counts[kind]} {kind}" for kind in kinds[:_SHOWN]]
    if rest := sum(counts[kind] for kind in kinds[_SHOWN:]):
        shown.append(f"{rest} others")
    return f"{counts.total()} files ({', '.join(shown)})"


def _group(path: str) -> str:
    parent = Path(path).parent.as_posix()
    return path if parent == "." else parent
