import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import DURATION_S, write_sound

from data_modules.corpora.base import BadTrack
from data_modules.corpora.giantsteps_key import GiantStepsKey, read_key
from data_modules.spans import Spans

HEADER = "#@format: key\ttimestamp(float)\tkey(string)\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four tracks: the newer annotation, both, only the older one, none."""
    for number, suffix in ((10089, "mp3"), (1068430, "mp3"), (209206, "wav"), (3438, "flac")):
        write_sound(tmp_path / "audio" / f"{number}.LOFI.{suffix}")
    for folder in ("key", "giantsteps", "genre", "jams"):
        (tmp_path / "annotations" / folder).mkdir(parents=True)
    (tmp_path / "annotations/key/10089.LOFI.key").write_text("E minor")
    (tmp_path / "annotations/key/1068430.LOFI.key").write_text("Bb major")
    (tmp_path / "annotations/giantsteps/1068430.LOFI.key").write_text(f"{HEADER}key 0 C major\n")
    (tmp_path / "annotations/giantsteps/209206.LOFI.key").write_text(f"{HEADER}key 0 G major\n")
    (tmp_path / "annotations/giantsteps/209206.LOFI.genre").write_text("breaks")
    (tmp_path / "audio/audio_dl.sh").write_text("")
    return tmp_path


def test_tracks(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(GiantStepsKey(root)))
    items = corpus.items()
    assert [item.track_id for item in items] == ["10089", "1068430", "209206", "3438"]
    assert {item.split for item in items} == {"test"}
    assert corpus.expected_tracks == 604
    assert corpus.remarks() == []
    tracks = [corpus.load(item) for item in items]
    assert [track.labels["key"].labels for track in tracks[:3]] == [("E minor",), ("Bb major",), ("G major",)]
    for track in tracks[:3]:
        assert corpus.gaps(track.item) == {}
        assert track.labels["key"].starts_s[0] == 0
        assert track.labels["key"].ends_s[0] == len(track.waveform_N) / 24_000 == pytest.approx(DURATION_S, abs=0.1)


def test_a_track_without_annotation_has_a_gap_that_names_the_files(root: Path) -> None:
    corpus = GiantStepsKey(root)
    item = corpus.items()[-1]
    assert corpus.load(item).labels == {}
    assert "key/3438.LOFI.key: no such file, nor" in corpus.gaps(item)["key"]
    assert "giantsteps/3438.LOFI.key" in corpus.gaps(item)["key"]


def test_missing_audio_is_named(root: Path) -> None:
    (root / "audio/10089.LOFI.mp3").unlink()
    corpus = GiantStepsKey(root)
    with pytest.raises(BadTrack, match=r"audio/10089\.LOFI\.mp3: no such file"):
        corpus.load(corpus.items()[0])
    assert corpus.remarks() == ["1 of 4 tracks have no audio: 10089"]


def test_what_macos_leaves_beside_a_file_is_no_track(root: Path) -> None:
    for name in ("audio/._10089.LOFI.mp3", "annotations/key/._10089.LOFI.key", "annotations/giantsteps/._9.LOFI.key"):
        (root / name).write_bytes(b"\x00\x05\x16\x07")
    assert [item.track_id for item in GiantStepsKey(root).items()] == ["10089", "1068430", "209206", "3438"]


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing in .*; expected audio/<id>\.LOFI\.mp3"):
        GiantStepsKey(tmp_path).items()


def write(folder: Path, text: str) -> Path:
    path = folder / "1.LOFI.key"
    path.write_text(text, "utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("E minor", [(0, 9, "E minor")]),
        ("\ufeffDb maj\r\n", [(0, 9, "Db major")]),
        (f"{HEADER}key 0 E minor\n", [(0, 9, "E minor")]),
        # As giantsteps-mtg-keys has it: tabs, a confidence and a comment.
        (f"{HEADER}key\t0\te minor\t2\tthere is some g# (e major)\n", [(0, 9, "E minor")]),
        (f"{HEADER}key\t0.5\tFb minor\r\nkey\t4\tG\r\n", [(0.5, 4, "E minor"), (4, 9, "G major")]),
    ],
)
def test_formats(text: str, rows: list[tuple[float, float, str]], tmp_path: Path) -> None:
    assert read_key(write(tmp_path, text), 9.0) == Spans.of(rows)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("H minor", r"1\.LOFI\.key:1: 'H minor' is no key"),
        (f"{HEADER}\nkey 0 Q major", r"1\.LOFI\.key:3: 'Q major' is no key"),
        ("A minor / C major", r"1\.LOFI\.key:1: 'A minor / C major' names several keys"),
        ("E minor\nG major", r"1\.LOFI\.key:2: 'G major' after the key"),
        ("key zero E minor", r"1\.LOFI\.key:1: 'zero' is no time in seconds"),
        ("key nan E minor", r"1\.LOFI\.key:1: a time is not a finite number: 'nan'"),
        ("key 4 E minor\nkey 2 G major", r"1\.LOFI\.key:2: times must rise, but 2 s follows 4 s"),
        ("key -1 E minor", r"1\.LOFI\.key:1: key: a time before the start of the track"),
        ("key 0 E minor\nkey 10 G major", r"1\.LOFI\.key:2: key: a time beyond the end of the track, 10\.000 s"),
        ("key 10 E minor", r"1\.LOFI\.key:1: key: the span at 10\.000 s does not end after it starts"),
        (HEADER, r"1\.LOFI\.key: holds no key"),
        ("", r"1\.LOFI\.key: holds no key"),
    ],
)
def test_bad_annotations_are_named_with_their_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadTrack, match=message):
        read_key(write(tmp_path, text), 9.0)


def test_what_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "1.LOFI.key").write_bytes(b"\xff\xfeE")
    with pytest.raises(BadTrack, match=r"1\.LOFI\.key:1: cannot be read, for it is not UTF-8"):
        read_key(tmp_path / "1.LOFI.key", 9.0)
    with pytest.raises(BadTrack, match=r"2\.LOFI\.key: no such file"):
        read_key(tmp_path / "2.LOFI.key", 9.0)


@settings(max_examples=40)
@given(st.text(st.characters(codec="utf-8")) | st.text("key 0123.\t\nABCDEFGm#b@ minorjaf-/", max_size=40))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), text)
    try:
        spans = read_key(path, 9.0)
    except BadTrack as error:
        assert "1.LOFI.key" in str(error)
    else:
        assert len(spans) >= 1
