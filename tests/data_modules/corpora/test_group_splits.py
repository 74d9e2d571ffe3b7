from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sounds import write_sound, write_text

from data_modules.corpora import group_splits
from data_modules.corpora.audio_files import AUDIO_SUFFIXES
from data_modules.corpora.ballroom import Ballroom
from data_modules.corpora.base import Corpus
from data_modules.corpora.billboard import Billboard
from data_modules.corpora.group_splits import split_by_hash
from data_modules.corpora.gtzan import Gtzan
from data_modules.corpora.hainsworth import Hainsworth
from data_modules.corpora.harmonix import Harmonix
from data_modules.corpora.isophonics import Isophonics
from data_modules.corpora.rwc_popular import RwcPopular
from data_modules.corpora.salami import Salami
from data_modules.corpora.smc import Smc
from data_modules.doctor import doctor

GROUPS = {f"song {number}": f"artist {number // 2}" for number in range(800)}
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


def test_each_track_is_tested_once_and_groups_stay_whole() -> None:
    tested: list[str] = []
    for fold in range(8):
        splits = group_splits.folds_by_hash(GROUPS, fold)
        of_group: dict[str, set[str]] = {}
        for track, split in splits.items():
            of_group.setdefault(GROUPS[track], set()).add(split)
        assert all(len(found) == 1 for found in of_group.values())
        chosen = [track for track, split in splits.items() if split == "test"]
        assert 60 < len(chosen) < 140
        assert {t for t, s in splits.items() if s == "val"} == {
            t for t, s in group_splits.folds_by_hash(GROUPS, (fold + 1) % 8).items() if s == "test"
        }
        tested += chosen
    assert sorted(tested) == sorted(GROUPS)


@given(st.sets(st.sampled_from(sorted(GROUPS))), st.integers(0, 7))
def test_a_track_stays_where_it_is_as_others_come_and_go(kept: set[str], fold: int) -> None:
    whole = group_splits.folds_by_hash(GROUPS, fold)
    some = group_splits.folds_by_hash({track: GROUPS[track] for track in kept}, fold)
    assert some == {track: whole[track] for track in kept}


def test_a_list_of_splits(tmp_path: Path) -> None:
    path = write_text(tmp_path / "single.split", "a b\ttrain\r\nc\tval\r\n# comment\r\nfolder/d.wav\ttest\r\n")
    assert group_splits.from_lists(path, None, str) == {"a b": "train", "c": "val", "d": "test"}
    assert group_splits.splits({"x": "x"}, 0, path, str) == group_splits.from_lists(path, None, str)
    assert group_splits.splits({"x": "x"}, 0, None, str) == group_splits.folds_by_hash({"x": "x"}, 0)
    by_group = split_by_hash(GROUPS.values())
    assert group_splits.splits(GROUPS, None, None, str) == {track: by_group[group] for track, group in GROUPS.items()}


def test_names_may_end_as_any_audio_file(tmp_path: Path) -> None:
    names = [f"song{suffix}" for suffix in (*AUDIO_SUFFIXES, ".beats", ".jams", ".lab")]
    path = write_text(tmp_path / "a.split", "".join(f"{name}\ttrain\n{name.upper()}\tval\n" for name in names))
    assert group_splits.from_lists(path, None, str) == {"song": "train", "SONG": "val"}


def test_a_list_of_folds(tmp_path: Path) -> None:
    path = write_text(tmp_path / "8-folds.split", "a\t0\nb\t1\nc\t2\nd\t7\n")
    assert group_splits.from_lists(path, 7, str) == {"a": "val", "b": "train", "c": "train", "d": "test"}
    assert group_splits.from_lists(path, None, str) == group_splits.from_lists(path, 0, str)


def test_a_folder_of_lists(tmp_path: Path) -> None:
    write_text(tmp_path / "train_filtered.txt", "blues/blues.00029.wav\nblues/blues.00030.wav\n")
    write_text(tmp_path / "valid_filtered.txt", "rock/rock.00001.wav\n")
    write_text(tmp_path / "test_filtered.txt", "rock/rock.00002.au\n")
    assert group_splits.from_lists(tmp_path, None, str) == {
        "blues.00029": "train",
        "blues.00030": "train",
        "rock.00001": "val",
        "rock.00002": "test",
    }
    write_text(tmp_path / "test_again.txt", "rock/rock.00002.au\n")
    with pytest.raises(FileNotFoundError, match="one file of names each"):
        group_splits.from_lists(tmp_path, None, str)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\ttrain\nb\n", r"a\.split:2: expected 2 columns, got 'b'"),
        ("a\ttrain\nb\tdev\n", r"a\.split:2: 'dev' is neither train, val or test nor a fold"),
        ("a\ttrain\nb\t3\n", r"a\.split:1: .train. is no fold, which other lines have"),
        ("", r"a\.split: is empty"),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_splits.from_lists(write_text(tmp_path / "a.split", text), None, str)


def test_a_track_is_in_one_split(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.split", "a\tval\nb\ttrain\na.wav\tvalid\n")
    assert group_splits.from_lists(path, None, str) == {"a": "val", "b": "train"}
    write_text(path, "a\ttrain\nb\ttrain\nx/a.wav\ttest\n")
    with pytest.raises(ValueError, match=r"a\.split:3: a is in test, but .*a\.split:1 has it in train"):
        group_splits.from_lists(path, None, str)
    # Both are for training while fold 0 is tested, but not while another is.
    write_text(path, "a\t2\nb\t0\na\t3\n")
    with pytest.raises(ValueError, match=r"a\.split:3: a is in 3, but .*a\.split:1 has it in 2"):
        group_splits.from_lists(path, 0, str)
    write_text(tmp_path / "lists/train.txt", "a\n")
    write_text(tmp_path / "lists/test.txt", "b\na\n")
    with pytest.raises(ValueError, match=r"train\.txt:1: a is in train, but .*test\.txt:2 has it in test"):
        group_splits.from_lists(tmp_path / "lists", None, str)


def test_refusals(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.split", "a\t0\nb\t1\n")
    with pytest.raises(ValueError, match=r"--corpus\.fold: 2 is none of the folds 0 to 1"):
        group_splits.from_lists(path, 2, str)
    with pytest.raises(ValueError, match=r"--corpus\.fold: 8 is none of the folds 0 to 7"):
        group_splits.folds_by_hash(GROUPS, 8)
    with pytest.raises(ValueError, match=r"a\.split:1: 'a' is no name of a track of this corpus"):
        group_splits.from_lists(path, 0, lambda name: None)
    with pytest.raises(FileNotFoundError, match=r"no file or folder .*absent"):
        group_splits.from_lists(tmp_path / "absent", 0, str)


@pytest.mark.parametrize(
    "corpus", [Gtzan, Ballroom, Hainsworth, Smc, RwcPopular, Harmonix, Isophonics, Salami, Billboard]
)
def test_nobody_knows_how_many_tracks_a_list_should_choose(corpus: Callable[..., Corpus]) -> None:
    assert corpus(Path("data")).expected_tracks is not None
    assert corpus(Path("data"), split_file=Path("my.split")).expected_tracks is None


def test_doctor_finds_nothing_wrong_with_what_a_list_chose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in (1, 2):
        write_sound(tmp_path / f"audio/{number:03d}.wav", rate=8000 + number)  # so that no two sound the same
        write_text(tmp_path / f"beats/{number:03d}.beats", "0.25\t1\n0.75\t2\n1.25\t1\n1.75\t2\n")
    path = write_text(tmp_path / "my.split", "001\ttrain\n002\ttest\n")
    doctor(Hainsworth(tmp_path, split_file=path), jobs=1)
    assert "hainsworth: nothing is wrong" in capsys.readouterr().out
