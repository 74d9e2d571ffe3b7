"""How far the best row of each column is ahead of the next, as a small table."""

from __future__ import annotations

from musicfm_pl.analysis.relations import MIN_SEEDS
from musicfm_pl.relations_text import p_text, pipes
from musicfm_pl.standings import Table, signed

LEADS_TITLE = "How far ahead is the best?"
LEADS_NOTE = (
    "The best row of each column against the one that comes next: the difference of their means, its 95 % interval "
    "over works and seeds, and the p of the paired test, corrected for all comparisons of a best row with another in "
    "the table. Surely ahead of: so many of the other rows, by a difference that holds; if of all, it is bold above. "
    f"Where seeds are drawn, rows with fewer than {MIN_SEEDS} settle nothing."
)
LEADS_TITLES = ("Figure", "Best", "Next", "Difference", "95 % interval", "p", "Surely ahead of")
_NONE = "–"


def lead_lines(table: Table) -> list[list[str]]:
    """The cells under `LEADS_TITLES`, a line for each column with at least two rows; none for pretraining."""
    if table.stage == "pretrain":
        return []
    lines = []
    for figure, lead in zip(table.columns, table.leads, strict=True):
        if lead is None:
            continue
        interval = lead.effect.interval if lead.effect else None
        few = f"; too few seeds for {lead.num_few}" if lead.num_few else ""
        lines.append(
            [
                figure.title,
                table.rows[lead.row].label,
                table.rows[lead.next_row].label,
                signed(lead.difference, figure),
                f"{signed(interval.low, figure)} to {signed(interval.high, figure)}" if interval else _NONE,
                _NONE if lead.adjusted_p is None else p_text(lead.adjusted_p),
                f"{lead.num_surely} of {lead.num_others}{few}",
            ]
        )
    return lines


def leads_markdown(table: Table) -> list[str]:
    """The same as paragraphs of Markdown; none where no two rows have a figure."""
    lines = lead_lines(table)
    return [f"### {LEADS_TITLE}", LEADS_NOTE, pipes(LEADS_TITLES, lines)] if lines else []
