from pathlib import Path

import pytest
from sounds import write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.billboard_sections import header, read_sections

LINES = """# title: I Don't Mind
# artist: James Brown
# metre: 6/8
# tonic: C

0.0	silence
7.3469387e-2	A, intro, | A:min | C:maj |, (guitar)
0.5	| A:min | A:min |, x2
0.8	B', pre-chorus, | F:maj |, (voice
1.0	(voice
1.1	Z
1.2	C, | F:maj |
1.4	Z, fadeout
1.8	end
"""


def test_sections_and_header(tmp_path: Path) -> None:
    path = write_text(tmp_path / "salami_chords.txt", LINES)
    assert header(path) == {"title": "I Don't Mind", "artist": "James Brown", "metre": "6/8", "tonic": "C"}
    assert [(row.start_s, row.end_s, row.label) for row in read_sections(path, 9.0)] == [
        (0.0, 0.073469387, "silence"),
        (0.073469387, 0.8, "intro"),
        (0.8, 1.1, "pre-chorus"),
        (1.1, 1.2, "Z"),
        (1.2, 1.4, "C"),
        (1.4, 1.8, "fadeout"),
    ]


def test_without_an_end_the_last_section_ends_with_the_audio(tmp_path: Path) -> None:
    path = write_text(tmp_path / "salami_chords.txt", "1.0\tA, verse, | C:maj |\n")
    assert [(row.start_s, row.end_s) for row in read_sections(path, 9.0)] == [(1.0, 9.0)]
    with pytest.raises(BadTrack, match=r"salami_chords\.txt: is empty"):
        read_sections(write_text(path, "# nothing\n"), 9.0)


def test_a_line_without_a_time(tmp_path: Path) -> None:
    path = write_text(tmp_path / "salami_chords.txt", "# x\n0.0\tsilence\nA, intro\n")
    with pytest.raises(BadTrack, match=r"salami_chords\.txt:3: 'A,' is no time in seconds"):
        read_sections(path, 9.0)
    with pytest.raises(BadTrack, match="no such file"):
        header(tmp_path / "absent.txt")


def test_a_function_in_capitals_is_no_letter(tmp_path: Path) -> None:
    path = write_text(tmp_path / "salami_chords.txt", "0.0\tA', VERSE, | C |\n1.0\tCHORUS\n2.0\tB, | C |\n3.0\tend\n")
    assert [row.label for row in read_sections(path, 9.0)] == ["VERSE", "CHORUS", "B"]
