"""A run that is told to stop saves what it has, says by its exit code whether to go on, and goes on exactly there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import command
import pytest
import torch
from same_run import assert_same, checkpoint, logged

from musicfm_pl.exit_codes import TERMINATED, TRY_AGAIN
from musicfm_pl.run_lock import RunLock

STEPS = 7
"""An epoch and three quarters, of four batches each."""
SELDOM = ("--checkpoint.every_n_train_steps", "100", "--trainer.val_check_interval", "3")


def signalled(step: int, number: signal.Signals, *more: str) -> tuple[str, ...]:
    """A signal in the middle of that step."""
    return (
        *("--trainer.callbacks+=interruptions.SignalAt", "--trainer.callbacks.step", str(step)),
        *("--trainer.callbacks.number", str(int(number)), *more),
    )


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    command.succeed("fit", *command.pretraining(prepared, run, STEPS, *SELDOM))
    return run


@pytest.mark.parametrize(
    ("step", "number", "code"),
    [
        (1, signal.SIGUSR1, TRY_AGAIN),
        (2, signal.SIGTERM, TERMINATED),
        (3, signal.SIGUSR2, TRY_AGAIN),  # a validation is due after it
        (4, signal.SIGUSR1, TRY_AGAIN),  # the last of the epoch
        (5, signal.SIGTERM, TERMINATED),
    ],
)
def test_saves_the_step_that_it_is_in(
    prepared: Path, whole: Path, tmp_path: Path, step: int, number: signal.Signals, code: int
) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *SELDOM)
    before = signal.getsignal(number)
    assert command.fail("fit", *arguments, *signalled(step, number))[0] == code
    assert signal.getsignal(number) is before
    assert checkpoint(tmp_path)["global_step"] == step
    assert list(logged(tmp_path, "train/loss")) == list(range(step)), "the step is logged, too"
    assert not (tmp_path / "results.json").exists()
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)
    assert logged(tmp_path, "val/loss") == logged(whole, "val/loss")


def test_in_the_last_step_it_ends_as_ever(prepared: Path, whole: Path, tmp_path: Path) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *SELDOM)
    command.succeed("fit", *arguments, *signalled(STEPS, signal.SIGUSR1))
    assert_same(tmp_path, whole)
    assert (tmp_path / "results.json").exists()


def test_waits_for_gradients_of_several_batches(prepared: Path, tmp_path: Path) -> None:
    def arguments(run: str) -> list[str]:
        return command.pretraining(prepared, tmp_path / run, 5, *SELDOM, "--trainer.accumulate_grad_batches", "3")

    command.succeed("fit", *arguments("whole"))
    assert command.fail("fit", *arguments("parts"), *signalled(3, signal.SIGUSR1))[0] == TRY_AGAIN
    assert checkpoint(tmp_path / "parts")["global_step"] == 3
    command.succeed("fit", *arguments("parts"))
    one, other = checkpoint(tmp_path / "parts"), checkpoint(tmp_path / "whole")
    assert one["global_step"] == other["global_step"] == 5
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, TRY_AGAIN), (signal.SIGTERM, TERMINATED)])
def test_all_its_processes_are_signalled(
    prepared: Path, whole: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """As Slurm, a terminal and the launcher of a grid do it: those that read ahead hear it as well."""
    arguments = command.pretraining(prepared, tmp_path, STEPS, *SELDOM, "--data.num_workers", "2")
    more = signalled(5, number, "--trainer.callbacks.group", "true")
    process = subprocess.run(
        command.command("fit", *arguments, *more),
        env=command.environment(),
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == code, process.stderr
    assert "saved after step 5" in process.stdout
    assert checkpoint(tmp_path)["global_step"] == 5
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("number", [None, signal.SIGTERM])
def test_in_a_validation(prepared: Path, whole: Path, tmp_path: Path, number: signal.Signals | None) -> None:
    """Interrupted while it validates, a run makes up for it; told to stop there, it validates to the end first."""
    often = ("--checkpoint.every_n_train_steps", "2")  # so that a checkpoint is due after the step before it
    arguments = command.pretraining(prepared, tmp_path, STEPS, *SELDOM, *often)
    stop = (
        *("--trainer.callbacks+=interruptions.InterruptValidation", "--trainer.callbacks.step", "6"),
        *("--trainer.callbacks.number", "null" if number is None else str(int(number))),
    )
    code, _ = command.fail("fit", *arguments, *stop)
    # Six is the last step but one: the run ends with the next, as it would have.
    assert code == (1 if number is None else 0)
    assert checkpoint(tmp_path)["global_step"] == (4 if number is None else STEPS)
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)
    assert logged(tmp_path, "val/loss") == logged(whole, "val/loss")


@pytest.mark.slow
def test_one_of_two_ranks_is_told(prepared: Path, run_of_two_ranks: Path, tmp_path: Path) -> None:
    arguments = command.two_ranks(prepared, tmp_path)
    done = command.torchrun("fit", *arguments, *signalled(4, signal.SIGUSR1, "--trainer.callbacks.rank", "1"))
    assert done.returncode == 1
    assert f"exitcode  : {TRY_AGAIN}" in done.stderr, "torchrun says how its processes ended"
    assert checkpoint(tmp_path)["global_step"] == 4
    done = command.torchrun("fit", *arguments)
    assert done.returncode == 0, done.stderr
    assert_same(tmp_path, run_of_two_ranks)
    assert (tmp_path / "results.json").exists()


def test_two_at_a_time_are_refused(prepared: Path, tmp_path: Path) -> None:
    """As a job that was queued anew while its former start is not dead yet: it waits, but not for ever."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / ".fit.lock")], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
    said: list[str] = []
    trainer = SimpleNamespace(is_global_zero=True, print=said.append)
    with pytest.raises(ValueError, match="is being trained by another process \\(the holder\\)"):
        RunLock(tmp_path, wait_s=1.1).setup(trainer, None, "fit")  # type: ignore[arg-type]
    assert said == [f"waiting for the holder, which trains in {tmp_path}: 1.1 s at most"]
    holder.communicate()
    command.succeed("fit", *command.pretraining(prepared, tmp_path, 1))
    assert "process" in (tmp_path / ".fit.lock").read_text()


def test_a_run_that_was_trained_while_another_waited(tmp_path: Path) -> None:
    """What was found before the lock was held is not what there is: beginning anew would write over it."""
    trainer = SimpleNamespace(is_global_zero=True)
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir()
    last, previous = checkpoints / "last.ckpt", checkpoints / "previous.ckpt"

    def take(goes_on_from: Path | str | None) -> None:
        lock = RunLock(tmp_path, goes_on_from=goes_on_from)  # type: ignore[arg-type]
        lock.setup(trainer, None, "fit")  # type: ignore[arg-type]
        lock.teardown(trainer, None, "fit")  # type: ignore[arg-type]

    take("the start")
    previous.touch()
    take(previous)
    last.touch()
    for before in ("the start", previous):
        with pytest.raises(ValueError, match=f"it stands at {last}, not at {before}; give the same command again"):
            take(before)
    take(last)
    take(None)


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
file.write("the holder"); file.flush()
print("held", flush=True)
sys.stdin.read()
"""
