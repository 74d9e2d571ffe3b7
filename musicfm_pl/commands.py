"""The commands around the experiments: plain functions through jsonargparse."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

from jsonargparse import auto_cli

from data_modules import corpora
from data_modules.corpora.base import Corpus
from musicfm_pl.corpus_arguments import require


def run_command(command: str, arguments: Sequence[str]) -> None:
    """Runs one of `cli.OTHER_COMMANDS` with the arguments that follow it."""
    auto_cli(
        _function(command),
        args=arguments_of(command, arguments),
        prog=f"musicfm {command}",
        as_positional=command == "grid",
    )


def arguments_of(command: str, arguments: Sequence[str]) -> list[str]:
    """Arguments as jsonargparse takes them: short names of corpora and tasks are class paths.

    Raises:
        ValueError: There is no such name, or a corpus lacks an argument that it needs.
    """
    if command in ("prepare", "doctor"):
        return _corpus_by_name(arguments)
    return _method_by_task(arguments) if command == "baseline" else list(arguments)


def _function(command: str) -> Callable[..., Any]:
    if command == "doctor":
        from data_modules.doctor import doctor

        return doctor
    if command == "prepare":
        from data_modules.prepare import prepare

        return prepare
    if command == "merge":
        from data_modules.prepare import merge

        return merge
    if command == "export":
        from data_modules.exchange import export

        return export
    if command == "to_litdata":
        from data_modules.litdata_folder import to_litdata

        return to_litdata
    if command == "bench_data":
        from data_modules.bench import bench_data

        return bench_data
    if command == "baseline":
        from musicfm_pl.baselines.evaluate import baseline

        return baseline
    if command == "embed":
        from musicfm_pl.embed import embed_files

        return embed_files
    if command == "kmeans":
        from musicfm_pl.kmeans import kmeans

        return kmeans
    if command == "codebook":
        from musicfm_pl.codebook import codebook

        return codebook
    if command == "curves":
        from musicfm_pl.curves import curves

        return curves
    if command == "bench":
        from musicfm_pl.bench.command import bench

        return bench
    if command == "grid":
        from musicfm_pl.grid import grid

        return grid
    if command == "collect":
        from musicfm_pl.collect import collect

        return collect
    if command == "relations":
        from musicfm_pl.relations_text import relations

        return relations
    if command == "generalisation":
        from musicfm_pl.generalisation_text import generalisation

        return generalisation
    if command == "attribution":
        from musicfm_pl.attribution_plot import attribution

        return attribution
    from musicfm_pl.leaderboard import leaderboard

    return leaderboard


def _corpus_by_name(arguments: Sequence[str]) -> list[str]:
    """`--corpus tiny` for the class in `data_modules/corpora/tiny.py`; `--root X` for `--corpus.root X`."""
    renamed = [
        "--corpus.root" + argument.removeprefix("--root") if argument.partition("=")[0] == "--root" else argument
        for argument in arguments
    ]
    result = _by_name(renamed, "--corpus", "--corpus", corpora, Corpus)
    for argument, following in zip(result, [*result[1:], ""], strict=True):
        flag, _, value = argument.partition("=")
        class_path = value or following
        if flag == "--corpus" and class_path.startswith(f"{corpora.__name__}."):
            require(class_path, flag, result)
    return result


def _method_by_task(arguments: Sequence[str]) -> list[str]:
    """`--task beat` for the class in `musicfm_pl/baselines/beat.py`."""
    from musicfm_pl import baselines
    from musicfm_pl.baselines.base import Baseline

    return _by_name(arguments, "--task", "--method", baselines, Baseline)


def _by_name(arguments: Sequence[str], flag: str, option: str, package: ModuleType, base: type) -> list[str]:
    """Puts `option=CLASS` for a flag with the name of a module in a package that holds such a class."""
    result: list[str] = []
    waiting = iter(arguments)
    for argument in waiting:
        given, equals, value = argument.partition("=")
        if given == flag and not equals:
            value = next(waiting, "")
        if given == flag and (value.isidentifier() or flag != option):
            result.append(f"{option}={_class_of(value, flag, option, package, base)}")
        else:
            result += [argument] if given != flag or equals else [argument, value]
    return result


def corpus_class(name: str) -> str:
    """The class path of the corpus in `data_modules/corpora/<name>.py`.

    Raises:
        ValueError: There is none; the message lists those that there are.
    """
    return _class_of(name, "--corpus", "--corpus", corpora, Corpus)


def _class_of(name: str, flag: str, option: str, package: ModuleType, base: type) -> str:
    modules = [module.name for module in pkgutil.iter_modules(package.__path__)]
    found = _class_in(f"{package.__name__}.{name}", base) if name in modules else None
    if found is None:
        classes = {module: _class_in(f"{package.__name__}.{module}", base) for module in modules}
        known = ", ".join(module for module, class_path in classes.items() if class_path)
        raise ValueError(
            f"{flag}: there is no {flag.strip('-')} {name!r}; known are {known}, or give {option} a class path"
        )
    return found


def _class_in(module_name: str, base: type) -> str | None:
    """The path of the concrete class that a module defines, if it does."""
    module = importlib.import_module(module_name)
    for member in vars(module).values():
        if inspect.isclass(member) and issubclass(member, base) and member.__module__ == module.__name__:
            return None if inspect.isabstract(member) else f"{member.__module__}.{member.__qualname__}"
    return None
