"""`ballroom`: 30-second excerpts of ballroom dances (Gouyon et al., 2006) with beats (Krebs, Böck and Widmer, 2013)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from data_modules.corpora import group_splits
from data_modules.corpora.audio_files import AUDIO_SUFFIXES, annotations_below, files_below
from data_modules.corpora.base import Absent, BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.beat_files import SUFFIXES, read_beats
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.notes import split_note
from data_modules.corpora.remarks import missing, remark
from data_modules.spans import Spans

REPLICAS = {
    "Albums-Chrisanne2-12": "Albums-AnaBelen_Veneo-11",
    "Albums-Fire-09": "Albums-Fire-08",
    "Albums-Latin_Jam2-13": "Albums-Latin_Jam2-05",
    "Media-104705": "Albums-Secret_Garden-01",
    "Albums-AnaBelen_Veneo-15": "Albums-AnaBelen_Veneo-03",
    "Albums-Ballroom_Magic-18": "Albums-Ballroom_Magic-03",
    "Albums-Latin_Jam-13": "Albums-Latin_Jam-04",
    "Albums-Latin_Jam-14": "Albums-Latin_Jam-08",
    "Albums-Latin_Jam-15": "Albums-Latin_Jam-06",
    "Albums-Latin_Jam2-14": "Albums-Latin_Jam2-02",
    "Albums-Latin_Jam2-15": "Albums-Latin_Jam2-07",
    "Media-103414": "Albums-Latin_Jam3-02",
    "Media-103415": "Media-103402",
}
"""Excerpts that are in the set twice, exactly (the first four) or as the same recording, and the one that is kept.

Found by Sturm (2014), as listed in the README of the annotations (github.com/CPJKU/BallroomAnnotations); the
same 13 that beat_this's lists leave out.
"""

_DANCES = {
    "chachacha": "chachacha",
    "jive": "jive",
    "quickstep": "quickstep",
    "rumba": "rumba",
    "rumba-american": "rumba",
    "rumba-international": "rumba",
    "rumba-misc": "rumba",
    "samba": "samba",
    "tango": "tango",
    "viennesewaltz": "viennesewaltz",
    "waltz": "waltz",
}
"""Folders of the audio to the eight classes of the tempo contest: its three kinds of rumba are one."""

_NAME = re.compile(r"(?:ballroom_)?(Albums-.+-\d+|Media-\d+)")


class Ballroom(Corpus):
    """The Ballroom set of the ISMIR 2004 tempo contest: 698 excerpts, of which 13 are there twice and left out.

    Labels: beats with their place in the bar, and the dance as a tag, `genre---waltz` and so on. A track whose
    beats are missing or faulty keeps its dance; `Ballroom.gaps` says why. A group is an album or disc.

    Args:
        root: The folder that holds `Waltz/Media-105901.wav` and so on, at any depth.
        annotations: The folder of `Media-105901.beats` and so on (or `ballroom_Media-105901.beats`), if not
            within `root`; the older release with positions such as `9.3` (bar and beat) will do.
        fold: Which of eight folds is for test, with the next for validation. They are made by a hash of the
            group, and are not those of publications.
        split_file: A list of tracks with their folds or splits, such as beat_this's `8-folds.split`; takes the
            place of our folds. Tracks that it does not name are left out.
    """

    name = "ballroom"
    licence = (
        "audio: excerpts of published recordings, for research; beats: CC BY-NC-SA 4.0 by mirdata, cite Krebs 2013"
    )
    expected_tracks: int | None = 685
    """Of 698, without the 13 that are there twice."""

    def __init__(
        self, root: Path, annotations: Path | None = None, fold: int = 0, split_file: Path | None = None
    ) -> None:
        self.root = Path(root)
        self.annotations = Path(annotations) if annotations else None
        self.fold = fold
        self.split_file = Path(split_file) if split_file else None
        self.note = split_note(split_file, fold, usual=0)
        if split_file is not None:
            self.expected_tracks = None
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A folder is not there or holds nothing of the kind.
            ValueError: Two files for one track, no such fold, or a list of splits that cannot be read.
        """
        splits = self._splits
        return [Item(one, _album(one), splits[one]) for one in self._audio if one in splits]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return (self._splits if self.split_file else self._files).keys() - REPLICAS.keys()

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        path = self._audio[item.track_id]
        track, why = load_labelled(
            item,
            path,
            {
                "beat": lambda duration_s: self._beats(item.track_id, duration_s),
                "tag": lambda duration_s: Spans.of([(0.0, duration_s, f"genre---{_dance(path)}")]),
            },
        )
        if not track.labels:
            raise BadTrack("; ".join(why.values()))
        self._gaps[item.track_id] = why
        return track

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        twice = [f"{replica} (as {kept})" for replica, kept in REPLICAS.items() if replica in self._left_out]
        return [
            *remark(sorted(twice), "excerpts are there twice and left out once", None),
            *missing(self._audio, self._files, "tracks have no file of beats"),
            *missing(set(self._files) - set(REPLICAS), self._audio, "tracks with beats have no audio"),
            *missing(self._audio, self._splits, f"tracks are not in {self.split_file}"),
        ]

    def _beats(self, track: str, duration_s: float) -> Spans:
        if track not in self._files:
            raise Absent(f"{self.annotations or self.root}: no file of beats for {track}")
        return read_beats(self._files[track], duration_s)

    @cached_property
    def _every(self) -> dict[str, Path]:
        return files_below(self.root, AUDIO_SUFFIXES, _track, "ballroom: audio such as Waltz/Media-105901.wav")

    @cached_property
    def _left_out(self) -> set[str]:
        return {track for track, kept in REPLICAS.items() if track in self._every and kept in self._every}

    @cached_property
    def _audio(self) -> dict[str, Path]:
        return {track: path for track, path in self._every.items() if track not in self._left_out}

    @cached_property
    def _files(self) -> dict[str, Path]:
        what = "ballroom: beats such as Media-105901.beats"
        # The dances alone are of use.
        return annotations_below(self.annotations, self.root, SUFFIXES, _track, what, required=False)

    @cached_property
    def _splits(self) -> dict[str, Split]:
        groups = {track: _album(track) for track in self._audio}
        return group_splits.splits(groups, self.fold, self.split_file, _track)


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return match[1] if match else None


def _dance(path: Path) -> str:
    dance = _DANCES.get(path.parent.name.lower())
    if dance is None:
        raise Absent(f"{path}: {path.parent.name!r} is no folder of a dance: {', '.join(_DANCES)}")
    return dance


def _album(track: str) -> str:
    """`Albums-Fire-08` is of the album `Albums-Fire`, `Media-105901` of the disc `Media-1059`."""
    return track.rpartition("-")[0] if track.startswith("Albums-") else track[:-2]
