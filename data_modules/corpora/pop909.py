"""`pop909`: Chinese pop songs as MIDI with annotations (Wang et al., ISMIR 2020), rendered to audio."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pretty_midi
from mido import KeySignatureError

from data_modules.corpora.base import Absent, BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.label_rows import Label, Row, number, rows, spans
from data_modules.corpora.other_soundfont import take_soundfont
from data_modules.corpora.pop909_form import Bars, bars_of, melody_of, sections_of
from data_modules.labels import check
from data_modules.spans import Spans
from data_modules.synth import Note, Part, check_soundfont, render

_TAIL_S = 1.0
"""For the last notes to die away."""

_LONGEST_S = 1800.0
"""Of a song: a damaged tempo makes hours of it, too many to render."""

_MELODY = {"piano": 0, "vibraphone": 11, "harmonica": 22, "violin": 40, "trumpet": 56, "saxophone": 65,
           "oboe": 68, "clarinet": 71, "flute": 73}  # fmt: skip
_BRIDGE = {"music box": 10, "organ": 16, "electric guitar": 27, "strings": 48, "choir": 52, "horn": 60}
_PIANO = {"piano": 0, "electric piano": 4, "harpsichord": 6, "guitar": 24, "steel guitar": 25, "harp": 46}
_PROGRAMS = {"MELODY": _MELODY, "BRIDGE": _BRIDGE, "PIANO": _PIANO}
"""General MIDI programs from 0 that the three tracks of a song are played by, drawn for each song."""

_KEYS = {"maj": "major", "min": "minor"}


class Pop909(Corpus):
    """POP909 with the phrase structure of Dai et al. (ISMIR 2020), played by instruments drawn for each song.

    Labels: beats with their place in the bar, chords, keys, phrases (letters, intro, inst, outro) and the
    instruments as tags. A kind whose file is missing or does not fit the song is absent, and so are phrases
    whose like do not sound alike, as in one song of twenty; `Pop909.gaps` says why.

    Args:
        root: The folder that holds 001, 002, ..., or its parent (where it is called POP909).
        soundfont: A General MIDI soundfont (.sf2) that plays the songs; TimGM6mb if left out.
    """

    name = "pop909"
    family = "pop909"
    licence = "MIT (POP909, Music X Lab; phrase structure, Shuqi Dai); rendered with TimGM6mb"
    note = "synthetic performance"
    expected_tracks = 909

    def __init__(self, root: Path, soundfont: Path | None = None) -> None:
        self.root = Path(root)
        self.soundfont = soundfont
        take_soundfont(self, soundfont)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a song is a group; those that the split file does not name are for training.

        Raises:
            FileNotFoundError: There is no such folder, or no song in it; or no such soundfont.
            ValueError: The soundfont is none.
        """
        check_soundfont(self.soundfont)
        splits, twins = _splits()
        return [Item(one.name, twins.get(one.name, one.name), splits.get(one.name, "train")) for one in self._songs()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        folder = self._folder() / item.track_id
        midi = _read_midi(folder / f"{item.track_id}.mid")
        duration_s = midi.get_end_time() + _TAIL_S
        rng = np.random.default_rng(zlib.crc32(item.track_id.encode()))
        parts, instruments = [], []
        for track in midi.instruments:
            choice = _PROGRAMS.get(track.name, _PIANO)
            instrument = str(rng.choice(list(choice)))
            notes = [Note(n.start, n.end, n.pitch, n.velocity) for n in track.notes if n.end > n.start]
            parts.append(Part(choice[instrument], notes))
            if notes:
                instruments.append(instrument)
        labels, _ = _labels(folder, midi, duration_s)
        tags = [f"instrument---{name}" for name in dict.fromkeys(instruments)]
        labels["tag"] = Spans.of((0.0, duration_s, tag) for tag in tags)
        check(labels, duration_s, str(folder))
        return Track(item, render(parts, duration_s, self.soundfont), labels)

    def gaps(self, item: Item) -> dict[Kind, str]:
        """Why a song lacks a kind of label, by kind, without rendering it.

        Raises:
            BadTrack: As `load`.
        """
        folder = self._folder() / item.track_id
        midi = _read_midi(folder / f"{item.track_id}.mid")
        return _labels(folder, midi, midi.get_end_time() + _TAIL_S)[1]

    def _folder(self) -> Path:
        inner = self.root / "POP909"
        return inner if inner.is_dir() else self.root

    def _songs(self) -> list[Path]:
        expected = "expected the folder of POP909 that holds 001/001.mid, 002/002.mid, ... (or its parent)"
        if not self.root.is_dir():
            raise FileNotFoundError(f"pop909: no folder {self.root}; {expected}")
        songs = sorted(one for one in self._folder().iterdir() if (one / f"{one.name}.mid").is_file())
        if not songs:
            raise FileNotFoundError(f"pop909: no song in {self.root}; {expected}")
        return songs


def _splits() -> tuple[dict[str, Split], dict[str, str]]:
    """The split of each song in the list beside this file, and the name it goes by where it is there twice.

    Lines are `test: 003 009 ...`, and `same: 017 018` for two recordings of one song.
    """
    text = (files("data_modules.corpora") / "splits" / "pop909.txt").read_text("utf-8")
    splits: dict[str, Split] = {}
    twins: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, songs = line.partition(":")
        if colon and name in ("val", "test"):
            splits.update(dict.fromkeys(songs.split(), "val" if name == "val" else "test"))
        elif colon and name == "same":
            twins.update(dict.fromkeys(songs.split(), songs.split()[0]))
    return splits, twins


def _read_midi(path: Path) -> pretty_midi.PrettyMIDI:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tempi on other tracks than the first
            midi = pretty_midi.PrettyMIDI(str(path))
    except (OSError, EOFError, ValueError, KeyError, IndexError, KeySignatureError) as error:
        raise BadTrack(f"{path}: cannot be read as MIDI ({error or type(error).__name__})") from error
    if not any(track.notes for track in midi.instruments):
        raise BadTrack(f"{path}: holds no notes")
    if midi.get_end_time() > _LONGEST_S:
        raise BadTrack(f"{path}: lasts {midi.get_end_time():.0f} s, longer than any song ({_LONGEST_S:.0f} s)")
    return midi


def _labels(folder: Path, midi: pretty_midi.PrettyMIDI, duration_s: float) -> tuple[dict[Kind, Spans], dict[Kind, str]]:
    """The labels that the files of a song give, and for the other kinds the reason why not."""
    labels: dict[Kind, Spans] = {}
    gaps: dict[Kind, str] = {}
    bars: Bars | None = None
    try:
        path = folder / "beat_midi.txt"
        table = _table(path, 3)
        times_s = np.array([number(row.fields[0], row.source, is_time=True) for row in table])
        marks = np.array([number(row.fields[2], row.source) == 1 for row in table])
        beats = bars_of(times_s, marks, str(path))
        found = zip(table, times_s.tolist(), beats.positions, strict=True)
        labels["beat"] = spans(
            "beat", [Label(row.source, at, at, place) for row, at, place in found if at < duration_s], duration_s
        )
        bars = beats
    except BadTrack as error:
        gaps["beat"] = error.as_gap()
    try:
        labels["chord"] = _spans("chord", _intervals(folder / "chord_midi.txt"), duration_s)
    except BadTrack as error:
        gaps["chord"] = error.as_gap()
    try:
        path = folder / "key_audio.txt"
        if bars is None:
            raise Absent(f"{path}: is in the time of the recording, and no beats say how that relates to the MIDI")
        first = _table(folder / "beat_audio.txt", 2)[0]
        shift_s = float(bars.times_s[0]) - number(first.fields[0], first.source, is_time=True)
        keys = [
            replace(row, start_s=row.start_s + shift_s, end_s=row.end_s + shift_s, label=_key(row.label))
            for row in _intervals(path)
        ]
        labels["key"] = _spans("key", keys, duration_s)
    except BadTrack as error:
        gaps["key"] = error.as_gap()
    try:
        path = folder / "human_label1.txt"
        if bars is None:
            raise Absent(f"{path}: counts in bars, and there are no beats")
        (row,) = _table(path, 1)[:1]
        sections = sections_of(row.fields[0], bars, melody_of(midi, bars), row.source)
        labels["section"] = _spans("section", [Label(row.source, *section) for section in sections], duration_s)
    except BadTrack as error:
        gaps["section"] = error.as_gap()
    return labels, gaps


def _table(path: Path, num_columns: int) -> list[Row]:
    found = list(rows(path, r"\s+"))
    for row in found:
        if len(row.fields) != num_columns:
            raise BadTrack(f"{row.source}: expected {num_columns} columns, got {' '.join(row.fields)!r}")
    return found


def _intervals(path: Path) -> list[Label]:
    found = []
    for source, (start, end, label) in _table(path, 3):
        found.append(Label(source, number(start, source, is_time=True), number(end, source, is_time=True), label))
    return found


def _key(text: str) -> str:
    tonic, _, mode = text.partition(":")
    return f"{tonic} {_KEYS.get(mode, mode)}"


def _spans(kind: Kind, labels: Sequence[Label], duration_s: float) -> Spans:
    """Spans from rows, cut to the track: annotations of the recording run on before and after the MIDI."""
    cut = [replace(one, start_s=max(0.0, one.start_s), end_s=min(one.end_s, duration_s)) for one in labels]
    return spans(kind, [one for one in cut if one.end_s > one.start_s], duration_s)
