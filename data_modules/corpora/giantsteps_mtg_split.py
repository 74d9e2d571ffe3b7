"""The split of giantsteps-mtg-keys by artists: a rule rather than a list, as the benchmarks that use it have it.

The rule is that of JukeMIR (Castellon et al., ISMIR 2021), which MARBLE took over: an artist is held out for
validation if the SHA-1 of the name in lower case, modulo 116, is 100 or more; so is, over two rounds, whoever made
a track with a held-out artist. About four tracks in five are for training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from data_modules.corpora.base import Split

_TRAIN, _ALL = 100, 116
_ROUNDS = 2


def split_by_artist(artists: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, Split]]:
    """Group and split of each track.

    Args:
        artists: Of each track, at least one; in the order of the data set, which decides how far being held out
            spreads.

    Returns:
        The group holds all tracks of a split that artists link, and is called after the first of these by name.
    """
    names = {name for several in artists.values() for name in several}
    held_out = {name for name in names if _number(name) % _ALL >= _TRAIN}
    for _ in range(_ROUNDS):
        for several in artists.values():
            if not held_out.isdisjoint(several):
                held_out.update(several)
    splits: dict[str, Split] = {
        track: "train" if held_out.isdisjoint(several) else "val" for track, several in artists.items()
    }
    groups: dict[Split, dict[str, str]] = {
        split: _linked([several for track, several in artists.items() if splits[track] == split])
        for split in ("train", "val")
    }
    # After two rounds an artist at the end of a long chain may have tracks in both splits.
    in_both = groups["train"].keys() & groups["val"].keys()
    result: dict[str, tuple[str, Split]] = {}
    for track, split in splits.items():
        group = groups[split][artists[track][0]]
        result[track] = (f"{group} ({split})" if group in in_both else group, split)
    return result


def _number(name: str) -> int:
    return int(hashlib.sha1(name.lower().encode(), usedforsecurity=False).hexdigest(), 16)


def _linked(tracks: Sequence[Sequence[str]]) -> dict[str, str]:
    """For each artist, the first by name of all whom tracks link."""
    first: dict[str, str] = {name: name for several in tracks for name in several}

    def root(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    for several in tracks:
        roots = sorted({root(name) for name in several})
        for name in roots[1:]:
            first[name] = roots[0]
    return {name: root(name) for name in first}
