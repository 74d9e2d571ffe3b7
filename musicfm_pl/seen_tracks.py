"""What of a test a model has seen: tracks its head was trained on are refused, those its encoder heard are told."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from data_modules.corpora.base import Split, Tested
from data_modules.shards import Prepared


def refuse_seen(home: str, tested: Prepared, split: Tested) -> None:
    """Refuses to test a head on tracks of its own corpus that it was trained on, or that its checkpoint was chosen by.

    To ask for the training split is to ask for just these, and so it is at home with that of validation: such figures
    stand in tables of their own. Where the home cannot be read, `all` of a corpus that is called as it is refused.

    Args:
        home: The folder, or the address, that the head was trained on.
        tested: The data that it is tested on.
        split: The tracks of them.

    Raises:
        ValueError: There are such tracks; the message says how many, and names one.
    """
    corpus = tested.card["corpus"]
    try:
        own = _opened(home, tested)
    except (OSError, ValueError) as error:
        if split == "all" and Path(home).name == corpus:
            raise ValueError(
                f"--data.test_split all: the head was trained on {home}, which cannot be read ({error}): nobody can "
                f"tell its training tracks among all of {corpus}; bring {home} back, or leave --data.test_split out"
            ) from error
        return
    if split == "train" or own.card["corpus"] != corpus:
        return
    seen = _in_both(own, ["train"] if split == "val" else ["train", "val"], tested, split)
    if seen:
        raise ValueError(
            f"--data.test_split {split}: {len(seen)} of these tracks of {corpus} are among those that the head was "
            f"trained or validated on, such as {seen[0]} ({home}); test it on the test split of {home}, or on another "
            f"corpus: --data.root, --data.corpus"
        )


def heard_notes(pretrained_on: str, tested: Prepared, split: Tested) -> list[str]:
    """What must be said of a test on music that the encoder heard in its pretraining, without labels; if anything.

    Args:
        pretrained_on: The folder of the pretraining; one that does not lie here as prepared is passed over.
        tested: The data that the head is tested on.
        split: The tracks of them.
    """
    if not (Path(pretrained_on) / "index.parquet").exists():
        return []
    own = _opened(pretrained_on, tested)
    heard = _in_both(own, ["train"], tested, split) if own.card["corpus"] == tested.card["corpus"] else []
    if not heard:
        return []
    return [f"{len(heard)} tracks are of the training split that the encoder was pretrained on, without labels"]


def _opened(root: str, tested: Prepared) -> Prepared:
    return tested if Path(root).resolve() == tested.root.resolve() else Prepared(root)


def _in_both(own: Prepared, splits: Collection[Split], tested: Prepared, split: Tested) -> list[str]:
    """Tracks of some splits of one folder that are among those of another that are tested, in the order of these."""
    known = {name for one in splits for name in _names(own, one)}
    return [name for name in _names(tested, split) if name in known]


def _names(prepared: Prepared, split: Tested) -> list[str]:
    """From the index alone, without reading labels."""
    index = prepared.index
    pairs = zip(index.track_ids.to_pylist(), index.splits.to_pylist(), strict=True)
    return [name for name, of_track in pairs if split in (of_track, "all")]
