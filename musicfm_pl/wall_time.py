"""How long a cell of a grid ran by the clock, all commands and starts: counted by its launcher, kept beside its log."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from musicfm_pl.cells import Cell
from musicfm_pl.results import ResultError, write_aside

FILE_NAME = "wall_time.json"


@dataclass(frozen=True)
class WallTime:
    """What the starts of a cell took in sum; one that was killed outright is not among them.

    Attributes:
        seconds: By the clock, from the first command to the end of the last.
        starts: How many: one, unless the cell failed or was interrupted before.
    """

    seconds: float
    starts: int


@contextlib.contextmanager
def counted(run_dir: Path) -> Iterator[None]:
    """Adds the time that passes within to that of earlier starts, whether or not what is done there succeeds.

    Raises:
        ResultError: See `read_wall_time`.
    """
    before = read_wall_time(run_dir) or WallTime(0.0, 0)
    began_s = time.monotonic()
    try:
        yield
    finally:
        seconds = round(before.seconds + time.monotonic() - began_s, 1)
        # A full disk must not decide how a cell ends.
        with contextlib.suppress(OSError):
            write_aside(run_dir / FILE_NAME, json.dumps(asdict(WallTime(seconds, before.starts + 1))) + "\n")


def read_wall_time(run_dir: Path) -> WallTime | None:
    """What a cell took; None if no launcher counted it.

    Raises:
        ResultError: The file is damaged.
    """
    file = run_dir / FILE_NAME
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        return WallTime(float(data["seconds"]), int(data["starts"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise ResultError(f"{file}: no wall time of a cell ({error!r}); remove it") from error


def took_text(cells: Iterable[Cell]) -> str:
    """What some cells took in sum; empty if none was counted."""
    found = [took for cell in cells if (took := read_wall_time(cell.run_dir))]
    if not found:
        return ""
    return f"took: {duration(sum(took.seconds for took in found))}, the wall times of {len(found)} cells added up"


def duration(seconds: float) -> str:
    """Hours, minutes and seconds, such as 1:02:05."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
