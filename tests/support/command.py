"""`musicfm` as the tests run it: in this process, or as one of its own; with options for the smallest experiments."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

from musicfm_pl.cli import main

REPOSITORY = Path(__file__).parents[2]
EXPERIMENTS = REPOSITORY / "experiments"
QUIET = (
    *("--data.num_workers", "0", "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
)


def pretraining(data: Path, run: Path, steps: int, *more: str | Path) -> list[str]:
    """What follows `musicfm fit` for the smallest Conformer, with four batches an epoch."""
    return [
        *("--config", str(EXPERIMENTS / "pretrain" / "small.yaml"), "--data.root", str(data), "--run_dir", str(run)),
        *("--model.encoder.dim", "32", "--model.encoder.num_layers", "2", "--model.encoder.num_heads", "2"),
        *("--model.encoder.ffn_dim", "48", "--model.encoder.conv_channels", "4", "--model.tokenizer.num_codes", "32"),
        *("--data.batch_size", "4", "--trainer.max_steps", str(steps), *QUIET, *map(str, more)),
    ]


def two_ranks(data: Path, run: Path, *more: str | Path) -> list[str]:
    """The same for two processes, eight steps long, each of which is saved."""
    two = ("--data.batch_size", "2", "--trainer.devices", "2", "--checkpoint.every_n_train_steps", "1")
    return pretraining(data, run, 8, *two, *more)


def probing(task: str, data: Path, run: Path, *more: str | Path) -> list[str]:
    """What follows `musicfm fit` for a short training of one task; the encoder is to be added."""
    return [
        *("--config", str(EXPERIMENTS / "tasks" / f"{task}.yaml"), "--data.root", str(data), "--run_dir", str(run)),
        *("--data.batch_size", "4", "--data.clip_s", "5", "--data.cache_window_s", "10"),
        *("--trainer.max_steps", "3", "--trainer.val_check_interval", "3", *QUIET, *map(str, more)),
    ]


def encoder(name: str, run: Path | None = None) -> list[str]:
    """What names the encoder of a task: `Pretrained` or `Untrained` of a run, or `MelFrames`."""
    if name == "MelFrames":
        return ["--model.encoder", "musicfm_pl.encoders.mel_frames.MelFrames"]
    return ["--model.encoder", f"musicfm_pl.encoders.pretrained.{name}", "--model.encoder.run", str(run)]


def environment() -> dict[str, str]:
    """Of a process that knows `miniature` and uses one core."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    known = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**known, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def command(*arguments: str | Path) -> list[str]:
    """`musicfm` with these arguments, as `subprocess` wants it."""
    return [sys.executable, "-c", "from musicfm_pl.cli import main; main()", *map(str, arguments)]


def python(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs Python as a process of its own, to its end; with more variables in its environment."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment() | variables,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


def musicfm(*arguments: str | Path, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `musicfm` as a process of its own, to its end."""
    return python(*command(*arguments)[1:], cwd=cwd, **variables)


def torchrun(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs `musicfm` in two processes, as the README has it."""
    program = Path(sys.executable).with_name("musicfm")
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    return python(*launcher, program, *arguments, **variables)


def succeed(*arguments: str | Path) -> None:
    """Runs `musicfm` in this process, which saves the import of torch; any failure raises."""
    before = sys.argv
    try:
        main([str(argument) for argument in arguments])
    finally:
        sys.argv = before


def fail(*arguments: str | Path) -> tuple[int, str]:
    """Runs `musicfm` in this process.

    Returns:
        The exit code (0 if it did not fail), and all that it wrote to stderr.
    """
    stderr = io.StringIO()
    code = 0
    try:
        with contextlib.redirect_stderr(stderr):
            succeed(*arguments)
    except SystemExit as exit_:
        assert isinstance(exit_.code, int)
        code = exit_.code
    return code, stderr.getvalue()
