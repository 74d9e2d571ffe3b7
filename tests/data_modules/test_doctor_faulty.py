"""`musicfm doctor` tells labels that are there and cannot be used from labels that nobody made."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import layouts
import pretty_midi
import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import Corpus, Fault
from data_modules.corpora.gtzan import Gtzan
from data_modules.doctor import doctor

ALBUM = "The Beatles/01_-_Please_Please_Me"


def _isophonics(root: Path) -> Corpus:
    """Two songs, for where none has a file of chords the collection has no chords."""
    write_sound(root / "audio/Please Please Me/Misery.wav", rate=8001)
    write_text(root / f"annotations/chordlab/{ALBUM}/02_-_Misery.lab", "0 2 N\n")
    return layouts._beatles(root)


def _gtzan(root: Path) -> Corpus:
    layouts._gtzan(root)
    return Gtzan(root)


class Planted(NamedTuple):
    """A miniature, one of its annotation files with a NaN on the second line, and what is said of it."""

    layout: Callable[[Path], Corpus]
    file: str
    text: str
    track: str
    fault: str
    absent: str


PLANTED = {
    "isophonics": Planted(
        _isophonics,
        f"annotations/chordlab/{ALBUM}/11_-_Do_You_Want_To_Know_A_Secret.lab",
        "0.0 0.2 N\nnan 1.0 E\n",
        "01_-_Please_Please_Me/11_-_Do_You_Want_To_Know_A_Secret",
        "chord: {}:2: a time is not a finite number: 'nan'",
        "without chord labels: 1",
    ),
    "gtzan": Planted(
        _gtzan,
        "beats/gtzan_blues_00000.beats",
        "0.25\t1\nNaN\t2\n",
        "blues.00000",
        "beat: {}:2: 'NaN' is not a finite number",
        "without beat labels: 1",
    ),
}


def examined(corpus: Corpus, out: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, dict[str, str]]:
    """Exit code, what is printed with its white space made even, and the states of the tracks."""
    # A miniature has not as many tracks as the data set, which would be wrong by itself.
    corpus.expected_tracks = None
    code = 0
    try:
        doctor(corpus, out, jobs=1)
    except SystemExit as end:
        code = int(str(end.code))
    with out.open() as file:
        states = {row["track"]: row["state"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    return code, " ".join(capsys.readouterr().out.split()), states


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_nan_is_wrong_and_a_missing_file_is_told(
    planted: Planted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, out = tmp_path / "set", tmp_path / "all.tsv"
    corpus = planted.layout(root)
    code, said, states = examined(corpus, out, capsys)
    assert (code, set(states.values())) == (0, {"good"}), said
    file = write_text(root / planted.file, planted.text)
    fault = planted.fault.format(file)
    code, said, states = examined(corpus, out, capsys)
    assert code == 1
    assert f"labels that cannot be used: 1 {planted.track}: {fault}" in said
    assert f"to be looked at: labels that cannot be used 1 written: {out}" in said
    assert planted.absent not in said
    assert {track for track, state in states.items() if state == "faulty"} == {planted.track}
    assert fault in out.read_text()
    file.unlink()
    code, said, states = examined(type(corpus)(root), out, capsys)
    assert (code, set(states.values())) == (0, {"good"}), said
    assert f"{planted.absent} {planted.track}: " in said


def test_a_file_that_says_so_is_no_fault(tmp_path: Path) -> None:
    """Ballroom's -1 for beats that there are none of; but an empty file says nothing."""
    corpus = layouts._ballroom(tmp_path)
    (item,) = corpus.items()
    for text, is_fault in (("-1 -1\n", False), ("", True)):
        write_text(tmp_path / "BallroomAnnotations/Media-105901.beats", text)
        corpus.load(item)
        assert isinstance(corpus.gaps(item)["beat"], Fault) == is_fault


def test_what_hangs_on_faulty_labels_is_no_fault_of_its_own(tmp_path: Path) -> None:
    corpus = layouts._pop909(tmp_path)
    (item,) = corpus.items()
    write_text(tmp_path / "POP909/001/beat_midi.txt", "0.1 0.0 1.0\nnan 0.0 0.0\n")
    (tmp_path / "POP909/001/chord_midi.txt").unlink()
    faults = {kind: isinstance(reason, Fault) for kind, reason in corpus.gaps(item).items()}
    assert faults == {"beat": True, "chord": False, "key": False, "section": False}


def test_phrases_of_pop909_that_we_judge_unlikely_are_told_and_are_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole files of POP909 are so, and nobody can mend them; text that is no list of phrases is a fault."""
    corpus = layouts._pop909(tmp_path)
    file, midi = tmp_path / "POP909/001/human_label1.txt", tmp_path / "POP909/001/001.mid"
    song = pretty_midi.PrettyMIDI(str(midi))
    (melody,) = (track for track in song.instruments if track.name == "MELODY")
    beats_s = [float(line.split()[0]) for line in (file.parent / "beat_midi.txt").read_text().splitlines()]
    melody.notes = [pretty_midi.Note(90, 50 + at, at_s, at_s + 0.1) for at, at_s in enumerate(beats_s)]
    song.write(str(midi))
    write_text(file, "A2A2\n")
    out = tmp_path / "all.tsv"
    code, said, states = examined(corpus, out, capsys)
    assert (code, states) == (0, {"001": "good"}), said
    why = f"001: {file}:1: left out, for phrases of the same letter do not sound alike"
    assert f"without section labels: 1 {why}" in said
    assert "section" in out.read_text()
    write_text(file, "2A2A\n")
    code, said, states = examined(corpus, out, capsys)
    assert (code, states) == (1, {"001": "faulty"})
    assert f"labels that cannot be used: 1 001: section: {file}:1: '2A2A' is no list of phrases" in said
