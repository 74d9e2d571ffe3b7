"""The results in experiments/results: their tables and pages are what they give, byte for byte, and nothing else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from musicfm_pl.analysis.factors import read_runs
from musicfm_pl.leaderboard import leaderboard
from musicfm_pl.result_schema import ResultError
from musicfm_pl.results import FILE_NAME, read_result, run_name

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


@pytest.mark.slow
@pytest.mark.parametrize("study", [KEPT / "study_cpu"], ids=["study_cpu"], indirect=True)
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


@pytest.mark.slow
@pytest.mark.parametrize("study", [KEPT / "study_cpu"], ids=["study_cpu"], indirect=True)
def test_a_pretraining_and_a_probe_that_are_deleted_change_their_own_cells_alone(
    study: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The other probes of that pretraining have its factors still, from the configuration that was kept."""
    monkeypatch.chdir(tmp_path)  # where no `runs` lies
    read = {file: read_result(file) for file in sorted(study.rglob(FILE_NAME))}
    probe = next(f for f, r in read.items() if (r.stage, r.task, r.role, r.seed) == ("probe", "key", "encoder", 0))
    encoder = yaml.safe_load((probe.parent / "config.yaml").read_text())["model"]["init_args"]["encoder"]
    own = run_name(Path(encoder["init_args"]["run"]))
    pretraining = next(file for file, result in read.items() if result.run == own)
    before = read_runs([study])[1]
    names = {result.name for result in read.values()} - {read[probe].name}
    rows = [line for line in (study / "LEADERBOARD.md").read_text().splitlines() if line.startswith("| ")]
    others = [row for row in rows if row.split(" | ")[0].removeprefix("| ") in names]
    pretraining.unlink()
    probe.unlink()
    after = read_runs([study])[1]
    gone = {own, read[probe].run}
    assert before.keys() - after.keys() == gone
    assert {run: origin for run, origin in before.items() if run not in gone} == after
    leaderboard(study, study)
    now = (study / "LEADERBOARD.md").read_text().splitlines()
    assert set(others) <= set(now), "the rows of other models"
    assert set(rows) - set(now), "their own cells"
