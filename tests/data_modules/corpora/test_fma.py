import csv
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import write_sound

from data_modules.corpora.base import BadTrack
from data_modules.corpora.fma import Fma, Subset

# The order of the true file, which the reader must not rely on; `id` and `title` are there several times.
UPPER = ["", "album", "album", "artist", "artist", "set", "set", "track", "track", "track"]
LOWER = ["", "id", "title", "bio", "id", "split", "subset", "genre_top", "genres", "title"]
BIO = 'A long "story",\nof two lines' + "." * 150_000


def row(number: str, artist: str, split: str, subset: str, genre: str) -> list[str]:
    return [number, "1", "A Way Of Life", BIO, artist, split, subset, genre, "[21]", "Food"]


ROWS = [
    row("2", "1", "training", "medium", "Hip-Hop"),
    row("5", "1", "training", "small", "Hip-Hop"),
    row("10", "6", "validation", "small", "Pop"),
    row("20", "4", "test", "large", ""),
    row("155320", "", "test", "small", "Old-Time / Historic"),
]


def write(root: Path, rows: list[list[str]], upper: list[str] = UPPER, lower: list[str] = LOWER) -> Path:
    path = root / "fma_metadata" / "tracks.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([upper, lower, ["track_id", *[""] * (len(upper) - 1)], *rows])
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("000/000002", "000/000005", "000/000010", "000/000020", "155/155320"):
        write_sound(tmp_path / "fma_large" / f"{name}.mp3")
    return write(tmp_path, ROWS)


def test_tracks(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Fma(root)))
    items = corpus.items()
    assert [(item.track_id, item.group, item.split) for item in items] == [
        ("000002", "artist 1", "train"),
        ("000005", "artist 1", "train"),
        ("000010", "artist 6", "val"),
        ("000020", "artist 4", "test"),
        ("155320", "track 155320", "test"),
    ]
    assert corpus.remarks() == []
    assert corpus.load(items[0]).labels["tag"].labels == ("genre---Hip-Hop",)
    assert corpus.load(items[4]).labels["tag"].labels == ("genre---Old-Time / Historic",)
    assert corpus.gaps(items[0]) == {}


def test_a_track_without_top_genre_is_for_pretraining(root: Path) -> None:
    corpus = Fma(root)
    item = corpus.items()[3]
    track = corpus.load(item)
    assert track.labels == {} and len(track.waveform_N) > 0
    assert corpus.gaps(item)["tag"].endswith("tracks.csv:11: the track has no top genre")  # each row takes two lines


@pytest.mark.parametrize(
    ("subset", "tracks", "expected"),
    [("small", 3, 8_000), ("medium", 4, 25_000), ("large", 5, 106_574), ("full", 5, 106_574)],
)
def test_subsets_hold_the_smaller_ones(subset: Subset, tracks: int, expected: int, root: Path) -> None:
    corpus = Fma(root, subset)
    assert len(corpus.items()) == tracks
    assert (corpus.name, corpus.expected_tracks) == (f"fma-{subset}", expected)
    if subset == "large":
        return
    with pytest.raises(BadTrack, match=rf"fma_{subset}/000/00000.\.mp3: no such file"):
        corpus.load(corpus.items()[0])
    assert corpus.remarks()[0].startswith(f"{tracks} of {tracks} tracks have no audio: 00000")


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="subset: 'tiny' is unknown; choose one of small, medium, large, full"):
        Fma(tmp_path, "tiny")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"tracks\.csv: no such file; expected fma_metadata\.zip"):
        Fma(tmp_path).items()


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row("2", "1", "train", "small", ""), r"csv:7: 'train' is no split; expected training, validation, test"),
        (row("2", "1", "test", "tiny", ""), r"csv:7: 'tiny' is no subset; expected large, medium, small"),
        (row("two", "1", "test", "small", ""), r"csv:7: 'two' is no number of a track"),
        (row("5", "1", "test", "small", ""), r"csv:7: track 5 is there already, on line 5"),
        (["7", "1"], r"csv:6: 2 columns, but the header has 10"),
    ],
)
def test_damaged_rows_are_named_with_their_line(bad: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        Fma(write(tmp_path, [ROWS[1], bad])).items()


def test_missing_columns_are_named(tmp_path: Path) -> None:
    lower = ["" if name in ("genre_top", "split") else name for name in LOWER]
    with pytest.raises(ValueError, match=r"csv:2: the two header rows name no column set\.split, track\.genre_top"):
        Fma(write(tmp_path, ROWS, lower=lower)).items()
    (tmp_path / "fma_metadata" / "tracks.csv").write_text("")
    with pytest.raises(ValueError, match="name no column"):
        Fma(tmp_path).items()


CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(["2", "training", "small", "Rock", '"'])


@settings(max_examples=40)
@given(st.lists(st.lists(CELLS, min_size=10, max_size=10) | st.lists(CELLS), max_size=3), st.booleans())
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], headed: bool
) -> None:
    root = tmp_path_factory.getbasetemp() / "any"
    write(root, rows) if headed else write(root, rows, ["x"], ["y"])
    path = root / "fma_metadata" / "tracks.csv"
    for text in (path.read_text("utf-8"), path.read_text("utf-8").replace('"', "")):
        path.write_text(text, "utf-8", newline="")
        try:
            for item in Fma(root).items():
                Fma(root).gaps(item)
        except ValueError as error:
            assert str(path) in str(error)
