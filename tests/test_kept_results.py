"""The results in experiments/results: their tables and pages are what they give, byte for byte, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from musicfm_pl.leaderboard import leaderboard
from musicfm_pl.result_schema import ResultError
from musicfm_pl.results import FILE_NAME, read_result

KEPT = Path(__file__).parents[1] / "experiments" / "results"
STUDIES = sorted(folder for folder in KEPT.iterdir() if folder.is_dir())
MADE = ("LEADERBOARD.md", "leaderboard.csv", "leaderboard.html")


@pytest.fixture(params=STUDIES, ids=lambda folder: folder.name)
def study(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of one, to be changed at will."""
    return Path(shutil.copytree(request.param, tmp_path / request.param.name))


def test_pages_are_made_of_the_results(study: Path) -> None:
    committed = {name: (study / name).read_bytes() for name in MADE}
    for name in MADE:
        (study / name).unlink()
    leaderboard(study, study)
    for name in MADE:
        assert (study / name).read_bytes() == committed[name], (
            f"{name}: make it anew with `musicfm leaderboard --results {study.name} --out {study.name}`"
        )


def test_a_result_that_is_deleted_is_not_run_and_all_else_stays(study: Path) -> None:
    gone = next(
        file
        for file in sorted(study.rglob(FILE_NAME))
        if (result := read_result(file)).stage == "probe" and result.task == "tagging" and result.role == "baseline"
    )
    name = read_result(gone).name
    others = [file for file in study.rglob(FILE_NAME) if (r := read_result(file)).name == name and r.task == "tagging"]
    before = (study / "LEADERBOARD.md").read_text().splitlines()
    for file in others:
        file.unlink()
    leaderboard(study, study)
    after = (study / "LEADERBOARD.md").read_text().splitlines()
    rows = [next(line for line in lines if line.startswith(f"| {name} |")) for lines in (before, after)]
    cells_before, cells_after = (row.split(" | ") for row in rows)
    changed = [(one, other) for one, other in zip(cells_before, cells_after, strict=True) if one != other]
    assert len(changed) == 2, "mAP and ROC-AUC"
    assert all("not run" in other for _, other in changed)
    start = before.index(rows[0])
    first = max(place for place in range(start) if not before[place].startswith("| "))
    end = next(place for place in range(start, len(before)) if not before[place].startswith("| "))
    table = [line for line in before[first + 1 : end] if name not in line]
    assert len(table) > 3
    assert set(table) <= set(after), "the other rows of the table"


def test_a_configuration_that_was_changed_is_refused_by_name(study: Path) -> None:
    config = next(iter(sorted(study.rglob("config.yaml"))))
    text = config.read_text()
    config.write_text(text.replace("max_steps: ", "max_steps: 1"))
    assert config.read_text() != text
    with pytest.raises(ResultError, match=str(config)):
        leaderboard(study, study)
