"""Which row of a table is ahead of all others in a column, by a difference that is not chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musicfm_pl.analysis.intervals import Effect, Sampled, adjusted, effect
from musicfm_pl.standings import Cell


@dataclass(frozen=True)
class Lead:
    """Whether the best row of a column is ahead of every other, and not by chance.

    Attributes:
        row: Index of the row with the highest mean.
        next_row: Index of the row that comes next.
        effect: The best minus the next; None if they cannot be compared.
        adjusted_p: Of that, corrected for all comparisons of the table.
        holds: The difference to each other row holds, see `Effect.holds`.
    """

    row: int
    next_row: int
    effect: Effect | None
    adjusted_p: float | None
    holds: bool


def leads(cells: Sequence[Sequence[Cell]], samples: Sequence[Sequence[Sampled | None]]) -> tuple[Lead | None, ...]:
    """The best row of each column.

    The best is compared with every other row, and all comparisons of the table are corrected together: a best that
    was found by looking at many rows and figures needs more than one that was named beforehand.

    Args:
        cells: Of each row, by column.
        samples: The same with their resamples; None where there are none.
    """
    if not cells:
        return ()
    compared: list[list[tuple[int, Effect | None]]] = []
    best: list[int | None] = []
    for column in range(len(cells[0])):
        means = {row: mean for row, line in enumerate(cells) if (mean := line[column].mean) is not None}
        # Of equal means the first row stands for all: none of them is ahead.
        order = sorted(means, key=lambda row: (-means[row], row))
        best.append(order[0] if len(order) > 1 else None)
        compared.append([(row, effect(samples[row][column], samples[order[0]][column])) for row in order[1:]])
    ps = [e.p for line in compared for _, e in line if e is not None and e.p is not None]
    corrected = iter(adjusted(ps))
    found: list[Lead | None] = []
    for row, line in zip(best, compared, strict=True):
        if row is None:
            found.append(None)
            continue
        judged = [(e, next(corrected) if e is not None and e.p is not None else None) for _, e in line]
        holds = all(e is not None and e.holds(p) and e.value > 0 for e, p in judged)
        found.append(Lead(row, line[0][0], judged[0][0], judged[0][1], holds))
    return tuple(found)
