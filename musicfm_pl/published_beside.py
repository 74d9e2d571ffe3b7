"""Published rows directly under ours, where rows bear the names of the study's models: to be read, not to be ranked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from musicfm_pl.cell_text import cell_text, parameters
from musicfm_pl.relations_text import pipes
from musicfm_pl.standings import Leaderboard, Row, Table

BESIDE_TITLE = "Published beside reproduced"
BESIDE_NOTE = (
    "Each model of the study as it was made anew here, and under it the published figures as they were printed. The "
    "two cannot be compared directly: the study pretrained on other and far more music, its test sets, where they are "
    "known, are others, its protocols partly are, and it gives no intervals. So no difference is taken between them, "
    "and none is bold. What may be compared is the order of our models with the order of the study's."
)
_NOT_RUN, _NOT_PUBLISHED = "not run", "not published"
_NAMES = {"probe": r"FM\d+", "finetune": r"FM\d+-finetune"}
"""How the grids of the study's Table 1 call their rows, by stage."""


@dataclass(frozen=True)
class Line:
    """A row of ours, or a published one.

    Attributes:
        label: Its name.
        about: What the model is, in words; may be empty.
        cells: One for each column of our table, as text.
        is_published: Whether the figures are the study's.
    """

    label: str
    about: str
    cells: tuple[str, ...]
    is_published: bool = False

    @property
    def kind(self) -> str:
        """Whose figures these are."""
        return "published" if self.is_published else "ours"


def beside(table: Table, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> tuple[Line, ...]:
    """Our rows of the study's models, each followed by the published one.

    Args:
        table: Ours.
        columns: Titles of the published table.
        rows: Its rows, as printed.

    Returns:
        All models that the study has in this stage, whether or not they were run here; nothing if none was.
    """
    pattern = _NAMES.get(table.stage)
    if pattern is None:
        return ()
    ours: dict[str, list[Row]] = {}
    for row in table.rows:
        if row.role == "encoder" and re.fullmatch(pattern, row.name):
            ours.setdefault(row.name, []).append(row)
    if not ours:
        return ()
    theirs = {row[0]: dict(zip(columns, row, strict=True)) for row in rows if re.fullmatch(pattern, row[0])}
    found: list[Line] = []
    for name in sorted({*ours, *theirs}, key=lambda name: [int(number) for number in re.findall(r"\d+", name)]):
        found += _ours(name, ours.get(name, ()), table)
        found.append(_published(name, theirs.get(name, {}), table))
    return tuple(found)


def _ours(name: str, rows: Sequence[Row], table: Table) -> Iterable[Line]:
    if not rows:
        yield Line(name, "", (_NOT_RUN,) * len(table.columns))
    for row in rows:
        texts = [cell_text(cell, figure, table.seeds) for figure, cell in zip(table.columns, row.cells, strict=True)]
        yield Line(row.label, _about(row, table), tuple(texts))


def _about(row: Row, table: Table) -> str:
    """The model by its factors, in the order in which the study's table has them."""
    size = f"{parameters(row)} parameters"
    factors = next((dict(s.factors) for (label, _), s in table.sources.items() if label == row.label and s.factors), {})
    if not factors:
        return size
    said = [factors.get("encoder"), size, factors.get("rate"), factors.get("length")]
    tokens = f"{factors['tokens']} tokens" if "tokens" in factors else None
    return ", ".join(text for text in (*said, tokens, factors.get("data")) if text)


def _published(name: str, cells: dict[str, str], table: Table) -> Line:
    if not cells:
        return Line(name, "", (_NOT_PUBLISHED,) * len(table.columns), is_published=True)
    size, length = cells["Size"].replace("M", " M parameters"), cells["Input"].replace("s", " s")
    about = f"{cells['Encoder']}, {size}, {cells['Hz']} Hz, {length}, {cells['Tokens']} tokens, {cells['Data']}"
    return Line(name, about, tuple(cells.get(f.title) or _NOT_PUBLISHED for f in table.columns), is_published=True)


def beside_markdown(board: Leaderboard, table: Table) -> list[str]:
    """The same as paragraphs of Markdown; none where no row is the study's."""
    lines = beside(table, board.published_columns, board.published_rows)
    if not lines:
        return []
    titles = ["Model", "Figures", *(figure.title for figure in table.columns), "What it is"]
    rows = [[line.label, line.kind, *line.cells, line.about or "–"] for line in lines]
    return [f"### {BESIDE_TITLE}", BESIDE_NOTE, pipes(titles, rows)]
