import csv
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import write_sound

from data_modules.corpora.base import BadTrack
from data_modules.corpora.magnatagatune import MagnaTagATune

CLIPS = {
    "0/ambient_teknology-phoenix-01-phoenix-0-29.mp3": {"techno", "no voice"},
    "b/ambient_teknology-phoenix-02-ghost-30-59.mp3": {"techno"},
    "c/dj_markitos-evolution-01-sunset-0-29.mp3": {"guitar"},
    "d/ensemble-suites-01-air-0-29.mp3": {"guitar", "no voice"},
    "f/norine_braun-now_and_zen-08-gently-117-146.mp3": set(),
}
CLIP = next(iter(CLIPS))
TAGS = ("no voice", "techno", "guitar", "never heard")
"""In the order of `annotations_final.csv`; `tags.npy` has the most frequent first."""


def write_annotations(root: Path, rows: Sequence[Sequence[str]] | None = None, tags: Sequence[str] = TAGS) -> Path:
    if rows is None:
        rows = [
            (str(n), *(str(int(t in marked)) for t in tags), clip) for n, (clip, marked) in enumerate(CLIPS.items())
        ]
    root.mkdir(exist_ok=True)
    with (root / "annotations_final.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL).writerows([("clip_id", *tags, "mp3_path"), *rows])
    return root


def write_won(folder: Path, tags: Sequence[str] = ("techno", "no voice", "guitar"), first: int = 0) -> Path:
    """The cleaned split: rows count from `first`, and a clip without tags is left out."""
    folder.mkdir(exist_ok=True)
    np.save(folder / "tags.npy", np.array(tags))
    np.save(folder / "binary.npy", np.array([[float(tag in marked) for tag in tags] for marked in CLIPS.values()]))
    entries = [f"{number + first}\t{clip}" for number, (clip, marked) in enumerate(CLIPS.items()) if marked]
    for name, folders in (("train", "0123456789ab"), ("valid", "c"), ("test", "def")):
        np.save(folder / f"{name}.npy", np.array([entry for entry in entries if entry.split("\t")[1][0] in folders]))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for clip in CLIPS:
        write_sound(tmp_path / "mp3" / clip, rate=16_000)
    write_won(tmp_path)
    return write_annotations(tmp_path)


def test_the_full_split_by_folder(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(MagnaTagATune(root, "full")))
    assert (corpus.name, corpus.expected_tracks) == ("magnatagatune-full", 25_863)
    items = corpus.items()
    assert [item.track_id for item in items] == list(CLIPS)
    assert [item.split for item in items] == ["train", "train", "val", "test", "test"]
    assert [item.group for item in items[1:3]] == ["ambient_teknology-phoenix", "dj_markitos-evolution"]
    for item in items:
        labels = corpus.load(item).labels
        assert set(labels["tag"].labels) == CLIPS[item.track_id]  # annotated with nothing is no gap
        assert corpus.gaps(item) == {}


def test_the_cleaned_split(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(MagnaTagATune(root)))
    assert (corpus.name, corpus.expected_tracks) == ("magnatagatune-won", 21_108)
    items = corpus.items()
    assert [item.track_id for item in items] == list(CLIPS)[:4]
    assert [item.split for item in items] == ["train", "train", "val", "test"]
    for item in items:
        assert set(corpus.load(item).labels["tag"].labels) == CLIPS[item.track_id]


def test_the_full_split_has_the_50_most_frequent_tags(tmp_path: Path) -> None:
    tags = [f"tag {number:02d}" for number in range(60)]
    paths = [f"0/artist-album-01-title-{number}-{number + 29}.mp3" for number in range(60)]
    rows = [
        (str(number), *("1" if number <= at else "0" for at in range(60)), path) for number, path in enumerate(paths)
    ]
    corpus = MagnaTagATune(write_annotations(tmp_path, rows, tags), "full")
    write_sound(tmp_path / paths[0])  # folders by themselves, without mp3 around them
    assert corpus.load(corpus.items()[0]).labels["tag"].labels == tuple(tags[10:])


@pytest.mark.parametrize("missing", [(), ("annotations_final.csv",), ("binary.npy",)])
@pytest.mark.parametrize("tags", [("techno", "no voice", "guitar"), ("guitar", "techno", "no voice")])
def test_tags_go_by_name_whatever_their_order(missing: Sequence[str], tags: Sequence[str], root: Path) -> None:
    write_won(root / "split", tags)
    for name in missing:
        (root / name).unlink()
        (root / "split" / name).unlink(missing_ok=True)
    corpus = MagnaTagATune(root, split_files=root / "split")
    for item in corpus.items():
        assert set(corpus.load(item).labels["tag"].labels) == CLIPS[item.track_id]


def test_files_of_different_copies_are_found_out(root: Path) -> None:
    np.save(root / "tags.npy", np.array(["no voice", "techno", "guitar"]))
    with pytest.raises(ValueError, match=r"binary\.npy: row 1: no voice for b/ambient.*has techno: .*different copies"):
        MagnaTagATune(root).items()
    write_won(root, first=1)
    with pytest.raises(
        ValueError, match=r"binary\.npy: row 1: techno for 0/am.*csv:2 has .* and train\.npy are of diff"
    ):
        MagnaTagATune(root).items()
    (root / "annotations_final.csv").unlink()
    write_won(root, first=3)
    with pytest.raises(ValueError, match=r"valid\.npy: entry 0: row 5 of binary\.npy, which has only 5"):
        MagnaTagATune(root).items()


@pytest.mark.parametrize("missing", [(), ("binary.npy",)])
def test_another_order_of_rows_is_told_and_does_no_harm(missing: Sequence[str], root: Path) -> None:
    rows = [(str(n), *(str(int(t in marked)) for t in TAGS), clip) for n, (clip, marked) in enumerate(CLIPS.items())]
    write_annotations(root, [rows[1], rows[0], *rows[2:]])
    for name in missing:
        (root / name).unlink()
    corpus = MagnaTagATune(root)
    for item in corpus.items():
        assert set(corpus.load(item).labels["tag"].labels) == CLIPS[item.track_id]
    (remark,) = corpus.remarks()
    assert remark.startswith(f"2 clips of the split have another row in {root / 'annotations_final.csv'} than")
    assert MagnaTagATune(root, "full").remarks() == []


def test_a_clip_that_is_not_annotated_needs_binary_npy(root: Path) -> None:
    rows = [(str(n), *(str(int(t in marked)) for t in TAGS), clip) for n, (clip, marked) in enumerate(CLIPS.items())]
    write_annotations(root, rows[1:])
    corpus = MagnaTagATune(root)
    assert set(corpus.load(corpus.items()[0]).labels["tag"].labels) == CLIPS[CLIP]
    assert any(line.startswith("1 clips of the split are not in") and line.endswith(CLIP) for line in corpus.remarks())
    (root / "binary.npy").unlink()
    with pytest.raises(
        ValueError, match=rf"train\.npy: entry 0: {CLIP} is not in .*annotations_final\.csv: they are of"
    ):
        MagnaTagATune(root).items()


def test_broken_and_missing_audio_is_named(root: Path) -> None:
    empty, absent = list(CLIPS)[4], CLIP
    (root / "mp3" / empty).write_bytes(b"")
    (root / "mp3" / absent).unlink()
    corpus = MagnaTagATune(root, "full")
    items = {item.track_id: item for item in corpus.items()}
    with pytest.raises(BadTrack, match=r"08-gently-117-146\.mp3: an empty file"):
        corpus.load(items[empty])
    with pytest.raises(BadTrack, match=r"mp3/0/ambient_teknology-phoenix-01-phoenix-0-29\.mp3: no such file"):
        corpus.load(items[absent])
    assert corpus.remarks() == [
        f"1 of 5 tracks have no audio: {absent}",
        f"1 of 5 tracks have audio files without content: {empty}",
    ]


def test_settings_and_missing_tables(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="split: 'clean' is unknown; choose one of won, full"):
        MagnaTagATune(tmp_path, "clean")  # type: ignore[arg-type]
    with pytest.raises(FileNotFoundError, match=r"annotations_final\.csv: no such file; expected"):
        MagnaTagATune(tmp_path, "full").items()
    with pytest.raises(FileNotFoundError, match=r"tags\.npy: no such file; expected train\.npy, valid\.npy"):
        MagnaTagATune(tmp_path).items()
    write_won(tmp_path)
    (tmp_path / "binary.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"binary\.npy: no such file"):
        MagnaTagATune(tmp_path).items()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("1", "0", "0", "0", "2", CLIP)], r"csv:2: tag 'never heard': '2' is neither 0 nor 1"),
        ([("1", "0", "0", "0", CLIP)], r"csv:2: 5 columns, but the header has 6"),
        ([("1", "0", "0", "0", "0", "g/a-b-01-c-0-29.mp3")], r"csv:2: 'g/a-b-01-c-0-29\.mp3' is no path of a clip"),
        ([("1", "0", "0", "0", "0", "0/../../x.mp3")], r"csv:2: '0/\.\./\.\./x\.mp3' is no path of a clip"),
        ([("1", *"0000", CLIP), ("2", *"0000", CLIP)], rf"csv:3: {CLIP} is there already, on line 2"),
    ],
)
def test_damaged_annotations_are_named_with_their_line(rows: list[list[str]], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        MagnaTagATune(write_annotations(tmp_path, rows), "full").items()


def test_a_tag_named_twice_is_refused(root: Path) -> None:
    write_annotations(root, tags=("guitar", "guitar"))
    with pytest.raises(ValueError, match=r"csv:1: expected clip_id, names of tags, each once, and mp3_path"):
        MagnaTagATune(root, "full").items()
    np.save(root / "tags.npy", np.array(["guitar", "guitar"]))
    with pytest.raises(ValueError, match=r"tags\.npy: names a tag twice"):
        MagnaTagATune(root).items()


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("train.npy", ["0/a.mp3"], r"train\.npy: entry 0: '0/a\.mp3' is no row number, tab, and path"),
        ("train.npy", ["-1\t" + CLIP], r"train\.npy: entry 0: .* is no row number"),
        ("train.npy", [f"0\t{CLIP}"] * 2, r"train\.npy: entry 1: .* is there already, in .*train\.npy: entry 0"),
        ("train.npy", ["9" * 30 + "\t" + CLIP], r"train\.npy: entry 0: .* is no row number"),
        ("train.npy", ["99\t" + CLIP], r"train\.npy: entry 0: row 99 of binary\.npy, which has only 5"),
        ("binary.npy", np.zeros((5, 2)), r"binary\.npy: expected rows of 3 numbers"),
        ("binary.npy", np.full((5, 3), 0.5), r"binary\.npy: row 0: a mark that is neither 0 nor 1"),
        ("tags.npy", np.array(["a"], dtype=object), r"tags\.npy: holds pickled Python objects"),
    ],
)
def test_damaged_files_of_the_split_are_named(file: str, array: object, message: str, tmp_path: Path) -> None:
    np.save(write_won(tmp_path) / file, array, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        MagnaTagATune(tmp_path).items()


CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["0", "1", CLIP, "clip_id", "mp3_path", '"']
)


@settings(max_examples=40)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=7), max_size=4), st.lists(CELLS, min_size=1, max_size=3))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], entries: list[str]
) -> None:
    root = write_won(tmp_path_factory.getbasetemp() / "any")
    np.save(root / "train.npy", np.array(["\t".join(entries), *entries]))
    for headed in (True, False):
        write_annotations(root, rows, TAGS if headed else rows[0] if rows else ())
        for split in ("won", "full"):
            corpus = MagnaTagATune(root, split)
            try:
                items = corpus.items()
            except ValueError as error:
                assert str(root) in str(error)
            else:
                assert len({item.track_id for item in items}) == len(items)
