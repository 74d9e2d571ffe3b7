"""The figures in experiments/bench: each tells its machine and versions, and those that the README gives are theirs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
KEPT = sorted((REPOSITORY / "experiments" / "bench").glob("*.json"))
TIMED = [file for file in KEPT if not file.stem.startswith("memory")]


def figures(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["figures"]
    return found


def rows_of_the_table() -> list[list[float]]:
    """The numbers in each row, without those of the command."""
    rows = re.findall(r"^  \| .*(?:--what|the same).*\|$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    return [[float(one) for one in re.findall(r"\d+(?:\.\d+)?", "|".join(row.split("|")[2:]))] for row in rows]


@pytest.mark.parametrize("file", KEPT, ids=lambda file: file.stem)
def test_the_machine_and_the_versions_are_told(file: Path) -> None:
    told = json.loads(file.read_text())
    assert told["machine"]["processor"] and told["machine"]["threads"] > 0
    assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", told["versions"]["commit"])
    assert {"torch", "transformers"} <= told["versions"].keys() and told["figures"]


@pytest.mark.parametrize("file", TIMED, ids=lambda file: file.stem)
def test_the_readme_has_what_was_timed(file: Path) -> None:
    """In one row both ways in float32, and how many times faster ours is, as the table rounds them."""
    of_case: dict[str, list[float]] = {}
    for figure in figures(file):
        if figure["way"] in ("public, fp32", "ours, fp32", "public", "ours"):
            of_case.setdefault(figure["case"], []).extend(one for one in (figure["value"], figure["ratio"]) if one)
    assert of_case and all(len(values) == 3 for values in of_case.values()), "two ways, and their ratio"
    for case, values in of_case.items():
        assert any(
            all(any(abs(one - value) <= 0.02 * value for one in row) for value in values) for row in rows_of_the_table()
        ), f"{file.stem}, {case}: no row has {values}"


@pytest.mark.parametrize("file", sorted(set(KEPT) - set(TIMED)), ids=lambda file: file.stem)
def test_the_readme_has_what_was_counted(file: Path) -> None:
    """What ours keeps and moves, beside the public way; and the same where everything is recomputed."""
    ratios: dict[tuple[str, str], list[float]] = {}
    for figure in figures(file):
        if figure["way"] in ("ours", "ours, all recomputed") and figure["unit"] in ("GB saved", "GB moved"):
            kept = figure["ratio"] if figure["ratio"] > 0.1 else 1 / figure["ratio"]
            ratios.setdefault((figure["case"], figure["way"]), []).append(kept)
    assert ratios
    for case, values in ratios.items():
        shown = [round(value) if value > 1 else round(value, 2) for value in values]
        assert any(set(shown) <= set(row) for row in rows_of_the_table()), f"{file.stem}, {case}: no row has {shown}"
