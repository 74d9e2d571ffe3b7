"""Which split a group of tracks belongs to, by a hash of its name and the share of each split."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from data_modules.corpora.base import Split

VAL_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the groups, in the data sets that come without a split of their own."""


def split_by_hash(groups: Iterable[str], val: float = VAL_SHARE, test: float = TEST_SHARE) -> dict[str, Split]:
    """The split of each group by its SHA-256 as a number in [0, 1): lowest for val, highest for test.

    So a group stays where it is as others come and go. Where there are three groups or more, each split has one
    at least. Of two groups one is for validation; a single one is for training.

    Args:
        groups: Names; repeated ones count once.
        val: Share of the groups for validation, in [0, 1].
        test: Share for test.
    """
    names = set(groups)
    place = {name: int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12 for name in names}
    by_hash = sorted(names, key=lambda name: (place[name], name))
    splits: dict[str, Split] = {
        name: "val" if place[name] < val else "test" if place[name] >= 1 - test else "train" for name in by_hash
    }
    if len(by_hash) == 1:
        splits[by_hash[0]] = "train"
    elif len(by_hash) == 2:
        splits.update({by_hash[0]: "val", by_hash[1]: "train"})
    elif by_hash:
        splits.update({by_hash[0]: "val", by_hash[-1]: "test"})
        if "train" not in splits.values():
            splits[by_hash[len(by_hash) // 2]] = "train"
    return splits
