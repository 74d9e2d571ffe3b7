"""Two processes with half the batch each do what one does with the whole, whether the model is copied or spread."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import command
import pytest
import torch
from curves import scalars

from musicfm_pl.results import read_result

HARDWARE = command.EXPERIMENTS / "axes" / "hardware"
STEPS = 4
SAME = (
    *(
        "--data.masking",
        "poison.EverySecondBlock",
        "--model.encoder.dropout",
        "0",
        "--checkpoint.every_n_train_steps",
        "2",
    ),
    # Three clips: the second rank has one less.
    *("--trainer.val_check_interval", "2", "--data.max_val_clips", "3"),
)


def two_ranks(data: Path, run: Path, axis: str, *more: str) -> subprocess.CompletedProcess[str]:
    """`musicfm fit` as Lightning starts it on two devices of a machine: the first process starts the second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ("--config", str(HARDWARE / f"{axis}.yaml"), "--trainer.precision", "32-true", "--trainer.devices", "2")
    return subprocess.run(
        [
            *(sys.executable, "-m", "musicfm_pl.cli", "fit"),
            *command.pretraining(
                data, run, STEPS, *options, "--trainer.accelerator", "cpu", "--data.batch_size", "2", *more
            ),
        ],
        env={**command.environment(), "MASTER_PORT": str(port)},
        cwd=command.REPOSITORY,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )


@pytest.fixture(scope="module")
def one_rank(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("one")
    command.succeed("fit", *command.pretraining(prepared, run, STEPS, *SAME))
    return run


@pytest.fixture(scope="module")
def spread(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Over two ranks; `half` beside it is what was there after the third step, with the checkpoint of the second."""
    folder = tmp_path_factory.mktemp("spread")
    copy = ("--trainer.callbacks+=interruptions.CopyRun", "--trainer.callbacks.step", "3")
    done = two_ranks(prepared, folder / "run", "fsdp2", *SAME, *copy, "--trainer.callbacks.to", str(folder / "half"))
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "run"


@pytest.fixture(scope="module")
def copied(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("copied")
    done = two_ranks(prepared, run, "ddp", *SAME)
    assert done.returncode == 0, done.stderr[-3000:]
    return run


@pytest.mark.parametrize("strategy", ["copied", "spread"])
def test_two_ranks_follow_one(strategy: str, one_rank: Path, request: pytest.FixtureRequest) -> None:
    two_ranks_run = request.getfixturevalue(strategy)
    one, two = scalars(one_rank), scalars(two_ranks_run)
    for name, tolerance in (("train/loss_of_all", 1e-3), ("train/grad_norm", 1e-2)):
        assert len(one[name]) == STEPS
        assert two[name][0] == pytest.approx(one[name][0], rel=2e-4)
        # From the second step on rounding grows: AdamW goes as far for a gradient of next to nothing as for any.
        assert two[name] == pytest.approx(one[name], rel=tolerance)
    assert one["train/loss_of_all"][0] != pytest.approx(one["train/loss_of_all"][STEPS - 1], rel=1e-2), "it learns"
    states = [
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in (one_rank, two_ranks_run)
    ]
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        if "running" in name or "num_batches" in name:
            torch.testing.assert_close(states[1][name], value, rtol=2e-2, atol=2e-3)
    # As many clips in all, and the same validation.
    of_one, of_two = (read_result(run).summary for run in (one_rank, two_ranks_run))
    assert of_two["audio_hours"] == of_one["audio_hours"]
    assert of_two["val_loss"] == pytest.approx(of_one["val_loss"], rel=5e-3)


@pytest.mark.parametrize("strategy", ["copied", "spread"])
def test_ranks_divide_a_validation(strategy: str, one_rank: Path, request: pytest.FixtureRequest) -> None:
    """Amid the training, where DDP makes buffers alike; tokens do not depend on what was learnt."""
    one, two = scalars(one_rank), scalars(request.getfixturevalue(strategy))
    of_tokens = [name for name in one if name.startswith("val/") and "loss" not in name and "accuracy" not in name]
    assert len(of_tokens) >= 2
    for name in of_tokens:
        assert len(one[name]) == STEPS // 2 + 1, "and the one that follows"
        assert two[name] == pytest.approx(one[name], rel=1e-6), name
    assert two["val/loss"] == pytest.approx(one["val/loss"], rel=5e-3)


def test_ranks_skip_a_step_together(prepared: Path, tmp_path: Path) -> None:
    """The second rank's third batch is spoiled; masks are random, and so other ones on each."""
    run = tmp_path / "run"
    spoil = ("--trainer.callbacks+=poison.Spoil", "--trainer.callbacks.batch", "2", "--trainer.callbacks.rank", "1")
    # Without a GPU `auto` is the CPU, whose BatchNorm over ranks is ours.
    accelerator = ("--trainer.accelerator", "cpu" if torch.accelerator.is_available() else "auto")
    done = two_ranks(prepared, run, "ddp", *spoil, *accelerator)
    assert done.returncode == 0, done.stderr[-3000:]
    (file,) = (run / "bad_batches").iterdir()
    batches = json.loads(file.read_text())["batches"]
    # BatchNorm takes its statistics over the clips of all ranks: what is no number reaches them all.
    assert [(batch["rank"], batch["loss"], len(batch["clips"])) for batch in batches] == [(0, "nan", 2), (1, "nan", 2)]
    assert batches[0]["clips"][0]["seed"] != batches[1]["clips"][0]["seed"]
    assert scalars(run)["stability/skipped_steps"][STEPS - 1] == 1
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == STEPS
    assert all(value.isfinite().all() for value in state["state_dict"].values())


def test_a_spread_run_goes_on(prepared: Path, spread: Path) -> None:
    """From the whole checkpoint that it wrote."""
    half = spread.parent / "half"
    assert torch.load(half / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2
    done = two_ranks(prepared, half, "fsdp2", *SAME)
    assert done.returncode == 0, done.stderr[-3000:]
    one, two = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (half, spread))
    assert one["global_step"] == two["global_step"] == STEPS
    torch.testing.assert_close(one["state_dict"], two["state_dict"], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_two_ranks_compiled_do_what_they_do_plain(prepared: Path, tmp_path: Path) -> None:
    """Traced as one graph, forward and backward, under DDP; what a backend makes of the graph is tested on one rank."""
    losses = []
    for name, more in (("plain", ()), ("compiled", ("--model.compile_backend", "aot_eager"))):
        done = two_ranks(prepared, tmp_path / name, "ddp", *SAME, "--trainer.sync_batchnorm", "false", *more)
        assert done.returncode == 0, done.stderr[-3000:]
        losses.append(scalars(tmp_path / name)["train/loss_of_all"])
    assert len(losses[0]) == STEPS
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
