"""`extends:` in an experiment's YAML, and the run directory that its path names."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import yaml


def expand_extends(arguments: Sequence[str]) -> list[str]:
    """Command-line arguments in which each `--config FILE` stands after the files that FILE extends.

    Files come first, wherever they were given: any other setting on the command line wins over them. A YAML lists
    under `extends:` what it builds on, as paths relative to itself; later files win. The merging is left to
    jsonargparse.

    Raises:
        FileNotFoundError: A file does not exist; the message names who extends it.
        ValueError: Files extend each other in a circle, or a file is no mapping.
    """
    configs: list[str] = []
    others: list[str] = []
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        if argument in ("--config", "-c") and arguments:
            argument = f"--config={arguments.pop(0)}"
        if argument.startswith("--config="):
            for file in layers(Path(argument.removeprefix("--config="))):
                configs += ["--config", str(file)]
        else:
            others.append(argument)
    return [*configs, *others]


def layers(file: Path, within: tuple[Path, ...] = ()) -> list[Path]:
    """The files that `file` extends, in the order of merging, and itself last."""
    if not file.is_file():
        asked = f", which {within[-1]} extends" if within else ""
        raise FileNotFoundError(f"--config: there is no file {file}{asked}")
    if file.resolve() in [path.resolve() for path in within]:
        raise ValueError(f"extends: a circle, {' -> '.join(map(str, [*within, file]))}")
    try:
        content = yaml.safe_load(file.read_text()) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: no YAML ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{file}: an experiment is a mapping of settings, not a {type(content).__name__}")
    extends = content.get("extends") or []
    if not isinstance(extends, list):
        raise ValueError(f"{file}: extends must be a list of files")
    below = [layer for parent in extends for layer in layers(file.parent / parent, (*within, file))]
    return [*below, file]


def last_config(arguments: Sequence[str]) -> Path | None:
    """The configuration file that names the run: the last one on the command line."""
    found = None
    for argument, following in itertools.pairwise([*arguments, ""]):
        if argument in ("--config", "-c"):
            found = Path(following)
        elif argument.startswith("--config="):
            found = Path(argument.removeprefix("--config="))
    return found


def run_dir_of(arguments: Sequence[str]) -> tuple[Path, bool]:
    """The run directory that the options of a command come to, and whether they name it themselves.

    They do by `--run_dir`, else by `run_dir:` in the last YAML or what it extends; else the path of that YAML names it.

    Raises:
        ValueError: There is neither.
    """
    named = [
        following if argument == "--run_dir" else argument.removeprefix("--run_dir=")
        for argument, following in itertools.pairwise([*arguments, ""])
        if argument == "--run_dir" or argument.startswith("--run_dir=")
    ]
    config = last_config(arguments)
    if not named and config is None:
        raise ValueError("name an experiment: --config experiments/....yaml, or a finished run: --run_dir runs/...")
    if not named and config is not None:
        contents = [yaml.safe_load(file.read_text()) or {} for file in layers(config)]
        named = [content["run_dir"] for content in contents if content.get("run_dir")]
        if not named:
            return run_directory(config), False
    return Path(named[-1]), True


def run_directory(config: Path) -> Path:
    """`experiments/tasks/beat.yaml` -> `runs/tasks/beat`; a YAML elsewhere gives `runs/<its name>`."""
    path = config.with_suffix("")
    parts = path.parts
    if "experiments" in parts:
        at = len(parts) - 1 - parts[::-1].index("experiments")
        return Path("runs", *parts[at + 1 :])
    return Path("runs") / path.name
