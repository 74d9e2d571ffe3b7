import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sounds import write_sound

from data_modules.corpora.base import BadTrack
from data_modules.corpora.giantsteps_mtg_keys import GiantStepsMtgKeys
from data_modules.corpora.giantsteps_mtg_split import split_by_artist

ROWS = [
    ("5061", "D# minor", 2),
    ("10981", "-", 0),
    ("16484", "A minor", 1),
    ("61578", "C minor / F# minor", 2),
    ("297150", "A-A# minor", 0),
    ("515806", "F / F# minor", 2),
    ("4311630", " ", 0),
    ("4970565", "B major ", 2),
    ("6574410", "Fb major", 2),
]


def write(root: Path, rows: list[tuple[str, str, int]], header: str = "ID\tMANUAL KEY\tC\n") -> Path:
    folder = root / "annotations"
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(f"{track}\t{key}\t{confidence}\n" for track, key, confidence in rows)
    (folder / "annotations.txt").write_text(header + lines)
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for track, _, _ in ROWS:
        write_sound(tmp_path / "audio" / f"{track}.LOFI.mp3")
    return write(tmp_path, ROWS)


def artist(train: bool) -> str:
    """An artist whom the published rule puts there."""
    names = (f"Artist {number}" for number in range(99))
    return next(n for n in names if (int(hashlib.sha1(n.lower().encode()).hexdigest(), 16) % 116 < 100) == train)


def test_by_default_one_key_that_is_sure(root: Path) -> None:
    corpus = GiantStepsMtgKeys(root)
    items = corpus.items()
    assert [item.track_id for item in items] == ["5061", "4970565", "6574410"]
    assert corpus.expected_tracks == 1159 and corpus.note == ""
    assert [corpus.load(item).labels["key"].labels for item in items] == [("D# minor",), ("B major",), ("E major",)]
    assert all(corpus.gaps(item) == {} for item in items)
    left_out = corpus.left_out()
    assert len(left_out) == 6
    assert left_out["61578"] == "more than one key: C minor / F# minor"
    assert left_out["16484"] == "confidence below 2: 1"
    remarks = corpus.remarks()
    assert "4 left out, confidence below 2: 10981, 16484, 297150, 4311630" in remarks
    assert "2 left out, more than one key: 61578, 515806" in remarks


def test_all_tracks_with_the_first_of_several_keys(root: Path) -> None:
    corpus = GiantStepsMtgKeys(root, min_confidence=0, several="first")
    items = {item.track_id: item for item in corpus.items()}
    assert len(items) == 9
    assert corpus.expected_tracks is None and "confidence 0 or more" in corpus.note
    assert corpus.load(items["61578"]).labels["key"].labels == ("C minor",)
    assert corpus.load(items["515806"]).labels["key"].labels == ("F minor",)
    for track, line in (("10981", 3), ("4311630", 8)):
        assert corpus.load(items[track]).labels == {}
        assert f"annotations.txt:{line}: " in corpus.gaps(items[track])["key"]
        assert "says that there is no key" in corpus.gaps(items[track])["key"]
    for ask in (corpus.load, corpus.gaps):
        with pytest.raises(BadTrack, match=r"annotations\.txt:6: 'A-A# minor' is no key"):
            ask(items["297150"])
    assert len(GiantStepsMtgKeys(root, min_confidence=1).items()) == 4


def test_missing_files_are_named(root: Path) -> None:
    (root / "audio" / "5061.LOFI.mp3").unlink()
    corpus = GiantStepsMtgKeys(root)
    with pytest.raises(BadTrack, match=r"audio/5061\.LOFI\.mp3: no such file"):
        corpus.load(corpus.items()[0])
    assert "1 of 3 tracks have no audio: 5061" in corpus.remarks()
    with pytest.raises(FileNotFoundError, match=r"annotations\.txt: no such file; expected .* id, key, confidence"):
        GiantStepsMtgKeys(root / "absent").items()


def test_without_artists_each_id_stands_for_one(root: Path) -> None:
    corpus = GiantStepsMtgKeys(root)
    assert all(item.group == item.track_id for item in corpus.items())
    assert any("3 tracks are split by their ids, not by artist as published" in line for line in corpus.remarks())
    many = [(str(number), "C major", 2) for number in range(1000)]
    items = GiantStepsMtgKeys(write(root, many)).items()  # the file is read again when it changes
    assert len(items) == 1000
    assert 0.1 < sum(item.split == "val" for item in items) / 1000 < 0.18  # 16 of 116
    assert {item.split for item in items} == {"train", "val"}


def test_the_published_split_by_artist(root: Path) -> None:
    train, val = artist(True), artist(False)
    table = f"ID\tARTIST\tSONG TITLE\n5061\t{train}, Third\tx\n4970565\tThird, {val}\tx\n6574410\tAlone, \tx\n"
    (root / "annotations" / "beatport_metadata.txt").write_text(table)
    corpus = GiantStepsMtgKeys(root)
    first, second, third = corpus.items()
    # The one who is held out takes along whoever made a track with them, in two rounds.
    assert first.split == second.split == "val"
    assert first.group == second.group == min(train, val, "Third")
    assert third.group == "Alone"
    assert not any("split by their ids" in line for line in corpus.remarks())


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("5061\tC major\n", r"txt:1: expected id, key and confidence"),
        ("ID\tMANUAL KEY\tC\n5061\tC major\t2\nx\tC major\t2\n", r"txt:3: 'x' is no id"),
        ("5061\tC major\t3\n", r"txt:1: '3' is no confidence; expected 0, 1 or 2"),
        ("5061\tC major\t2\n5061\tC major\t2\n", r"txt:2: 5061 is there already, on line 1"),
    ],
)
def test_damaged_tables_are_named_with_their_line(table: str, message: str, tmp_path: Path) -> None:
    (write(tmp_path, []) / "annotations" / "annotations.txt").write_text(table)
    with pytest.raises(ValueError, match=message):
        GiantStepsMtgKeys(tmp_path).items()


@pytest.mark.parametrize(
    ("table", "message"),
    [("ID\tSONG\n", r"metadata\.txt:1: expected the columns ID and ARTIST"), ("ID\tARTIST\n5\n", r"metadata\.txt:2: ")],
)
def test_damaged_metadata_are_named_with_their_line(table: str, message: str, root: Path) -> None:
    (root / "annotations" / "beatport_metadata.txt").write_text(table)
    with pytest.raises(ValueError, match=message):
        GiantStepsMtgKeys(root).items()


def test_comments_and_titles_may_be_in_another_encoding(root: Path) -> None:
    folder = root / "annotations"
    table = "ID\tMANUAL KEY\tC\tCOMMENT\n5061\tD# minor\t2\tna\u00efve\n4970565\tB\u00e9 major\t2\n"
    (folder / "annotations.txt").write_bytes(table.encode("latin-1"))
    names = f"ID\tARTIST\tSONG TITLE\n5061\t{artist(False)}\tD\u00e9j\u00e0 vu\n4970565\tBj\u00f6rn\tx\n"
    (folder / "beatport_metadata.txt").write_text(names, "utf-8")
    corpus = GiantStepsMtgKeys(root)
    first, second = corpus.items()
    assert (first.split, corpus.load(first).labels["key"].labels) == ("val", ("D# minor",))
    with pytest.raises(BadTrack, match=r"annotations\.txt:3: 'B\ufffd major' is no key"):
        corpus.load(second)
    (folder / "beatport_metadata.txt").write_bytes(names.replace("Bj\u00f6rn", "Bjorn").encode("latin-1"))
    assert corpus.items()[0] == first
    (folder / "beatport_metadata.txt").write_bytes(names.encode("latin-1"))
    with pytest.raises(
        ValueError, match=r"metadata\.txt:3: the artist 'Bj\ufffdrn' is not UTF-8; save the file as UTF-8"
    ):
        corpus.items()


def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="min_confidence: 3 given; choose 0, 1 or 2"):
        GiantStepsMtgKeys(tmp_path, min_confidence=3)
    with pytest.raises(ValueError, match="several: 'last' is unknown; choose one of leave_out, first"):
        GiantStepsMtgKeys(tmp_path, several="last")  # type: ignore[arg-type]


CELLS = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(["5", "A / B", "-", "2", "C major", '"'])


@settings(max_examples=40)
@given(st.lists(st.lists(CELLS, min_size=1, max_size=4), max_size=4), st.lists(st.lists(CELLS, min_size=1), max_size=3))
def test_any_table_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], metadata: list[list[str]]
) -> None:
    root = write(tmp_path_factory.getbasetemp() / "any", [])
    for name, table in (("annotations.txt", rows), ("beatport_metadata.txt", [["ID", "ARTIST"], *metadata])):
        text = "\n".join("\t".join(row) for row in table)
        (root / "annotations" / name).write_text(text, "utf-8", newline="")
    corpus = GiantStepsMtgKeys(root, min_confidence=0, several="first")
    try:
        for item in corpus.items():
            corpus.gaps(item)
        corpus.remarks()
    except ValueError as error:
        assert str(root) in str(error)


@given(
    st.dictionaries(
        st.text(max_size=3), st.lists(st.sampled_from("abcdefghijklmnopqrst"), min_size=1, max_size=3), max_size=12
    )
)
def test_no_group_is_divided_and_held_out_artists_are_never_heard(artists: dict[str, list[str]]) -> None:
    places = split_by_artist(artists)
    assert places.keys() == artists.keys()
    splits: dict[str, set[str]] = {}
    for group, split in places.values():
        splits.setdefault(group, set()).add(split)
    assert all(len(found) == 1 for found in splits.values())
    for track, several in artists.items():
        if any(int(hashlib.sha1(name.encode()).hexdigest(), 16) % 116 >= 100 for name in several):
            assert places[track][1] == "val"
        for other, others in artists.items():
            if set(several) & set(others) and places[track][1] == places[other][1]:
                assert places[track][0] == places[other][0]
