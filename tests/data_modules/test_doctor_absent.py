"""`musicfm doctor` names what annotations or lists name and the disk lacks, whether or not a count is published."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import command
import pytest
from layouts import BEATS, LAYOUTS
from sounds import write_sound, write_text

from data_modules.corpora.base import Corpus
from data_modules.corpora.beat_this_annotations import BeatThisAnnotations
from data_modules.doctor import doctor


class Lacking(NamedTuple):
    """Tracks without audio: their names, and what is written so that they are annotated (or they are listed)."""

    tracks: set[str]
    files: Mapping[str, str] = {}


ALBUM = "The Beatles/01_-_Please_Please_Me"
LACKING = {
    "_gtzan": Lacking({"rock.00001", "rock.00002"}),
    "_gtzan_rhythm": Lacking({"blues.00001"}, {"beats/gtzan_blues_00001.beats": BEATS}),
    "_ballroom": Lacking({"Media-105902"}),
    "_hainsworth": Lacking({"002"}, {"annotations/beats/002.beats": BEATS}),
    "_smc": Lacking({"SMC_002"}, {"SMC_MIREX_Annotations_05_08_2014/SMC_002_1_1_1_a.txt": "0.5\n"}),
    "_beat_this": Lacking({"zavala.muniz.2014_41"}),
    "_rwc_popular": Lacking({"RM-P002"}, {"BEAT/RM-P002.BEAT.TXT": "4\t49\t384\n"}),
    "_beatles": Lacking(
        {"01_-_Please_Please_Me/02_-_Misery"}, {f"annotations/chordlab/{ALBUM}/02_-_Misery.lab": "0 1 N\n"}
    ),
    "_harmonix": Lacking({"0002_1985"}, {"dataset/segments/0002_1985.txt": "0.0 intro\n"}),
    "_salami": Lacking({"2", "4"}, {f"annotations/{at}/parsed/textfile1_functions.txt": "0.0\tEnd\n" for at in "24"}),
    "_salami_letters": Lacking({"2"}, {"annotations/2/parsed/textfile1_lowercase.txt": "0.0\tEnd\n"}),
    "_billboard": Lacking({"0004"}, {"McGill-Billboard/0004/full.lab": "0.0\t1.0\tN\n"}),
    "_jams_folder": Lacking({"album/other"}, {"album/other.jams": "{}"}),
}


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__)
def test_what_is_named_and_has_no_audio(layout: Callable[[Path], Corpus], tmp_path: Path) -> None:
    """Of every layout, unless `items` has all that its tables list: then what has no audio cannot be loaded."""
    if layout.__name__ == "_jams_folder":
        pytest.importorskip("jams")
    corpus = layout(tmp_path)
    lacking = LACKING.get(layout.__name__)
    for name, text in (lacking.files if lacking else {}).items():
        write_text(tmp_path / name, text)
    items = {item.track_id for item in corpus.items()}
    named = corpus.named()
    assert items
    assert (None if named is None else set(named) - items) == (lacking.tracks if lacking else None)


def test_a_set_without_a_published_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("ansina_01", "ansina_02", "zavala_41")
    for number, name in enumerate(names):
        write_text(tmp_path / f"annotations/candombe/annotations/beats/{name}.beats", BEATS)
        write_sound(tmp_path / f"audio/{name}.wav", rate=8000 + number)  # so that no two sound the same
    write_text(tmp_path / "annotations/candombe/single.split", "".join(f"{name}\ttrain\n" for name in names))
    corpus = BeatThisAnnotations(tmp_path / "annotations", "candombe", tmp_path / "audio")
    doctor(corpus, jobs=1)
    assert "beat_this_candombe: nothing is wrong" in capsys.readouterr().out
    for name in names[1:]:
        (tmp_path / f"audio/{name}.wav").unlink()
    settings = ("--corpus.set_name", "candombe", "--corpus.audio", tmp_path / "audio", "--jobs", "1")
    root = ("--root", tmp_path / "annotations", "--out", tmp_path / "all.tsv")
    done = command.musicfm("doctor", "--corpus", "beat_this_annotations", *settings, *root)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join(done.stdout.split())
    assert "annotated or listed, but not there: 2 ansina_02 zavala_41 " in said
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("all")]
    assert [cell.strip() for cell in row.split("│")[1:4]] == ["1", "3", "1"]
    assert said.endswith("beat_this_candombe: to be looked at: annotated or listed, but not there 2 written: "
                         f"{tmp_path}/all.tsv")  # fmt: skip
    with (tmp_path / "all.tsv").open() as file:
        states = {row["track"]: row["state"] for row in csv.DictReader(file, delimiter="\t")}
    assert states == {"ansina_01": "good", "ansina_02": "absent", "zavala_41": "absent"}


def test_rows_that_are_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two of the three clips of the miniature have no audio, either."""
    (layout,) = [one for one in LAYOUTS if one.__name__ == "_magnatagatune_won"]
    with pytest.raises(SystemExit):
        doctor(layout(tmp_path), jobs=1)
    said = " ".join(capsys.readouterr().out.split())
    assert "3 are there, but magnatagatune-won should hold 21108" in said
    assert "cannot be used: 2" in said and "no such file" in said
