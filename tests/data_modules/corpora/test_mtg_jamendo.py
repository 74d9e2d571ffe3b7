import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import write_sound

from data_modules.corpora.base import BadTrack
from data_modules.corpora.mtg_jamendo import MtgJamendo

HEADER = "TRACK_ID\tARTIST_ID\tALBUM_ID\tPATH\tDURATION\tTAGS\n"
# Ragged: as many columns as tags, and not one more.
TRAIN = (
    "track_0000948\tartist_000087\talbum_000149\t48/948.mp3\t212.7\tgenre---rock\n"
    "track_0917543\tartist_378901\talbum_108650\t43/917543.mp3\t221.2\tgenre---pop\tinstrument---piano\t"
    "mood/theme---relaxing\t\t\n"
)
VALIDATION = "track_1310777\tartist_352184\talbum_155700\t77/1310777.mp3\t100.0\tgenre---folk\n"
TEST = "track_0000773\tartist_000104\talbum_000126\t73/773.mp3\t275.3\n"


def write(root: Path, train: str = TRAIN, subset: str = "top50tags", validation: str = VALIDATION) -> Path:
    folder = root / "data" / "splits" / "split-0"
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in (("train", train), ("validation", validation), ("test", TEST)):
        (folder / f"autotagging_{subset}-{split}.tsv").write_text(HEADER + rows, "utf-8", newline="")
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("48/948.mp3", "43/917543.low.mp3", "77/1310777.mp3", "73/773.mp3"):
        write_sound(tmp_path / "audio" / name)
    return write(tmp_path)


def test_tracks(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(MtgJamendo(root)))
    items = corpus.items()
    assert [(item.track_id, item.group, item.split) for item in items] == [
        ("track_0000948", "artist_000087", "train"),
        ("track_0917543", "artist_378901", "train"),
        ("track_1310777", "artist_352184", "val"),
        ("track_0000773", "artist_000104", "test"),
    ]
    assert corpus.remarks() == []
    assert corpus.load(items[0]).labels["tag"].labels == ("genre---rock",)
    low = corpus.load(items[1])
    assert low.labels["tag"].labels == ("genre---pop", "instrument---piano", "mood/theme---relaxing")
    assert set(low.labels["tag"].ends_s) == {len(low.waveform_N) / 24_000}
    assert corpus.gaps(items[0]) == {}


def test_a_row_without_tags_is_a_gap(root: Path) -> None:
    corpus = MtgJamendo(root)
    item = corpus.items()[-1]
    assert corpus.load(item).labels == {}
    assert corpus.gaps(item)["tag"].endswith("autotagging_top50tags-test.tsv:2: the row has no tags")


def test_subsets_are_corpora_of_their_own(root: Path) -> None:
    names = {MtgJamendo(root, subset).name for subset in ("top50tags", "genre", "instrument", "moodtheme")}
    assert names == {f"mtg-jamendo-{one}" for one in ("top50tags", "genre", "instrument", "moodtheme")}
    assert MtgJamendo(root).expected_tracks == 54_380
    assert MtgJamendo(root, "genre").expected_tracks == 55_094
    assert MtgJamendo(root, "instrument").expected_tracks == 24_976
    assert MtgJamendo(root, "moodtheme").expected_tracks == 17_982
    write(root, subset="genre")
    corpus = MtgJamendo(root, "genre")
    with pytest.raises(BadTrack, match=r"genre-train\.tsv:3: 'instrument---piano' is no tag .* expected genre---"):
        corpus.load(corpus.items()[1])
    with pytest.raises(ValueError, match="subset: 'top10' is unknown; choose one of top50tags, genre"):
        MtgJamendo(root, "top10")  # type: ignore[arg-type]


def test_audio_elsewhere(root: Path, tmp_path: Path) -> None:
    (root / "audio").rename(root / "mp3s")
    corpus = MtgJamendo(root, audio=tmp_path / "mp3s")
    assert "tag" in corpus.load(corpus.items()[0]).labels
    corpus = MtgJamendo(root)
    assert corpus.remarks()[0].startswith("4 of 4 tracks have no audio: track_0000948")
    with pytest.raises(BadTrack, match=r"audio/48/948\.mp3: no such file, nor 948\.low\.mp3"):
        corpus.load(corpus.items()[0])


@pytest.mark.parametrize("tag", ["rock", "genre---", "genre--rock", "style---rock"])
def test_a_bad_tag_is_named_with_file_and_line(tag: str, root: Path) -> None:
    write(root, TRAIN.replace("genre---rock", tag))
    corpus = MtgJamendo(root)
    with pytest.raises(BadTrack, match=rf"top50tags-train\.tsv:2: '{tag}' is no tag of this subset"):
        corpus.load(corpus.items()[0])


@pytest.mark.parametrize(
    ("train", "validation", "message"),
    [
        ("track_1\tartist_1\n", "", r"-train\.tsv:2: expected track, artist, album, path, duration and tags"),
        ("track_1\t\talbum\t1/1.mp3\t9\n", "", r"-train\.tsv:2: expected track, artist"),
        (TRAIN.replace("48/948", "../948"), "", r"-train\.tsv:2: '\.\./948\.mp3' is no path within"),
        (TRAIN.replace("48/948", "/948"), "", r"-train\.tsv:2: '/948\.mp3' is no path within"),
        (TRAIN, TRAIN, r"-validation\.tsv:2: track_0000948 is there already, in .*-train\.tsv:2"),
    ],
)
def test_damaged_tables_are_named_with_their_line(train: str, validation: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, train, validation=validation)
    with pytest.raises(ValueError, match=message):
        MtgJamendo(tmp_path).items()


def test_a_missing_table_is_named(root: Path) -> None:
    (root / "data/splits/split-0/autotagging_top50tags-test.tsv").unlink()
    with pytest.raises(FileNotFoundError, match=r"top50tags-test\.tsv: no such file; expected the repository"):
        MtgJamendo(root).items()


CELLS = st.text(st.characters(codec="utf-8"), max_size=9) | st.sampled_from(["a" * 300, "..", ".mp3", '"', "genre---x"])


@settings(max_examples=40)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=8), max_size=4))
def test_any_table_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    root = write(tmp_path_factory.getbasetemp() / "any", "\n".join("\t".join(row) for row in rows))
    corpus = MtgJamendo(root)
    try:
        items = corpus.items()
    except ValueError as error:
        assert str(root) in str(error)
        return
    assert corpus.remarks()
    for item in items:
        corpus.gaps(item)
        with pytest.raises(BadTrack):
            corpus.load(item)
