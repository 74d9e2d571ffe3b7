"""Published rows beside ours: each under its own, in rows of their own, and never compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from study_results import text_of
from synthetic_study import write_model

from musicfm_pl.leaderboard import build, leaderboard, published, read_some
from musicfm_pl.published_beside import BESIDE_TITLE, Line, beside

FIGURES = {figure for row in published()[1] for figure in row[7:]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Runs of some of the study's models, probed and fine-tuned, and one of another name; and their pages."""
    runs, out = (tmp_path_factory.mktemp("beside") / name for name in ("runs", "out"))
    write_model(runs, "FM7", {"key_weighted": 0.3}, tasks=["beat", "key"])
    write_model(runs, "FM3", tasks=["beat"], encoder="bert.Bert", rate=75)
    write_model(runs, "FM4", tasks=["key"], rate=75, length=5)
    write_model(runs, "FM10b", tasks=["beat"], rate=50)
    for name in ("FM1-finetune", "FM7-finetune"):
        write_model(runs, name, tasks=["key"], stage="finetune", length=5 if name == "FM1-finetune" else 30)
    leaderboard(runs, out)
    return runs, out


def lines(runs: Path) -> dict[str, tuple[Line, ...]]:
    board = build(*read_some(runs))
    return {table.stage: beside(table, board.published_columns, board.published_rows) for table in board.tables}


def test_each_published_row_stands_under_ours(made: tuple[Path, Path]) -> None:
    found = lines(made[0])
    names = [f"FM{number}" for number in range(1, 10)]
    assert [(line.label, line.kind) for line in found["probe"]] == [
        (name, kind) for name in names for kind in ("ours", "published")
    ]
    assert [line.label for line in found["finetune"][::2]] == [f"FM{number}-finetune" for number in (1, 7, 8, 9)]
    for line in found["probe"]:
        assert line.is_published == bool(FIGURES & set(line.cells)), "a row is the study's or ours, never both"
    of = {(line.label, line.kind): line for stage in found.values() for line in stage}
    assert of["FM7", "published"].cells[:2] == ("0.868", "0.804") and of["FM7", "published"].cells[5] == "not published"
    assert set(of["FM8", "ours"].cells) == {"not run"} and of["FM3", "ours"].cells[6] == "not run"
    assert set(of["FM1-finetune", "published"].cells) == {"not published"}
    assert of["FM3", "published"].about == "BERT, 330 M parameters, 75 Hz, 30 s, random tokens, in-house"
    assert of["FM3", "ours"].about == "BERT, 1.8 M parameters, 75 Hz, 30 s, random tokens, pop909"


def test_both_forms_have_it_and_compare_nothing(made: tuple[Path, Path]) -> None:
    text = (made[1] / "LEADERBOARD.md").read_text()
    sections = text.split(f"### {BESIDE_TITLE}\n")[1:]
    assert len(sections) == 2, "of probes and of fine-tuning"
    for section in sections:
        shown = section.split("\n#")[0]
        assert "cannot be compared directly" in shown and "**" not in shown
        assert not re.search(r"[+−]\d", shown), "no differences"
    page = (made[1] / "leaderboard.html").read_text()
    parts = re.findall(r'<div class="beside">.*?</table></div></div>', page, flags=re.DOTALL)
    assert len(parts) == 2
    for part in parts:
        assert "<strong>" not in part and not re.search(r"[+−]\d", part)
        rows = re.findall(r'<tr class="(ours|published)">(.*?)</tr>', part)
        assert [kind for kind, _ in rows] == ["ours", "published"] * (len(rows) // 2)
        for kind, row in rows:
            cells = re.findall(r"<td>(.*?)</td>", row)
            assert len(cells) == 9 and (kind == "published" or not FIGURES & set(cells))
    assert "not run" in text_of(parts[0])
    assert "<strong>" in page, "what holds among ours is bold in their own table"


def test_other_names_have_no_published_rows(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "Conformer", tasks=["beat"])
    leaderboard(tmp_path / "runs", tmp_path)
    for name in ("LEADERBOARD.md", "leaderboard.html"):
        assert BESIDE_TITLE not in (tmp_path / name).read_text()
