"""A run that was stopped and goes on is the run that was never stopped, to the last bit."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import command
import pytest
import torch
import yaml
from same_run import assert_same, checkpoint, logged

STEPS = 10
"""Two epochs and a half, of four batches each."""
OFTEN = ("--checkpoint.every_n_train_steps", "1", "--trainer.val_check_interval", "3")


def interrupted_at(step: int) -> tuple[str, ...]:
    """Ctrl-C in that step, before it is saved: the checkpoint is that of the step before."""
    return ("--trainer.callbacks+=interruptions.InterruptAt", "--trainer.callbacks.step", str(step))


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    command.succeed("fit", *command.pretraining(prepared, run, STEPS, *OFTEN))
    return run


@pytest.mark.parametrize("step", [2, 4, 5, 6, 9])
def test_interrupted_anywhere_in_an_epoch(prepared: Path, whole: Path, tmp_path: Path, step: int) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN)
    code, _ = command.fail("fit", *arguments, *interrupted_at(step))
    assert code == 1
    assert checkpoint(tmp_path)["global_step"] == step - 1
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)


def test_gradients_of_several_batches(prepared: Path, tmp_path: Path) -> None:
    """Three batches a step, of which an epoch has four: the last of it is a step of its own."""

    def arguments(run: str) -> list[str]:
        return command.pretraining(prepared, tmp_path / run, 5, *OFTEN, "--trainer.accumulate_grad_batches", "3")

    command.succeed("fit", *arguments("whole"))
    assert command.fail("fit", *arguments("parts"), *interrupted_at(4))[0] == 1
    assert checkpoint(tmp_path / "parts")["global_step"] == 3
    command.succeed("fit", *arguments("parts"))
    one, other = checkpoint(tmp_path / "parts"), checkpoint(tmp_path / "whole")
    assert one["global_step"] == other["global_step"] == 5
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)


def test_interrupted_twice_and_with_processes_that_read_ahead(prepared: Path, whole: Path, tmp_path: Path) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN)
    workers = ("--data.num_workers", "1")
    assert command.fail("fit", *arguments, *interrupted_at(4), *workers)[0] == 1
    assert command.fail("fit", *arguments, *interrupted_at(8), *workers)[0] == 1
    command.succeed("fit", *arguments, *workers)
    assert_same(tmp_path, whole)


def test_killed(prepared: Path, whole: Path, tmp_path: Path) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN)
    pauses = ("--trainer.callbacks+=interruptions.Pause", "--trainer.callbacks.pause_s", "0.3")
    process = subprocess.Popen(
        command.command("fit", *arguments, *pauses),
        env=command.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    give_up = time.monotonic() + 120
    while not (tmp_path / "checkpoints" / "last.ckpt").exists() and time.monotonic() < give_up:
        time.sleep(0.05)
    time.sleep(0.7)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert 1 <= checkpoint(tmp_path)["global_step"] < STEPS
    assert not (tmp_path / "results.json").exists()
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)
    assert (tmp_path / "results.json").exists()


def test_killed_at_a_random_step_of_several_batches(prepared: Path, tmp_path: Path) -> None:
    """In the midst of a step, before its gradients are complete; validations fall between the batches of a step.

    A bad batch before it is skipped, which what is known of earlier steps has a part in.
    """
    step = random.SystemRandom().randrange(2, 6)
    spoil = ("--trainer.callbacks+=poison.Spoil", "--trainer.callbacks.batch", "2")
    more = (*OFTEN, "--trainer.accumulate_grad_batches", "2", *spoil)

    def arguments(run: str) -> list[str]:
        return command.pretraining(prepared, tmp_path / run, 7, *more)

    command.succeed("fit", *arguments("whole"))
    kill = ("--trainer.callbacks+=interruptions.KillAt", "--trainer.callbacks.step", str(step))
    assert command.musicfm("fit", *arguments("parts"), *kill).returncode == -signal.SIGKILL
    before = checkpoint(tmp_path / "parts")
    assert before["global_step"] == step
    command.succeed("fit", *arguments("parts"))
    one, other = checkpoint(tmp_path / "parts"), checkpoint(tmp_path / "whole")
    (guard,) = (name for name in one["callbacks"] if name.startswith("TrainingGuard"))
    assert one["callbacks"][guard] == other["callbacks"][guard], f"killed in step {step}"
    assert one["callbacks"][guard]["counts"]["skipped_steps"] == 1
    assert len(one["callbacks"][guard]["normal"]) == 6
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(one["optimizer_states"], other["optimizer_states"], rtol=0, atol=0)
    for name in ("train/loss_of_all", "train/grad_norm"):
        curves = [logged(tmp_path / run, name) for run in ("parts", "whole")]
        assert repr(curves[0]) == repr(curves[1]), f"killed in step {step}"  # NaN is not itself


def test_a_finished_run_repeats_nothing(prepared: Path, whole: Path) -> None:
    files = [whole / "results.json", whole / "checkpoints" / "last.ckpt"]
    before = [(file.stat().st_mtime_ns, file.read_bytes()) for file in files]
    command.succeed("fit", *command.pretraining(prepared, whole, STEPS, *OFTEN))
    assert [(file.stat().st_mtime_ns, file.read_bytes()) for file in files] == before


def test_more_steps_go_on_with_the_clips_that_were_not_seen(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that reached `max_steps` within an epoch, and then was given a higher one."""
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    seen = ("--trainer.callbacks+=interruptions.Seen", "--checkpoint.every_n_train_steps", "1")
    for run, steps in (("whole", 7), ("parts", 3), ("parts", 7)):
        monkeypatch.setenv("SEEN", str(tmp_path / f"{run}.txt"))
        command.succeed("fit", *command.pretraining(prepared, tmp_path / run, steps, *seen))
    lines = (tmp_path / "whole.txt").read_text().splitlines()
    assert (tmp_path / "parts.txt").read_text().splitlines() == lines
    assert len(lines) == len(set(lines)) == 7


def test_a_task_goes_on_exactly(prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
    def arguments(name: str) -> list[str]:
        return [
            *command.probing("chord", prepared, tmp_path / name, *command.encoder("Pretrained", pretrained_run)),
            *("--trainer.max_steps", "7", "--trainer.val_check_interval", "2", "--model.freeze", "false"),
        ]

    command.succeed("fit", *arguments("whole"))
    assert command.fail("fit", *arguments("parts"), *interrupted_at(5))[0] == 1
    assert checkpoint(tmp_path / "parts")["global_step"] == 4
    command.succeed("fit", *arguments("parts"))
    for name in ("last.ckpt", "best.ckpt"):
        one, other = (
            torch.load(tmp_path / run / "checkpoints" / name, weights_only=True) for run in ("parts", "whole")
        )
        assert one["global_step"] == other["global_step"]
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
    assert logged(tmp_path / "parts", "val/loss") == logged(tmp_path / "whole", "val/loss")


def test_epochs_are_refused_since_the_schedule_counts_steps(prepared: Path, tmp_path: Path) -> None:
    code, said = command.fail("fit", *command.pretraining(prepared, tmp_path / "run", 3, "--trainer.max_epochs", "2"))
    assert code == 2
    assert "trainer.max_epochs at -1 (got 2)" in said


def test_the_last_checkpoint_is_that_of_the_last_step(prepared: Path, tmp_path: Path) -> None:
    """Also where the interval does not divide the run, and where the last validation was not the best."""
    every_2 = ("--checkpoint.every_n_train_steps", "2")
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "pretraining", 3, *every_2))
    assert checkpoint(tmp_path / "pretraining")["global_step"] == 3

    # As if the loss were better the higher: the first checkpoint is the best.
    upside_down = ("--checkpoint.mode", "max", "--trainer.val_check_interval", "1", "--trainer.max_steps", "4")
    probe = command.probing("chord", prepared, tmp_path / "probe", *command.encoder("MelFrames"), *upside_down)
    command.succeed("fit", *probe)
    best = torch.load(tmp_path / "probe" / "checkpoints" / "best.ckpt", weights_only=True)
    assert best["global_step"] < checkpoint(tmp_path / "probe")["global_step"] == 4
    before = (tmp_path / "probe" / "checkpoints" / "best.ckpt").read_bytes()
    command.succeed("fit", *probe)
    assert (tmp_path / "probe" / "checkpoints" / "best.ckpt").read_bytes() == before


def test_other_global_batches_are_refused(prepared: Path, tmp_path: Path) -> None:
    """Clips would be repeated or left out; with as many clips a step over all devices the run may go on."""
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "run", 2))
    more = command.pretraining(prepared, tmp_path / "run", 3, "--data.batch_size", "2")
    code, said = command.fail("fit", *more)
    assert code == 2
    assert "data.batch_size: the checkpoint is of a run with 4 clips a step over all devices, this one has 2" in said
    assert "with 1 of them give --data.batch_size 4" in said
    assert checkpoint(tmp_path / "run")["global_step"] == 2


def test_another_way_to_compute_is_no_other_training(prepared: Path, tmp_path: Path) -> None:
    """Nor is a setting that the code did not have when the run began, at its default."""
    run = tmp_path / "run"
    command.succeed("fit", *command.pretraining(prepared, run, 1))
    record = yaml.safe_load((run / "config.yaml").read_text())
    parts = (record["model"], record["model"]["init_args"]["encoder"], record["data"])
    for part, key in zip(parts, ("betas", "dropout", "max_val_clips"), strict=True):
        del part["init_args"][key]
    (run / "config.yaml").write_text(yaml.safe_dump(record))
    code, said = command.fail("fit", *command.pretraining(prepared, run, 2, "--model.betas", "[0.5, 0.98]"))
    assert code == 2
    assert "holds a run with other settings (model.betas)" in said
    record["model"]["init_args"]["compile_backend"] = "eager"
    record["model"]["init_args"]["encoder"]["init_args"] |= {"recomputed_blocks": [0], "recomputed_layers": 1}
    (run / "config.yaml").write_text(yaml.safe_dump(record))
    command.succeed("fit", *command.pretraining(prepared, run, 2))
    assert checkpoint(run)["global_step"] == 2


def test_other_protocols_are_no_other_training(prepared: Path, tmp_path: Path) -> None:
    """What a run will be tested under changes nothing that it has learnt; a learning rate does."""
    arguments = command.probing("key", prepared, tmp_path / "run", *command.encoder("MelFrames"))
    command.succeed("fit", *arguments)
    command.succeed("fit", *arguments, "--model.protocols", "[mirex]", "--trainer.max_steps", "6")
    assert checkpoint(tmp_path / "run")["global_step"] == 6
    code, said = command.fail("fit", *arguments, "--model.learning_rate", "0.5")
    assert code == 2
    assert "holds a run with other settings (model.learning_rate)" in said
