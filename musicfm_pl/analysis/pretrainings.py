"""Which pretraining an encoder comes from: its configuration, found among the results rather than where it was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from musicfm_pl.encoders.encoder_file import read_encoder_config
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import ResultError, RunResult, run_name

# Of libyaml, where PyYAML has it: a table of some hundred runs reads as many configurations.
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Pretraining:
    """What is known of one.

    Attributes:
        folder: Of its run, or the file of its encoder.
        config: Its configuration.
        digest: Of that.
    """

    folder: Path
    config: Mapping[str, Any]
    digest: str


class Pretrainings:
    """Those that the encoders of some results name.

    Args:
        results: With the folder that holds each, and its configuration, which is empty if that was not kept.
    """

    def __init__(self, results: Iterable[tuple[RunResult, Path, Mapping[str, Any]]]) -> None:
        kept = list(results)
        self._found: dict[str, Pretraining | None] = {
            result.run: Pretraining(folder, config, result.config_digest)
            for result, folder, config in kept
            if result.stage == "pretrain" and config
        }
        self._roots = sorted({_root(result.run, folder) for result, folder, _ in kept})

    def of(self, run: Path) -> Pretraining | None:
        """The one that a configuration names by its run; None if nothing is left of it.

        A run below a folder `runs` is looked for among the results, where it may be kept without its own: what
        happens to lie below the current directory would make one page here and another elsewhere.

        Args:
            run: A run directory, or the file of an encoder.

        Raises:
            ResultError: Its configuration cannot be read.
        """
        name = run_name(run)
        if name not in self._found:
            self._found[name] = self._sought(name, run)
        return self._found[name]

    def _sought(self, name: str, run: Path) -> Pretraining | None:
        if run.is_file():  # `encoder.safetensors` alone, which says how it was made
            try:
                config = read_encoder_config(run)
            except ValueError as error:
                raise ResultError(f"the configuration of the pretraining {run} cannot be read: {error}") from error
            return Pretraining(run, config, config_digest(config))
        wanted = name.split("/")
        places = [root.joinpath(*wanted[len(top) :]) for top, root in self._roots if tuple(wanted[: len(top)]) == top]
        if run.is_absolute() or "runs" not in run.parts[:-1]:
            places.append(run)
        for place in places:
            if (place / "config.yaml").exists():
                config = read_config(place / "config.yaml")
                return Pretraining(place, config, config_digest(config))
        return None


def _root(run: str, folder: Path) -> tuple[tuple[str, ...], Path]:
    """Where runs lie, from one of them, and what the names of all there begin with.

    `study/cpu/mel/key/seed0` in the folder `kept/mel/key/seed0` says that what begins with `study/cpu` is in `kept`.
    """
    name, parts = run.split("/"), folder.parts
    same = 0
    while same < min(len(name), len(parts)) and name[-1 - same] == parts[-1 - same]:
        same += 1
    return tuple(name[: len(name) - same]), Path(*parts[: len(parts) - same])


def read_config(file: Path) -> dict[str, Any]:
    """A configuration as a run directory keeps it.

    Raises:
        ResultError: It is no YAML, or no mapping.
    """
    try:
        config = yaml.load(file.read_text(encoding="utf-8"), Loader=_Loader)
    except yaml.YAMLError as error:
        raise ResultError(f"{file}: no YAML ({error})") from error
    if not isinstance(config, dict):
        raise ResultError(f"{file}: not a configuration, but a YAML {type(config).__name__}")
    return config
