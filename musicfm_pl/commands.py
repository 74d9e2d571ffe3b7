"""The commands around the experiments: plain functions through jsonargparse."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from typing import Any

from jsonargparse import auto_cli

from data_modules import corpora
from data_modules.corpora.base import Corpus


def run_command(command: str, arguments: Sequence[str]) -> None:
    """Runs one of `cli.OTHER_COMMANDS` with the arguments that follow it."""
    auto_cli(
        _function(command),
        args=_corpus_by_name(list(arguments)),
        prog=f"musicfm {command}",
        as_positional=command == "grid",
    )


def _function(command: str) -> Callable[..., Any]:
    if command == "doctor":
        from data_modules.doctor import doctor

        return doctor
    if command == "prepare":
        from data_modules.prepare import prepare

        return prepare
    if command == "embed":
        from musicfm_pl.embed import embed_files

        return embed_files
    if command == "grid":
        from musicfm_pl.grid import grid

        return grid
    from musicfm_pl.leaderboard import leaderboard

    return leaderboard


def _corpus_by_name(arguments: list[str]) -> list[str]:
    """`--corpus tiny` for the class in `data_modules/corpora/tiny.py`; `--root X` for `--corpus.root X`."""
    result = []
    for at, argument in enumerate(arguments):
        flag, _, value = argument.partition("=")
        if flag == "--root":
            argument = "--corpus.root" + argument.removeprefix("--root")
        elif flag == "--corpus" and value.isidentifier():
            argument = f"--corpus={corpus_class(value)}"
        elif at and arguments[at - 1] == "--corpus" and argument.isidentifier():
            argument = corpus_class(argument)
        result.append(argument)
    return result


def corpus_class(name: str) -> str:
    """The class path of the corpus in `data_modules/corpora/<name>.py`.

    Raises:
        ValueError: There is none; the message lists those that there are.
    """
    modules = [module.name for module in pkgutil.iter_modules(corpora.__path__)]
    found = _corpus_in(name) if name in modules else None
    if found is None:
        known = ", ".join(module for module in modules if _corpus_in(module))
        raise ValueError(f"--corpus: there is no corpus {name!r}; known are {known}, or give a class path")
    return found


def _corpus_in(module_name: str) -> str | None:
    """The class path of the corpus that a module of `data_modules.corpora` defines, if it does."""
    module = importlib.import_module(f"data_modules.corpora.{module_name}")
    for member in vars(module).values():
        if inspect.isclass(member) and issubclass(member, Corpus) and member.__module__ == module.__name__:
            return None if inspect.isabstract(member) else f"{member.__module__}.{member.__qualname__}"
    return None
