"""Which row of a table is ahead of all others in a column, by a difference that is not chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musicfm_pl.analysis.intervals import Effect, Sampled, adjusted, effect
from musicfm_pl.analysis.relations import MIN_SEEDS
from musicfm_pl.standings import Cell


@dataclass(frozen=True)
class Lead:
    """Whether the best row of a column is ahead of every other, and not by chance.

    Attributes:
        row: Index of the row with the highest mean.
        next_row: Index of the row that comes next.
        difference: The best minus the next, of their means.
        effect: The same with its interval; None if they are not of the same tracks.
        adjusted_p: Of that, corrected for all comparisons of the table.
        num_others: Rows that have the figure, too.
        num_surely: Those of them to which the difference holds: see `Effect.holds`, and neither row has fewer than
            `MIN_SEEDS` seeds where seeds are drawn.
        num_few: Those to which it cannot hold for want of seeds.
    """

    row: int
    next_row: int
    difference: float
    effect: Effect | None
    adjusted_p: float | None
    num_others: int
    num_surely: int
    num_few: int

    @property
    def holds(self) -> bool:
        """Whether the difference to each other row holds."""
        return self.num_surely == self.num_others


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
    for column, (row, line) in enumerate(zip(best, compared, strict=True)):
        if row is None:
            found.append(None)
            continue
        of = [each[column] for each in cells]
        judged = [(e, next(corrected) if e is not None and e.p is not None else None) for _, e in line]
        few = [_few_seeds(of[row]) or _few_seeds(of[other]) for other, _ in line]
        surely = [e is not None and e.holds(p) and e.value > 0 and not f for (e, p), f in zip(judged, few, strict=True)]
        found.append(
            Lead(
                row=row,
                next_row=line[0][0],
                difference=(of[row].mean or 0.0) - (of[line[0][0]].mean or 0.0),
                effect=judged[0][0],
                adjusted_p=judged[0][1],
                num_others=len(line),
                num_surely=sum(surely),
                num_few=sum(few),
            )
        )
    return tuple(found)


def _few_seeds(cell: Cell) -> bool:
    """Whether another seed might have given anything; what draws nothing would be the same with all."""
    return cell.is_drawn and len(cell.values) < MIN_SEEDS
