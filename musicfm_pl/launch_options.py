"""`--launch slurm` among the options of a run: the same command, given to Slurm instead of run here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml
from rich.console import Console

from musicfm_pl.config import run_dir_of


def without_launch(arguments: Sequence[str]) -> tuple[list[str], bool, dict[str, Any]]:
    """Takes `--launch slurm` and `--slurm.NAME VALUE` out of the arguments of a command.

    Returns:
        What is left, whether to launch, and what the job asks for.

    Raises:
        ValueError: There is no such launcher, a value is missing, or there is nothing to launch.
    """
    left: list[str] = []
    launch = False
    parameters: dict[str, Any] = {}
    waiting = iter(arguments)
    for argument in waiting:
        name, equals, value = argument.partition("=")
        if name != "--launch" and not name.startswith("--slurm."):
            left.append(argument)
            continue
        if not equals:
            given = next(waiting, None)
            if given is None:
                raise ValueError(f"{name}: a value is missing")
            value = given
        if name == "--launch":
            if value != "slurm":
                raise ValueError(f"--launch: {value!r}, but a single run knows slurm alone; without it, it runs here")
            launch = True
        else:
            parameters[name.removeprefix("--slurm.")] = yaml.safe_load(value)
    if parameters and not launch:
        raise ValueError(f"--slurm.{next(iter(parameters))}: says what a job asks for, but there is no --launch slurm")
    return left, launch, parameters


def launch_run(command: str, arguments: Sequence[str], parameters: dict[str, Any]) -> None:
    """Submits a command.

    Args:
        command: fit, validate, test or predict.
        arguments: The options after it.
        parameters: What the job asks for, see `grid.grid`.

    Raises:
        ValueError: Nothing names the run; see also `slurm.submit_run`.
    """
    from musicfm_pl.slurm import submit_run

    submit_run([command, *arguments], run_dir_of(arguments)[0], parameters, Console())
