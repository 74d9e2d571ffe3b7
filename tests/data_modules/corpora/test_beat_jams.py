from pathlib import Path

import pytest
from rhythm_jams import jams_text
from sounds import write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.beat_jams import read_beats


def test_positions_are_counted_from_the_downbeats(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.jams", jams_text([0.5, 1.0, 1.5, 2.0, 2.5], [1.0, 2.01]))
    assert list(read_beats(path, 3.0)) == [(0.5, 0.5, "2"), (1.0, 1.0, "1"), (1.5, 1.5, "2"), (2.0, 2.0, "1"),
                                           (2.5, 2.5, "2")]  # fmt: skip
    path = write_text(tmp_path / "a.jams", jams_text([0.5, 1.0], []))
    assert read_beats(path, 3.0).labels == ("?", "?")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (jams_text([1.0, 0.5], []), r"a\.jams: beat, observation 2: beat: times must rise"),
        (jams_text([0.5, float("nan")], []), r"a\.jams: beat, observation 2: 'nan' is not a finite number"),
        (jams_text([0.5, 4.5], []), r"a\.jams: beat, observation 2: beat: a time beyond the end"),
        (jams_text([0.5, 1.0], [0.7]), r"a\.jams: there is a downbeat but no beat at 0\.700 s"),
        (jams_text([], [0.7]), r"a\.jams: holds no annotation of type 'beat'"),
        ("{}", r"a\.jams: cannot be read as a JAMS file"),
        ("[1]", r"a\.jams: cannot be read as a JAMS file"),
        ('{"annotations": [{"sandbox": {"annotation_type": "beat"}, "data": [1]}]}', r"a\.jams: cannot be read"),
        ('{"annotations": ["beat"]}', r"a\.jams: cannot be read as a JAMS file"),
        ("0.5 1\n", r"a\.jams: cannot be read as a JAMS file"),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(BadTrack, match=message):
        read_beats(write_text(tmp_path / "a.jams", text), 3.0)
