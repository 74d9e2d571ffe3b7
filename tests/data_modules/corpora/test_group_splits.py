from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.group_splits import read_split_file, split_by_hash, split_of_fold

SHARES = st.floats(0, 0.5)


@given(st.sets(st.text(min_size=1, max_size=8), min_size=1, max_size=40), SHARES, SHARES)
def test_every_group_has_a_split_and_three_have_all(groups: set[str], val: float, test: float) -> None:
    splits = split_by_hash(sorted(groups), val, test)
    assert set(splits) == groups
    assert "train" in splits.values()
    if len(groups) >= 3:
        assert set(splits.values()) == {"train", "val", "test"}
    if len(groups) == 2:
        assert set(splits.values()) == {"train", "val"}


def test_shares_and_stability() -> None:
    groups = [f"album {number}" for number in range(4000)]
    splits = split_by_hash(groups, 0.02, 0.02)
    for name in ("val", "test"):
        assert 50 < sum(split == name for split in splits.values()) < 110
    fewer = split_by_hash(groups[:2000], 0.02, 0.02)
    assert sum(splits[group] != fewer[group] for group in fewer) <= 2
    usual = list(split_by_hash(groups).values())
    assert [round(usual.count(name) / 4000, 1) for name in ("train", "val", "test")] == [0.7, 0.1, 0.2]


def test_nothing_splits_to_nothing() -> None:
    assert split_by_hash([]) == {}


@given(st.integers(2, 10), st.data())
def test_every_track_is_tested_in_one_fold_and_validates_in_another(num_folds: int, data: st.DataObject) -> None:
    own = data.draw(st.integers(0, num_folds - 1))
    splits = [split_of_fold(own, fold, num_folds) for fold in range(num_folds)]
    assert splits.index("test") == own
    assert splits.count("test") == splits.count("val") == 1


def test_a_file_of_splits(tmp_path: Path) -> None:
    path = tmp_path / "single.split"
    path.write_text("\ufeff# of ours\na song\ttrain\r\n\r\nb val\nc   test\n", "utf-8")
    assert read_split_file(path, ["a song", "c"]) == {"a song": "train", "c": "test"}
    assert read_split_file(path, ["b"]) == {"b": "val"}


def test_a_file_of_folds(tmp_path: Path) -> None:
    path = tmp_path / "8-folds.split"
    path.write_text("a\t0\nb\t1\nc\t2\n")
    assert read_split_file(path, ["a", "b", "c"], fold=1) == {"a": "train", "b": "test", "c": "val"}
    assert read_split_file(path, ["a", "b", "c"], fold=2) == {"a": "val", "b": "train", "c": "test"}
    with pytest.raises(ValueError, match="fold: 3 asked for"):
        read_split_file(path, ["a"], fold=3)


@pytest.mark.parametrize("line", ["a", "a trian", "a\t-1", "a 1.5"])
def test_a_bad_row_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "bad.split"
    path.write_text(f"b\ttrain\n{line}\n")
    with pytest.raises(ValueError, match=r"bad\.split:2: .* is no `track split`"):
        read_split_file(path, ["b"])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"split_file: no such file: .*absent"):
        read_split_file(tmp_path / "absent", [])
    path = tmp_path / "short.split"
    path.write_text("a train\n")
    with pytest.raises(ValueError, match=r"short\.split: names no split for b, c"):
        read_split_file(path, ["a", "b", "c"])
