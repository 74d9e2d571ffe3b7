"""The cells of a grid: a YAML of stages and axes, expanded to runs with their directories and commands."""

from __future__ import annotations

import graphlib
import itertools
import shlex
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml


class GridError(ValueError):
    """A grid that cannot be used: the message says which file and which key."""


@dataclass(frozen=True)
class Cell:
    """One run of a grid.

    Attributes:
        run: Its name in the grid.
        run_dir: Its directory, relative to the current one unless the root is absolute.
        commands: Arguments of `musicfm`, one list a command, in order.
        needs: Names of the runs that must be done first.
    """

    run: str
    run_dir: Path
    commands: tuple[tuple[str, ...], ...]
    needs: tuple[str, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """What its commands write by the name that `--out` gives, beside the result: centroids, reports."""
        return tuple(
            Path(following)
            for command in self.commands
            for word, following in itertools.pairwise(command)
            if word == "--out"
        )

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.run_dir / "log.txt"


def read_grid(file: Path, scale: str | None = None) -> list[Cell]:
    """The cells of a grid, in the order of the file.

    Args:
        file: The YAML.
        scale: One of its `scales`; the first of them by default.

    Raises:
        FileNotFoundError: There is no such file.
        GridError: Unknown or missing keys, unknown placeholders, needs that are no run or form a circle, a scale that
            the grid does not have.
    """
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise GridError(f"{file}: no YAML ({error}); a text with braces in a [list] needs quotes") from error
    _keys(data, f"{file}", required=("root", "stages"), optional=("scales",))
    scales = [_text(name, f"{file}: scales") for name in _list(data.get("scales", []), f"{file}: scales", True)]
    if scale is not None and scale not in scales:
        raise GridError(f"{file}: no scale {scale}; it has {', '.join(scales) or 'none'}")
    scaled = {"scale": scale or scales[0]} if scales else {}
    root = Path(_fill(_text(data["root"], f"{file}: root"), scaled, f"{file}: root"))
    cells: dict[str, Cell] = {}
    needs_at: dict[str, str] = {}
    for index, stage in enumerate(_list(data["stages"], f"{file}: stages")):
        at = f"{file}: stages[{index}]"
        for cell in _expand(stage, root, scaled, scales, at):
            if cell.run in cells:
                raise GridError(f"{at}.run: {cell.run} is there twice; every axis must stand in the name of the run")
            cells[cell.run] = cell
            needs_at[cell.run] = f"{at}.needs"
    for cell in cells.values():
        for need in cell.needs:
            if need not in cells:
                raise GridError(f"{needs_at[cell.run]}: {need} is no run of this grid")
    try:
        graphlib.TopologicalSorter({cell.run: cell.needs for cell in cells.values()}).prepare()
    except graphlib.CycleError as error:
        raise GridError(f"{file}: needs: a circle, {' needs '.join(reversed(error.args[1]))}") from error
    return list(cells.values())


def _expand(stage: object, root: Path, scaled: Mapping[str, str], scales: Sequence[str], at: str) -> list[Cell]:
    _keys(stage, at, required=("run", "commands"), optional=("axes", "needs"))
    assert isinstance(stage, dict)
    axes = _axes(stage.get("axes", {}), scaled, scales, f"{at}.axes")
    run = _text(stage["run"], f"{at}.run")
    needs = [_text(t, f"{at}.needs[{i}]") for i, t in enumerate(_list(stage.get("needs", []), f"{at}.needs", True))]
    commands = [_text(t, f"{at}.commands[{i}]") for i, t in enumerate(_list(stage["commands"], f"{at}.commands"))]
    cells = []
    for values in itertools.product(*axes):
        point: dict[str, Any] = dict(scaled)
        for value in values:
            point |= value
        name = _fill(run, point, f"{at}.run")
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts or name != str(PurePosixPath(name)):
            raise GridError(f"{at}.run: {name!r} is no plain path below the root")
        run_dir = root / name
        everything = point | {"run_dir": run_dir}
        filled = []
        for index, command in enumerate(commands):
            # Split before filling in, so that a value with a space stays one argument.
            where = f"{at}.commands[{index}]"
            filled.append(tuple(_fill(word, everything, where) for word in _split(command, where)))
        needed = tuple(_fill(need, point, f"{at}.needs[{i}]") for i, need in enumerate(needs))
        cells.append(Cell(name, run_dir, tuple(filled), needed))
    return cells


def _axes(axes: object, scaled: Mapping[str, str], scales: Sequence[str], at: str) -> list[list[dict[str, Any]]]:
    """The axes of a stage: of each its points, of each point what its placeholders stand for."""
    if not isinstance(axes, dict):
        raise GridError(f"{at}: {axes!r} is no mapping of names to lists")
    found: list[list[dict[str, Any]]] = []
    names: set[str] = set()
    for axis, values in axes.items():
        if isinstance(values, dict) and scaled:
            if unknown := sorted(str(name) for name in values if name not in scales):
                raise GridError(f"{at}.{axis}: {', '.join(unknown)} is no scale of this grid")
            if scaled["scale"] not in values:
                raise GridError(f"{at}.{axis}: says nothing of the scale {scaled['scale']}")
            values = values[scaled["scale"]]
        points = []
        for value in _list(values, f"{at}.{axis}"):
            point = value if isinstance(value, dict) else {axis: value}
            for name, filler in point.items():
                if not isinstance(name, str) or not name.isidentifier() or name in ("run_dir", "scale"):
                    raise GridError(f"{at}: {name!r} cannot name an axis")
                if not isinstance(filler, str | int | float):
                    raise GridError(f"{at}.{axis}: {filler!r} is neither text nor a number")
            points.append(point)
        if points and any(point.keys() != points[0].keys() for point in points):
            raise GridError(f"{at}.{axis}: its values do not all have the keys {', '.join(points[0])}")
        if twice := names & points[0].keys():
            raise GridError(f"{at}.{axis}: {', '.join(sorted(twice))} is there twice")
        names |= points[0].keys()
        found.append(points)
    return found


def _split(command: str, at: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError as error:
        raise GridError(f"{at}: {error}") from error


def _fill(template: str, values: Mapping[str, Any], at: str) -> str:
    known = ", ".join(f"{{{name}}}" for name in values) or "none"
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]
    except ValueError as error:
        raise GridError(f"{at}: {template!r}: {error}; a brace that is meant is doubled") from error
    for name in names:
        if name not in values:
            raise GridError(f"{at}: unknown placeholder {{{name}}}; known are {known}")
    return template.format_map(values)


def _keys(data: object, at: str, required: Sequence[str], optional: Sequence[str] = ()) -> None:
    if not isinstance(data, dict):
        raise GridError(f"{at}: needs the keys {', '.join(required)}, but has {data!r}")
    if unknown := [str(key) for key in data if key not in (*required, *optional)]:
        raise GridError(f"{at}: unknown key {', '.join(unknown)}; known are {', '.join((*required, *optional))}")
    if missing := [key for key in required if key not in data]:
        raise GridError(f"{at}: missing {', '.join(missing)}")


def _text(value: object, at: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise GridError(f"{at}: {value!r} is no text")
    return value


def _list(value: object, at: str, may_be_empty: bool = False) -> list[Any]:
    if not isinstance(value, list) or not (value or may_be_empty):
        raise GridError(f"{at}: {value!r} is no list{'' if may_be_empty else ' with something in it'}")
    return value
