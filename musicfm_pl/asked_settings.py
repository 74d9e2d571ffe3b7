"""What the commands of a cell ask for, setting by setting, and where the record of a run says something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from musicfm_pl.cells import Cell
from musicfm_pl.config import expand_extends
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.provenance import COMPUTED_KEYS, IGNORED_KEYS, config_digest
from musicfm_pl.results import RunResult
from musicfm_pl.tokenizers.centroids_about import about_centroids

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NOT_COMPARED = IGNORED_KEYS | {"extends", "weights_only"}
"""Besides what changes no figure: what a run settles itself."""
_REFERENCE = re.compile(r"\$\{([\w.]+)\}")


class AskedSettings:
    """Settings by dotted keys, without `init_args`, in the order in which layers are laid over each other.

    It is a reading of YAML alone, so that hundreds of cells are looked at in seconds: defaults are not known.
    """

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.carried: set[str] = set()
        """Keys that an earlier class of the same part was given: jsonargparse keeps those that the later one has."""

    def put(self, key: str, value: Any) -> None:
        """Lays a value, or a mapping of them, over what is there."""
        if isinstance(value, Mapping):
            if self.values.get(key, value) is None:
                del self.values[key]
            # The class first: it decides what becomes of what was there.
            for name in sorted(value, key=lambda name: name != "class_path"):
                self.put(f"{key}.{name}".removesuffix(".init_args").removeprefix("."), value[name])
            return
        if f"{key}.class_path" in self.values and value is not None:
            key = f"{key}.class_path"  # a class by its name alone
        below = key.removesuffix("class_path") if key.endswith(".class_path") else f"{key}."
        inside = {other for other in self.values if other.startswith(below) and other != key}
        if key.endswith(".class_path"):
            if not _is_same_class(self.values.get(key, value), value):
                self.carried |= inside
        else:
            for other in inside:
                del self.values[other]
        # Nothing is put below a part that is not there.
        parts = key.split(".")
        for above in (".".join(parts[:number]) for number in range(1, len(parts))):
            if self.values.get(above, "") is None:
                del self.values[above]
        self.carried.discard(key)
        self.values[key] = value

    def resolved(self) -> dict[str, Any]:
        """All of them, with `${key}` as what stands under the key; what refers to a default is left out."""
        found = {}
        for key, value in self.values.items():
            if isinstance(value, str) and (reference := _REFERENCE.fullmatch(value)):
                other = reference[1].replace(".init_args", "")
                if other not in self.values:
                    continue
                value = self.values[other]
            found[key] = value
        return found


class Asker:
    """Reads what cells ask for; files that they share are read once."""

    def __init__(self) -> None:
        self._files: dict[Path, Any] = {}
        self._layers: dict[str, list[str]] = {}

    def differences(self, cell: Cell, result: RunResult) -> list[str]:
        """Settings in which the record of a finished cell is not what its commands ask for now, in words.

        Only what the commands and their files set is compared: of a setting that they have ceased to name, the
        record cannot tell whether it was the default.

        Args:
            cell: It has a result.
            result: Which that is.
        """
        file = cell.run_dir / "config.yaml"
        if not file.exists():
            return []
        record = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
        if not isinstance(record, dict) or config_digest(record) != result.config_digest:
            return [f"{file} is not what the result was made with (digest {result.config_digest[:12]}…)"]
        ways = {"fit": self._of_fit, "baseline": _of_baseline}
        # One record lies in the directory, and the last of them wrote it; centroids have records of their own.
        last = [words for words in cell.commands if words[0] in ways][-1:]
        try:
            found = [one for command, *arguments in last for one in ways[command](arguments, record)]
            for command, *arguments in cell.commands:
                found += _of_kmeans(arguments, cell.run_dir) if command == "kmeans" else []
        except (OSError, ValueError) as error:
            return [f"what it asks for now cannot be read: {error}"]
        return [f"{key}: {was}, asked is {value}" for key, value, was in found]

    def of_fit(self, arguments: Sequence[str]) -> AskedSettings:
        """What `musicfm fit` with these arguments is asked for."""
        asked = AskedSettings()
        expanded = self._expanded(settle_data_arguments(arguments, record=None))
        for key, value in option_pairs(expanded):
            if key in ("config", "c"):
                asked.put("", self._file(Path(value)))
            else:
                asked.put(key.replace(".init_args", ""), yaml.load(value, _LOADER))
        return asked

    def _of_fit(self, arguments: Sequence[str], record: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
        asked = self.of_fit(arguments)
        values = asked.resolved()
        for key, value in values.items():
            if not _NOT_COMPARED.isdisjoint(key.split(".")) or key in COMPUTED_KEYS:
                continue
            # A corpus has its own folder, which the record names.
            if key == "data.root" and values.get("data.corpus.class_path", values.get("data.corpus")) is not None:
                continue
            found, was = _at(record, key)
            # Of a part that can be of one class alone, the record does not name it.
            is_only_class = key.endswith(".class_path") and isinstance(_at(record, key.rpartition(".")[0])[1], Mapping)
            if not found and (key in asked.carried or key.endswith("+") or is_only_class):
                continue
            if not found or not _is_same(key, value, was):
                yield key, value, was if found else "not there"

    def _expanded(self, arguments: Sequence[str]) -> list[str]:
        result: list[str] = []
        pending = list(arguments)
        others = []
        while pending:
            word = pending.pop(0)
            if word in ("--config", "-c") and pending:
                word = f"--config={pending.pop(0)}"
            if word.startswith("--config="):
                if word not in self._layers:
                    self._layers[word] = expand_extends([word])
                result += self._layers[word]
            else:
                others.append(word)
        return [*result, *others]

    def _file(self, file: Path) -> Any:
        if file not in self._files:
            self._files[file] = yaml.load(file.read_text(encoding="utf-8"), _LOADER) or {}
        return self._files[file]


def _of_baseline(arguments: Sequence[str], record: Mapping[str, Any]) -> Iterable[tuple[str, Any, Any]]:
    for key, text in option_pairs(arguments):
        value = yaml.load(text, _LOADER)
        if key == "task":
            was = str(record.get("method"))
            if f".{value}." not in was:
                yield key, value, was
        elif (name := key.removeprefix("method.")) in record and name not in IGNORED_KEYS:
            was = record[name]
            if not (_is_same_class(value, was) if name == "method" else _is_same(name, value, was)):
                yield key, value, was


def _of_kmeans(arguments: Sequence[str], run_dir: Path) -> Iterable[tuple[str, Any, Any]]:
    """Beside what the file of centroids says of itself; if it is gone, the cell lacks it, which is another matter."""
    options = dict(option_pairs(arguments))
    about = about_centroids(Path(options.get("out", "")), run_dir)
    record = {**about, **about.get("mel", {}), **about.get("fit", {})}
    for key, text in options.items():
        value = yaml.load(text, _LOADER)
        if key in record and not _is_same(key, value, record[key]):
            yield f"kmeans --{key}", value, record[key]


def option_pairs(arguments: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Options with their values."""
    waiting = list(arguments)
    while waiting:
        key, equals, value = waiting.pop(0).partition("=")
        if not equals:
            value = waiting.pop(0) if waiting and not waiting[0].startswith("--") else "true"
        yield key.lstrip("-"), value


def _at(record: Mapping[str, Any], key: str) -> tuple[bool, Any]:
    """Whether the record has a setting, and which."""
    value: Any = record
    for name in key.split("."):
        if not isinstance(value, Mapping):
            return False, None
        if name not in value and isinstance(value.get("init_args"), Mapping):
            value = value["init_args"]
        if name not in value:
            return False, None
        value = value[name]
    return True, value


def _is_same(key: str, asked: Any, was: Any) -> bool:
    """Whether a value of YAML is that of a record, which has classes in full and numbers in their types."""
    if isinstance(asked, Mapping):
        return isinstance(was, Mapping) and all(
            _is_same(name, item, was if name == "init_args" else _at(was, name)[1]) for name, item in asked.items()
        )
    if isinstance(asked, list):
        return isinstance(was, list) and len(asked) == len(was) and all(map(_is_same, [key] * len(was), asked, was))
    if isinstance(was, Mapping):
        return _is_same_class(asked, was.get("class_path"))
    if key.endswith("class_path"):
        return _is_same_class(asked, was)
    if asked is None or was is None or isinstance(asked, bool) or isinstance(was, bool):
        return str(asked).lower() == str(was).lower()
    try:
        return float(asked) == float(was)
    except (TypeError, ValueError):
        return Path(str(asked)) == Path(str(was))


def _is_same_class(one: Any, other: Any) -> bool:
    """By their paths, or where one is a name alone, by that."""
    first, second = str(one), str(other)
    if "." in first and "." in second:
        return first == second
    return first.rpartition(".")[2] == second.rpartition(".")[2]
