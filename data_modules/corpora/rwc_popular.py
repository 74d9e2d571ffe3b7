"""`rwc_popular`: the 100 songs of RWC Popular (Goto et al., 2002) with the AIST Annotation."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

from data_modules.corpora import group_splits
from data_modules.corpora.aist_files import read_beats, read_chords, read_sections
from data_modules.corpora.audio_files import AUDIO_SUFFIXES, annotations_below, files_below
from data_modules.corpora.base import Absent, BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.labelled_audio import Reader, gaps_of, load_labelled
from data_modules.corpora.notes import split_note
from data_modules.corpora.remarks import missing
from data_modules.corpora.tables import read_records
from data_modules.spans import Spans

_NAME = re.compile(r"(?:RM-|RWC[_-])P(?P<song>\d{3})(?:\..*)?", re.IGNORECASE)
_ON_DISC = re.compile(r"rwc-p-m(?P<disc>\d\d)/(?P<track>\d{1,2})", re.IGNORECASE)
_CHORDS = re.compile(r"N(?P<song>\d{3})-M(?P<disc>\d\d)-T(?P<track>\d\d)", re.IGNORECASE)

_READERS: dict[Kind, tuple[str, Callable[[Path, float], Spans]]] = {
    "beat": (".beat.txt", read_beats),
    "section": (".chorus.txt", read_sections),
    "chord": (".lab", read_chords),
}


class RwcPopular(Corpus):
    """RWC-MDB-P-2001: 80 songs in the style of Japanese charts and 20 in that of American ones.

    Labels: beats with their place in the bar, sections as functions, and chords where their files are there.
    A kind whose file is missing or faulty is absent; `RwcPopular.gaps` says why. A group is an artist if the
    table `rwc-p.csv` (github.com/magdalenafuentes/metadata) is there, else a song.

    Args:
        root: The folder of the audio, at any depth: `RM-P001.wav`, `RWC_P001.wav`, or `rwc-p-m01/1.wav` by disc
            and track; what song that is, `rwc-p.csv` or the names of the files of chords tell.
        annotations: The folder of `RM-P001.BEAT.TXT`, `RM-P001.CHORUS.TXT` and `N001-M01-T01.lab`, at any depth,
            if not within `root`.
        fold: Which of eight folds is for test, with the next for validation. They are made by a hash of the
            group, and are not those of publications.
        split_file: A list of tracks (RM-P001 and so on) with their folds or splits; takes the place of our folds.
            Tracks that it does not name are left out.
    """

    name = "rwc_popular"
    licence = (
        "audio: RWC Music Database, AIST, research by its terms; AIST Annotation: cite Goto 2006; chords: Cho 2011"
    )
    expected_tracks: int | None = 100
    """Goto et al. (2002); as in mirdata's table of data sets."""

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
        return [Item(one, self._group(one), self._splits[one]) for one in self._audio if one in self._splits]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self._splits if self.split_file else self._annotated

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        readers: dict[Kind, Reader] = {kind: partial(self._labels, kind, item.track_id) for kind in _READERS}
        track, why = load_labelled(item, self._audio[item.track_id], readers)
        if not track.labels:
            raise BadTrack("; ".join(why.values()))
        self._gaps[item.track_id] = why
        return track

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return [
            *(line for k, files in self._files.items() for line in missing(self._audio, files, f"songs have no {k}s")),
            *missing(self._annotated, self._audio, "annotated songs have no audio"),
            *missing(self._audio, self._splits, f"songs are not in {self.split_file}"),
        ]

    def _labels(self, kind: Kind, track: str, duration_s: float) -> Spans:
        suffix, read = _READERS[kind]
        if track not in self._files[kind]:
            raise Absent(f"{self.annotations or self.root}: no file {suffix} for {track}")
        return read(self._files[kind][track], duration_s)

    def _group(self, track: str) -> str:
        return self._table.get(track, {}).get("Artist (Vocal)") or track

    @cached_property
    def _files(self) -> dict[Kind, dict[str, Path]]:
        """Files of each kind by song; at least one kind has some."""
        what = "rwc_popular: annotations such as RM-P001.BEAT.TXT"
        found: dict[Kind, dict[str, Path]] = {}
        lacking: list[FileNotFoundError] = []
        for kind, (suffix, _) in _READERS.items():
            try:
                found[kind] = annotations_below(self.annotations, self.root, (suffix,), _annotated, what)
            except FileNotFoundError as error:
                found[kind] = {}
                lacking.append(error)
        if len(lacking) == len(_READERS):
            raise lacking[0]
        return found

    @property
    def _annotated(self) -> set[str]:
        return {track for files in self._files.values() for track in files}

    @cached_property
    def _audio(self) -> dict[str, Path]:
        on_disc = {
            (int(row["Cat. Suffix"][1:]), int(row["Tr. No."].split()[-1])): track for track, row in self._table.items()
        }
        for path in self._files["chord"].values():
            match = _CHORDS.match(path.name)
            if match:
                on_disc[int(match["disc"]), int(match["track"])] = f"RM-P{match['song']}"

        def track_of(path: str) -> str | None:
            match = _ON_DISC.search(path)
            by_disc = on_disc.get((int(match["disc"]), int(match["track"]))) if match else None
            return by_disc or _track(path.rpartition("/")[2])

        what = "rwc_popular: audio such as RM-P001.wav (or rwc-p-m01/1.wav, with rwc-p.csv or chords that name it)"
        return files_below(self.root, AUDIO_SUFFIXES, track_of, what, by_path=True)

    @cached_property
    def _table(self) -> dict[str, dict[str, str]]:
        """The rows of `rwc-p.csv` by song, as far as they say which disc and track it is."""
        folders = [folder for folder in (self.annotations, self.root) if folder]
        path = next((path for folder in folders for path in sorted(folder.rglob("rwc-p.csv"))), None)
        if path is None:
            return {}
        found = {}
        for row in read_records(path, (), "the table of RWC Popular"):
            song = re.fullmatch(r"No\. ?(\d{1,3})", row.get("Piece No.", ""))
            on_disc = re.fullmatch(r"M\d\d;Tr\. ?\d\d", f"{row.get('Cat. Suffix')};{row.get('Tr. No.')}")
            if song and on_disc:
                found[f"RM-P{int(song[1]):03d}"] = row | {"Tr. No.": row["Tr. No."].replace("Tr.", "Tr. ")}
        return found

    @cached_property
    def _splits(self) -> dict[str, Split]:
        groups = {track: self._group(track) for track in self._audio}
        return group_splits.splits(groups, self.fold, self.split_file, _track)


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    return f"RM-P{match['song']}" if match else None


def _annotated(name: str) -> str | None:
    match = _CHORDS.fullmatch(name)
    return f"RM-P{match['song']}" if match else _track(name)
