from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sounds import write_text

from data_modules.corpora.aist_files import read_beats, read_chords, read_sections
from data_modules.corpora.base import BadTrack
from data_modules.spans import Spans

BEATS = "4\t49\t384\n49\t93\t48\n93\t137\t96\n137\t182\t144\n182\t226\t384\n226\t271\t48\n"


def test_beats_come_in_centiseconds(tmp_path: Path) -> None:
    path = write_text(tmp_path / "RM-P001.BEAT.TXT", BEATS.replace("\n", "\r\n"))
    beats = read_beats(path, 3.0)
    assert beats.starts_s.tolist() == [0.04, 0.49, 0.93, 1.37, 1.82, 2.26]
    assert beats.labels == ("1", "2", "3", "4", "1", "2")


def test_an_upbeat_is_counted_back_and_rows_of_minus_one_are_dropped(tmp_path: Path) -> None:
    text = "10\t20\t144\n" + "".join(
        f"{20 + 10 * i}\t{30 + 10 * i}\t{tick}\n" for i, tick in enumerate([384, 48, 96, 144, 384, -1, 48, 96])
    )
    beats = read_beats(write_text(tmp_path / "RM-P002.BEAT.TXT", text), 3.0)
    assert beats.labels == ("4", "1", "2", "3", "4", "1", "2", "3")
    assert 0.7 not in beats.starts_s.tolist()


@pytest.mark.usefixtures("librosa_is_compiled")
def test_beats_as_mirdata_reads_them(tmp_path: Path) -> None:
    module = pytest.importorskip("mirdata.datasets.rwc_popular")
    upbeat = "1\t2\t96\n2\t3\t144\n"
    for text in (BEATS, upbeat + BEATS, BEATS + "300\t310\t-1\n"):
        path = write_text(tmp_path / "RM-P001.BEAT.TXT", text)
        theirs, ours = module.load_beats(str(path)), read_beats(path, 5.0)
        np.testing.assert_allclose(ours.starts_s, theirs.times)
        assert [float(label) for label in ours.labels] == theirs.positions.tolist()


def test_sections(tmp_path: Path) -> None:
    text = (
        '4\t100\t"intro"\n100\t200\t"verse A"\n200\t250\t"pre-chorus"\n250\t400\t"chorus B"\t(+2)\n'
        '400\t400\t"chorus C"\n400\t450\tpost-chorus\n450\t500\t"bridge A"\n500\t560\t"ending"\n560\t700\t"nothing"\n'
    )
    sections = read_sections(write_text(tmp_path / "RM-P001.CHORUS.TXT", text), 6.5)
    assert sections.labels == ("intro", "verse", "verse", "chorus", "chorus", "bridge", "outro", "silence")
    assert (sections.starts_s[0], sections.ends_s[-2], sections.ends_s[-1]) == (0.04, 5.6, 6.5)


def test_chords(tmp_path: Path) -> None:
    text = "0.000\t0.104\tN\r\n0.104\t1.858\tAb:min7/b3\r\n1.858\t3.0\tC#\r\n"
    chords = read_chords(write_text(tmp_path / "N001-M01-T01.lab", text), 2.5)
    assert list(chords) == [(0.0, 0.104, "N"), (0.104, 1.858, "Ab:min7/b3"), (1.858, 2.5, "C#")]


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (read_beats, "4\t49\t384\n3\t93\t48\n", "x:2: beat: times must rise"),
        (read_beats, "4\t49\t384\n900\t950\t48\n", "x:2: beat: a time beyond the end of the track, 9.000 s of 5.000 s"),
        (read_beats, "4\t384\n", "x:1: expected start, end and position"),
        (read_beats, "4\t49\tnan\n", "x:1: 'nan' is not a finite number"),
        (read_beats, "4\t49\t-1\n", "x: says that there are no beats"),
        (read_sections, '4\t90\t"intro"\n90\t99\t"fade-out"\n', 'x:2: section "fade-out" is unknown; known are intro'),
        (read_sections, '4\t90\t"intro"\n90\t800\t"ending"\n', "x:2: section: a time beyond the end"),
        (read_sections, '4\t90\t"intro"\n80\t95\t"verse A"\n', "x:2: section: times must rise"),
        (read_sections, "4\t90\n", "x:1: expected start, end and label"),
        (read_sections, "", "x: is empty"),
        (read_chords, "0.0\t1.0\tC\n1.0\t2.0\tH:maj\n", "x:2: chord at 1.000 s: 'H:maj' is no chord"),
        (read_chords, "0.0\t1.0\tC\n1.0\t0.5\tD\n", "x:2: chord: the span at 1.000 s does not end after it starts"),
        (read_chords, "0.0\tone\tC\n", "x:1: 'one' is no number"),
    ],
)
def test_faults_name_file_and_line(
    tmp_path: Path, read: Callable[[Path, float], Spans], text: str, message: str
) -> None:
    with pytest.raises(BadTrack, match=message):
        read(write_text(tmp_path / "x", text), 5.0)
