"""Whether a result of a grid was made from the runs that lie there now, or from what they were before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from musicfm_pl.asked_settings import option_pairs
from musicfm_pl.cells import Cell
from musicfm_pl.results import ResultError, RunResult, read_result


class Needs:
    """The runs that cells need; each is read once.

    Args:
        cells: All of a grid.
    """

    def __init__(self, cells: Sequence[Cell]) -> None:
        self._cells = {cell.run: cell for cell in cells}
        self._results: dict[str, RunResult | None] = {}

    def made_anew(self, cell: Cell, result: RunResult) -> list[str]:
        """Runs that were made anew with other settings since the cell was made from them, in words.

        Of a result that does not say from which encoder it was made, as none did before schema 5, only a test of
        another run tells anything.

        Args:
            cell: It has a result.
            result: Which that is.
        """
        tested = _tested_run(cell)
        needed = [(run, found) for run in cell.needs if (found := self._read(run)) is not None]
        reasons: list[str] = []
        for run, found in needed:
            if tested is not None and self._cells[run].run_dir == tested:
                reasons += _differing(f"it is a test of {run}, which", "config_digest", result, found.config_digest)
                reasons += _differing(f"the encoder of {run}", "encoder_digest", result, found.encoder_digest)
            elif found.stage == "pretrain" and result.stage != "pretrain":
                reasons += _differing(f"its encoder is of {run}, which", "encoder_digest", result, found.config_digest)
        return reasons

    def _read(self, run: str) -> RunResult | None:
        if run not in self._results:
            try:
                self._results[run] = read_result(self._cells[run].run_dir)
            except (OSError, ResultError):
                self._results[run] = None
        return self._results[run]


def _tested_run(cell: Cell) -> Path | None:
    """The run of another cell that this one tests, as `test --run_dir ... --result_dir ...` does."""
    for command, *arguments in cell.commands:
        options = dict(option_pairs(arguments))
        if command == "test" and "result_dir" in options and "run_dir" in options:
            return Path(options["run_dir"])
    return None


def _differing(what: str, key: str, result: RunResult, now: str) -> Iterable[str]:
    was = str(getattr(result, key))
    if was and now and was != now:
        yield f"{what} was made anew with other settings ({key}: {was[:12]}…, now {now[:12]}…)"
