from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.group_splits import split_by_hash

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
