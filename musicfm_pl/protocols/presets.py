"""Named protocols: the choices under which a task is evaluated, one YAML each, beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import yaml

OWN = "musicfm"
"""The protocol of this project, which is there for every task."""
CUSTOM = "custom"
"""What a run is evaluated under that agrees with no named protocol of its task."""


class ProtocolError(ValueError):
    """A protocol that is not there or cannot be used: the message says which file and which key."""


@dataclass(frozen=True)
class Protocol:
    """The choices that a publication or a tool makes, and that its figures are only comparable under.

    Attributes:
        name: Of the file.
        task: Of the folder.
        source: Whose choices they are.
        headline: The figures that it is about, the first one first.
        settings: Rules of the task's head by name (see `musicfm_pl.heads.base.Rules`). What is not stated is
            no part of the protocol: the head's own settings hold, and the notes of the figures tell them.
        not_reproduced: In what respects figures under it still differ from those of its source.
    """

    name: str
    task: str
    source: str
    headline: tuple[str, ...]
    settings: Mapping[str, Any]
    not_reproduced: tuple[str, ...]


def protocols(task: str) -> list[Protocol]:
    """The protocols of a task, this project's own first.

    Raises:
        ProtocolError: A file cannot be used.
    """
    return [_read(file, task) for file in _yamls(task)]


def protocol_names(task: str) -> list[str]:
    """Names of the protocols of a task, this project's own first."""
    return [_name(file) for file in _yamls(task)]


def protocol(task: str, name: str) -> Protocol:
    """A protocol by its name.

    Raises:
        ProtocolError: There is none; the message names those that there are.
    """
    for file in _yamls(task):
        if _name(file) == name:
            return _read(file, task)
    raise ProtocolError(f"there is no protocol {name!r} of {task}; known are {', '.join(protocol_names(task))}")


def _yamls(task: str) -> Sequence[Traversable]:
    folder = files("musicfm_pl") / "protocols" / task
    if not folder.is_dir():
        return []
    found = [file for file in folder.iterdir() if file.name.endswith(".yaml")]
    return sorted(found, key=lambda file: (_name(file) != OWN, file.name))


def _name(file: Traversable) -> str:
    return file.name.removesuffix(".yaml")


def _read(file: Traversable, task: str) -> Protocol:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ProtocolError(f"{file}: no YAML ({error})") from error
    required = {"source": str, "headline": list, "settings": dict}
    kinds = required | {"not_reproduced": list}
    if not isinstance(data, dict) or not required.keys() <= data.keys() <= kinds.keys():
        has = ", ".join(map(str, data)) if isinstance(data, dict) else repr(data)
        raise ProtocolError(f"{file}: has {has}, but needs {', '.join(required)}, and may have not_reproduced")
    for key, kind in kinds.items():
        if key in data and not isinstance(data[key], kind):
            raise ProtocolError(f"{file}: {key}: {data[key]!r} is no {kind.__name__}")
    return Protocol(
        name=_name(file),
        task=task,
        source=data["source"],
        headline=tuple(data["headline"]),
        settings=data["settings"],
        not_reproduced=tuple(data.get("not_reproduced", ())),
    )
