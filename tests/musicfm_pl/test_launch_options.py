"""`--launch slurm` among the options of a run."""

from __future__ import annotations

from pathlib import Path

import command
import pytest

from musicfm_pl import slurm
from musicfm_pl.launch_options import launch_run, without_launch


def test_is_taken_out_wherever_it_stands() -> None:
    given = ["--config", "a", "--slurm.time=600", "--launch", "slurm", "--x", "--slurm.partition", "gpu", "3"]
    assert without_launch(given) == (["--config", "a", "--x", "3"], True, {"time": 600, "partition": "gpu"})
    assert without_launch(["--config", "a"]) == (["--config", "a"], False, {})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--launch", "local"], "--launch: 'local'"),
        (["--launch"], "--launch: a value is missing"),
        (["--slurm.time", "3"], "--slurm.time: .* no --launch slurm"),
    ],
)
def test_says_what_is_wrong(given: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        without_launch(given)


def test_a_machine_without_slurm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, said = command.fail("fit", "--run_dir", tmp_path / "run", "--launch", "slurm")
    assert code == 2
    assert "there is no Slurm on this machine" in said
    code, said = command.fail("fit", "--launch", "slurm")
    assert code == 2
    assert "name an experiment" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--config", "named.yaml"], "elsewhere/mine"),
        (["--config", "named.yaml", "--run_dir", "here"], "here"),
        (["--config=extending.yaml"], "elsewhere/mine"),
        (["--config", "extending.yaml", "--config", "renamed.yaml"], "another"),
        (["--config", "named.yaml", "--config", "nameless.yaml"], "runs/nameless"),
    ],
)
def test_the_job_belongs_to_the_run_directory_that_a_yaml_names(
    options: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else Slurm would be asked about, and log to, another directory than the run's."""
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("named", "run_dir: elsewhere/mine\n"),
        ("extending", "extends: [named.yaml]\nname: x\n"),
        ("renamed", "extends: [named.yaml]\nrun_dir: another\n"),
        ("nameless", "name: x\n"),
    ):
        Path(f"{name}.yaml").write_text(text)
    submitted: list[Path] = []
    monkeypatch.setattr(slurm, "submit_run", lambda arguments, run_dir, parameters, console: submitted.append(run_dir))
    launch_run("fit", options, {})
    assert submitted == [Path(expected)]
