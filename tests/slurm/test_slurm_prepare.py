"""A corpus prepared by an array of jobs of a real Slurm."""

from __future__ import annotations

from pathlib import Path

import command
import pytest
from one_slurm import ended, job_state, tool, until
from preparation import contents

# Where Slurm is installed, Lightning says that one might want to use it.
pytestmark = [pytest.mark.slurm, pytest.mark.filterwarnings("ignore:The `srun` command is available")]


def test_a_corpus_is_prepared_by_an_array(slurm: Path, tmp_path: Path) -> None:
    """By the template, with the job that its head describes: the same folder as one process makes."""
    out, log = tmp_path / "data", tmp_path / "log.txt"
    corpus = ("--corpus", "miniature.Miniature", "--tracks_per_shard", "2")
    array = tool(
        *("sbatch", "--parsable", "--array=1-2", "--cpus-per-task=1", f"--output={tmp_path}/%a.txt"),
        *(command.EXPERIMENTS / "slurm" / "prepare.sbatch", *corpus, "--out", out),
    ).strip()
    merge = tool(
        *("sbatch", "--parsable", f"--dependency=afterok:{array}", "--kill-on-invalid-dep=yes"),
        *(f"--output={log}", "--wrap", f"musicfm merge --out {out}"),
    ).strip()
    until(lambda: ended(merge), "the end of the job that merges")
    said = "".join(file.read_text() for file in sorted(tmp_path.glob("*.txt")))
    assert job_state(merge)["JobState"] == "COMPLETED", said
    for part in "12":
        assert f"part {part} of 2 is done" in " ".join((tmp_path / f"{part}.txt").read_text().split())
    command.succeed("prepare", *corpus, "--jobs", "1", "--out", tmp_path / "whole")
    locks = {".lock-1-of-2", ".lock-2-of-2"}
    assert contents(out) == contents(tmp_path / "whole") | dict.fromkeys(locks, b"")
