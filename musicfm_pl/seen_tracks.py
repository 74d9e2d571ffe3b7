"""What of a test a model has seen: tracks its head was trained on are refused, those its encoder heard are told."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from data_modules.corpora.base import Kind, Tested
from data_modules.shards import Prepared
from data_modules.task import TaskData


def refuse_seen(home: str, data: TaskData, kind: Kind) -> None:
    """Refuses to test a head on tracks of its own corpus that it was trained on, or that its checkpoint was chosen by.

    Its own corpus is any of the same family: excerpts, other sounds and other splits have the same works. To ask for
    the training split is to ask for just these, and so it is at home with that of validation: such figures stand in
    tables of their own. Where the home cannot be read, `all` of a corpus that is called as it is refused.

    Args:
        home: The folder, or the address, that the head was trained on.
        data: What it is tested on, set up.
        kind: Of label: it neither learns from tracks without nor is judged on them.

    Raises:
        ValueError: There are such tracks; the message says how many, and names one.
    """
    tested, split = data.prepared, data.test_split
    corpus = tested.card["corpus"]
    if split == "train":
        return
    try:
        own = _opened(home, data)
        if not _are_of_one_family(own, tested):
            return
        known = _names(own, ["train"] if split == "val" else ["train", "val"], kind)
    except (OSError, ValueError) as error:
        if split == "all" and Path(home).name in (corpus, tested.card.get("family")):
            raise ValueError(
                f"--data.test_split all: the head was trained on {home}, which cannot be read ({error}): nobody can "
                f"tell its training tracks among all of {corpus}; bring {home} back, or leave --data.test_split out"
            ) from error
        return
    seen = _in_both(known, data, kind)
    if seen:
        raise ValueError(
            f"--data.test_split {split}: {len(seen)} of these tracks of {corpus} are among those that the head was "
            f"trained or validated on, such as {seen[0]} ({home}); test it on the test split of {home}, or on another "
            f"corpus: --data.root, --data.corpus"
        )


def heard_notes(pretrained_on: str, data: TaskData, kind: Kind) -> list[str]:
    """What must be said of a test on music that the encoder heard in its pretraining, without labels; if anything.

    Args:
        pretrained_on: The folder of the pretraining, of which a test needs nothing; one that does not lie here as
            prepared, or cannot be read, is passed over.
        data: What the head is tested on, set up.
        kind: Of label: the head is not judged on tracks without.
    """
    if not (Path(pretrained_on) / "index.parquet").exists():
        return []
    try:
        own = _opened(pretrained_on, data)
        known = _names(own, ["train"]) if _are_of_one_family(own, data.prepared) else []
    except (OSError, ValueError):
        return []
    heard = _in_both(known, data, kind)
    if not heard:
        return []
    return [f"{len(heard)} tracks are of the training split that the encoder was pretrained on, without labels"]


def _opened(root: str, data: TaskData) -> Prepared:
    """With the patience and the cache of the test: nobody knows those of the training."""
    tested = data.prepared
    return tested if Path(root).resolve() == tested.root.resolve() else Prepared(root, data.remote)


def _are_of_one_family(one: Prepared, other: Prepared) -> bool:
    """Whether tracks of the same name are the same work; by the names of the corpora where a card is older."""
    families = [{each.card["corpus"], each.card.get("family", each.card["corpus"])} for each in (one, other)]
    return not families[0].isdisjoint(families[1])


def _in_both(known: Collection[str], data: TaskData, kind: Kind) -> list[str]:
    """Those of some tracks that are tested, in the order of the test."""
    if not known:
        return []
    among = set(known)
    return [name for name in _names(data.prepared, [data.test_split], kind) if name in among]


def _names(prepared: Prepared, splits: Collection[Tested], kind: Kind | None = None) -> list[str]:
    """Tracks of some splits that carry a kind of label; without one all of them, from the index alone."""
    if kind is not None:
        return [
            entry.track_id
            for entry in prepared.entries
            if kind in entry.labels and not {entry.split, "all"}.isdisjoint(splits)
        ]
    index = prepared.index
    pairs = zip(index.track_ids.to_pylist(), index.splits.to_pylist(), strict=True)
    return [name for name, of_track in pairs if not {of_track, "all"}.isdisjoint(splits)]
