"""`gtzan`: GTZAN's 30-second excerpts of ten genres, with the beats and downbeats of GTZAN-Rhythm."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from data_modules.corpora import beat_jams, group_splits
from data_modules.corpora.audio_files import AUDIO_SUFFIXES, annotations_below, files_below
from data_modules.corpora.base import Absent, Corpus, Item, Kind, Split, Track
from data_modules.corpora.beat_files import SUFFIXES, read_beats
from data_modules.corpora.labelled_audio import gaps_of, load_labelled
from data_modules.corpora.notes import split_note
from data_modules.corpora.remarks import missing
from data_modules.corpora.tables import read_records
from data_modules.spans import Spans

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")

_BROKEN = "jazz.00054"
"""Cannot be decoded in the copy that most people have; left out everywhere, so that all test on the same 999."""

_NAME = re.compile(rf"(?:gtzan[_.])?(?P<genre>{'|'.join(GENRES)})[._](?P<number>\d{{5}})", re.IGNORECASE)


class Gtzan(Corpus):
    """GTZAN (Tzanetakis and Cook, 2002) with GTZAN-Rhythm (Marchand, Fresnel and Peeters, 2015).

    Labels: beats with their place in the bar, and the genre as a tag, `genre---blues` and so on. A track whose
    beats are missing or faulty keeps its genre; `Gtzan.gaps` says why.

    All tracks are for test unless a list says otherwise: beat_this and others train on other sets and test on
    the whole of GTZAN. MARBLE's split, which avoids repeated recordings and artists (Sturm 2013; Kereliuk et
    al. 2015), is not part of this package: name the folder with `train_filtered.txt`, `valid_filtered.txt` and
    `test_filtered.txt` as `split_file`.

    Args:
        root: The folder that holds `genres` or `genres_original`, and in it `blues/blues.00000.wav` and so on.
        annotations: The folder of the beats, if not within `root`: `gtzan_blues_00000.beats` (beat_this and
            others), `blues.00000.beats`, or GTZAN-Rhythm's own `blues.00000.wav.jams`. Where its `stats.csv`
            lies beside them, the artists in it are the groups.
        split_file: A list of tracks with their splits, or a folder of lists; tracks that are in none are left
            out.
    """

    name = "gtzan"
    licence = "GTZAN: no licence known, excerpts of published recordings, for research; GTZAN-Rhythm: cite its authors"
    expected_tracks: int | None = 999
    """1000 (Tzanetakis and Cook, 2002; mirdata's table of data sets) less the broken one."""

    def __init__(self, root: Path, annotations: Path | None = None, split_file: Path | None = None) -> None:
        self.root = Path(root)
        self.annotations = Path(annotations) if annotations else None
        self.split_file = Path(split_file) if split_file else None
        self.note = split_note(split_file)
        if split_file is not None:
            self.expected_tracks = None
        self._gaps: dict[str, dict[Kind, str]] = {}

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: A folder is not there or holds nothing of the kind.
            ValueError: Two files for one track, or a list of splits that cannot be read.
        """
        splits = self._splits
        return [Item(one, self._artists.get(one, one), splits[one]) for one in self._audio if one in splits]

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return (self._splits if self.split_file else self._files).keys() - {_BROKEN}

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        genre = item.track_id.split(".")[0]
        track, self._gaps[item.track_id] = load_labelled(
            item,
            self._audio[item.track_id],
            {
                "tag": lambda duration_s: Spans.of([(0.0, duration_s, f"genre---{genre}")]),
                "beat": lambda duration_s: self._beats(item.track_id, duration_s),
            },
        )
        return track

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """See `Corpus.gaps`."""
        return gaps_of(self, item, self._gaps)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        return [
            f"{_BROKEN} is left out, there or not: its audio is broken in the copy that most people have",
            *missing(self._audio, self._files, "tracks have no file of beats"),
            *missing(self._files, self._audio, "tracks with beats have no audio"),
            *missing(self._audio, self._splits, f"tracks are in no list of {self.split_file}"),
        ]

    def _beats(self, track: str, duration_s: float) -> Spans:
        path = self._files.get(track)
        if path is None:
            raise Absent(f"{self.annotations or self.root}: no file of beats for {track}")
        return (beat_jams.read_beats if path.suffix == ".jams" else read_beats)(path, duration_s)

    @cached_property
    def _audio(self) -> dict[str, Path]:
        # Who has both folders has the same audio twice.
        what = "gtzan: audio such as genres/blues/blues.00000.wav"
        inner = [self.root / name for name in ("genres_original", "genres") if (self.root / name).is_dir()]
        found = files_below(inner[0] if inner else self.root, AUDIO_SUFFIXES, _track, what)
        return {track: path for track, path in found.items() if track != _BROKEN}

    @cached_property
    def _files(self) -> dict[str, Path]:
        what = "gtzan: beats such as gtzan_blues_00000.beats, blues.00000.beats or blues.00000.wav.jams"
        suffixes = (*SUFFIXES, ".wav.jams", ".au.jams", ".jams")
        # The genres alone are of use.
        found = annotations_below(self.annotations, self.root, suffixes, _track, what, required=False)
        return {track: path for track, path in found.items() if track != _BROKEN}

    @cached_property
    def _splits(self) -> dict[str, Split]:
        if self.split_file is None:
            return dict.fromkeys(self._audio, "test")
        return group_splits.from_lists(self.split_file, None, _track)

    @cached_property
    def _artists(self) -> dict[str, str]:
        """The artist of each track by GTZAN-Rhythm's `stats.csv`: name of the audio first, a column `artist`."""
        # A relative path may have no folder above it.
        beats = [path.parent.resolve() for path in list(self._files.values())[:1]]
        folders = [folder for inner in beats for folder in (inner, inner.parent)]
        table = next((folder / "stats.csv" for folder in folders if (folder / "stats.csv").is_file()), None)
        if table is None:
            return {}
        rows = read_records(table, (), "stats.csv of GTZAN-Rhythm")
        named = ((_track(next(iter(row.values()))), row.get("artist")) for row in rows)
        return {track: artist for track, artist in named if track and artist}


def _track(name: str) -> str | None:
    match = _NAME.fullmatch(name.lower().removesuffix(".wav").removesuffix(".au"))
    return f"{match['genre']}.{match['number']}" if match else None
