"""What a prepared folder was made from: `corpus.json`, and the refusal to go on with anything else."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import Corpus, Item
from data_modules.shard_writer import Shape
from data_modules.shards import written_aside

NAME = "corpus.json"
_TOLD = {"name"}
"""Arguments that the card tells by themselves, also where an earlier version had no such argument."""


def arguments_of(corpus: Corpus) -> dict[str, Any]:
    """What a corpus was constructed with, as JSON: its own settings decide what is prepared.

    Args:
        corpus: Keeps every argument of its constructor as an attribute of the same name.

    Returns:
        Values by argument; paths are absolute, so that the same folder named in two ways is the same. A file, such
        as a map of labels, is a `path` and the `sha256` of what it says, since that decides what is prepared, too.

    Raises:
        TypeError: The corpus does not keep an argument.
    """
    found = {}
    for name in inspect.signature(type(corpus)).parameters:
        if not hasattr(corpus, name):
            raise TypeError(
                f"{type(corpus).__qualname__}: keep the argument {name!r} as an attribute of the same name; "
                f"it belongs to the record of what was prepared"
            )
        found[name] = _as_json(getattr(corpus, name))
    return found


def _as_json(value: Any) -> Any:
    if isinstance(value, Path):
        path = value.expanduser().resolve()
        if not path.is_file():
            return str(path)
        with path.open("rb") as file:
            return {"path": str(path), "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def is_of(corpus: Corpus, out: Path) -> bool:
    """Whether the card of a folder names this very corpus with these arguments; the data set is not looked at.

    A folder without a card, or of an earlier version that does not tell the arguments, is not. One that does not tell
    the class, which came later, is taken for that of the name.
    """
    path = out / NAME
    if not path.exists():
        return False
    before, now = json.loads(path.read_text()), arguments_of(corpus)
    has: Mapping[str, Any] | None = before.get("arguments")
    # An argument that came with a later version was as it is where it is left out.
    return bool(
        before["corpus"] == corpus.name
        and before.get("class_path", _class_path(corpus)) == _class_path(corpus)
        and has is not None
        and all(_are_same(has.get(key), now.get(key)) for key in (has.keys() | now.keys()) - _TOLD)
    )


def settle(corpus: Corpus, items: Sequence[Item], out: Path, wanted: Mapping[str, Any]) -> Shape:
    """Writes the card of a folder, or checks that it is this corpus' own.

    Args:
        corpus: What is to be prepared.
        items: Its tracks.
        out: The folder.
        wanted: Fields of `Shape` as the user asks for them; None, or what is absent, to go on with what the folder
            has, or else to take the default.

    Returns:
        What its shards look like.

    Raises:
        ValueError: The folder was made from another corpus, with other arguments, from other tracks or in other
            shards; the message names what differs.
    """
    path = out / NAME
    asked = {key: value for key, value in wanted.items() if value is not None}
    shape = Shape(**{"tracks_per_shard": _tracks_per_shard(len(items)), **asked})
    card = {
        "corpus": corpus.name,
        "class_path": _class_path(corpus),
        "family": corpus.family,
        "licence": corpus.licence,
        "note": corpus.note,
        "arguments": arguments_of(corpus),
        "sample_rate": SAMPLE_RATE,
        "num_items": len(items),
        "items_sha256": hashlib.sha256(
            json.dumps([(i.track_id, i.group, i.split) for i in items]).encode()
        ).hexdigest(),
        **shape._asdict(),
    }
    if path.exists():
        before = json.loads(path.read_text())
        _check(before, card, out, has_name="name" in inspect.signature(type(corpus)).parameters)
        has = shape_of(before)
        for key, value in asked.items():
            if value != getattr(has, key):
                raise ValueError(f"--{key}: {out} was begun with {getattr(has, key)}, not {value}")
        return has
    with written_aside(path, "w") as file:
        json.dump(card, file, indent=2)
    return shape


def _class_path(corpus: Corpus) -> str:
    """Which reader it is: two may go by one name, as a folder of JAMS files that is called harmonix."""
    return f"{type(corpus).__module__}.{type(corpus).__qualname__}"


def shape_of(card: Mapping[str, Any]) -> Shape:
    """What the shards of a folder look like by its card; one of an earlier version does not tell everything."""
    return Shape(**{key: card[key] for key in Shape._fields if key in card})


def num_shards(card: Mapping[str, Any]) -> int:
    """How many shards there are when all is done."""
    return -(-int(card["num_items"]) // shape_of(card).tracks_per_shard)


def _tracks_per_shard(num_items: int) -> int:
    """Few enough that little is lost when it is stopped, so many that there are at most some thousand files."""
    return min(256, max(4, num_items // 1000))


def _check(before: Mapping[str, Any], now: Mapping[str, Any], out: Path, has_name: bool) -> None:
    remedy = f"name another folder, {'give another corpus.name, ' if has_name else ''}or delete that one"
    if before["corpus"] == now["corpus"]:
        was_read_by = before.get("class_path", now["class_path"])
        if was_read_by != now["class_path"]:
            raise ValueError(
                f"--out: {out} was prepared from the {before['corpus']} of {was_read_by}, not of {now['class_path']}; "
                f"{remedy}"
            )
        # Folders of earlier versions do not tell their arguments.
        old, new = before.get("arguments", now["arguments"]), now["arguments"]
        for key in sorted((old.keys() | new.keys()) - _TOLD):
            was, is_ = old.get(key), new.get(key)
            if _are_same(was, is_):
                continue
            if _are_same(_without_digest(was), _without_digest(is_)):
                raise ValueError(
                    f"corpus.{key}: {_without_digest(is_)} has changed since {out} was prepared; "
                    f"put back what it was, {remedy}"
                )
            raise ValueError(
                f"corpus.{key}: {out} was prepared with {_without_digest(was)!r}, not {_without_digest(is_)!r}; "
                f"give the same again, {remedy}"
            )
    if before["corpus"] != now["corpus"] or before["items_sha256"] != now["items_sha256"]:
        raise ValueError(
            f"--out: {out} was prepared from {before['corpus']} with {before['num_items']} tracks, not from this "
            f"{now['corpus']} with {now['num_items']}; {remedy}"
        )


def _without_digest(value: Any) -> Any:
    return value["path"] if isinstance(value, Mapping) and value.keys() == {"path", "sha256"} else value


def _are_same(was: Any, is_: Any) -> bool:
    """Whether an argument is the same; by its path a file of which one side has no digest, such as one that is gone."""
    both_told = isinstance(was, Mapping) and isinstance(is_, Mapping)
    return bool(was == is_ if both_told else _without_digest(was) == _without_digest(is_))
