"""Every encoder can be named without its module, as the README does with `--model.encoder Pretrained`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import command

ASKED = f"""
import contextlib, io, sys, yaml
from musicfm_pl.experiment import run_experiment
for name in sys.argv[2:]:
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        config = ["--config", {str(command.EXPERIMENTS / "tasks" / "chord.yaml")!r}, "--model.encoder", name]
        run_experiment("fit", [*config, "--data.root", "x", "--run_dir", sys.argv[1], "--print_config"])
    print(yaml.safe_load(said.getvalue())["model"]["init_args"]["encoder"]["class_path"])
"""


def test_a_probe_takes_it(tmp_path: Path) -> None:
    names = ["Bert", "ChromaFrames", "Conformer", "MelFrames"]
    # A process of its own: others have imported the modules.
    done = subprocess.run([sys.executable, "-c", ASKED, str(tmp_path), *names], capture_output=True, text=True)
    assert [path.rpartition(".")[2] for path in done.stdout.split()] == names, done.stderr
