"""What goes wrong with machines: a process killed, a disk full, a file damaged, a clock that jumps.

Each is done for real to a run, which then must go on and be the run that nothing happened to.
"""

from __future__ import annotations

import logging
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
from same_run import assert_same, checkpoint, logged

from data_modules.shards import Prepared
from musicfm_pl.checkpoint_files import damage
from musicfm_pl.encoders.encoder_file import read_encoder

STEPS = 6
OFTEN = ("--checkpoint.every_n_train_steps", "1")


def fault(name: str, step: int) -> tuple[str, ...]:
    return (f"--trainer.callbacks+=interruptions.{name}", "--trainer.callbacks.step", str(step))


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("whole")
    command.succeed("fit", *command.pretraining(prepared, run, STEPS, *OFTEN))
    return run


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    """The limit that a test sets is taken back."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_killed_reader(prepared: Path, whole: Path, tmp_path: Path) -> None:
    # One reader, killed early: what it has read ahead does not last to the end.
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN, "--data.num_workers", "1")
    code, said = command.fail("fit", *arguments, *fault("KillReader", 1))
    assert code == 2
    assert "A process that reads clips has died" in said
    assert "--data.num_workers" in said
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("too_large", ["encoder.safetensors", "last.ckpt"])
def test_full_disk_while_a_checkpoint_is_written(
    prepared: Path, whole: Path, tmp_path: Path, file_size_limit: None, too_large: str
) -> None:
    encoder_bytes = (whole / "checkpoints" / "encoder.safetensors").stat().st_size
    room = encoder_bytes + (10_000 if too_large == "last.ckpt" else -10_000)
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    code, said = command.fail("fit", *arguments, *fault("FullDisk", 4), "--trainer.callbacks.num_bytes", str(room))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert code == 2, said
    assert f"{last.with_name(too_large)} cannot be written (File too large)" in said
    assert too_large != "last.ckpt" or "the one before it is untouched" in said
    assert damage(last) is None
    assert checkpoint(tmp_path)["global_step"] == 3
    alone = read_encoder(last.with_name("encoder.safetensors"))
    assert alone.step == (3 if too_large == "encoder.safetensors" else 4), "it is written first"
    assert sorted(file.name for file in last.parent.iterdir()) == ["encoder.safetensors", "last.ckpt", "previous.ckpt"]
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)


@pytest.mark.parametrize("how", ["a bit flipped", "cut short"])
def test_damaged_checkpoint(prepared: Path, whole: Path, tmp_path: Path, how: str) -> None:
    arguments = command.pretraining(prepared, tmp_path, STEPS, *OFTEN)
    command.succeed("fit", *arguments)
    last, previous = (tmp_path / "checkpoints" / name for name in ("last.ckpt", "previous.ckpt"))
    content = bytearray(last.read_bytes())
    content[len(content) // 2] ^= 1
    last.write_bytes(content if how == "a bit flipped" else content[: len(content) // 2])
    assert checkpoint(tmp_path, "previous.ckpt")["global_step"] == STEPS - 1
    code, said = command.fail("fit", *arguments)
    assert code == 2
    assert f"the checkpoint {last} is damaged" in said
    assert f"delete the damaged one, and fit goes on from {previous}" in said
    code, said = command.fail("validate", "--run_dir", tmp_path)
    assert code == 2
    assert f"--ckpt_path {previous}" in said
    last.unlink()
    command.succeed("fit", *arguments)
    assert_same(tmp_path, whole)


def test_the_first_checkpoint_is_damaged(prepared: Path, tmp_path: Path) -> None:
    """There is no other: the message does not offer one."""
    (tmp_path / "checkpoints").mkdir()
    for name in ("last.ckpt", "previous.ckpt"):
        (tmp_path / "checkpoints" / name).write_text("no weights")
        code, said = command.fail("fit", *command.pretraining(prepared, tmp_path, STEPS))
        assert code == 2
        assert "delete it (fit then begins anew)" in said


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("stored", ["prepared", "prepared_flac"])
def test_shard_cut_short_while_it_runs(
    stored: str, workers: int, tmp_path: Path, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    """Other clips take the place of those that are gone. Were the shard mapped, the process would be gone, too."""
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(request.getfixturevalue(stored), data)
    shard = data / "shards" / Prepared(data).entries[3].shard
    cut = (*fault("CutShort", 1), "--trainer.callbacks.file", str(shard), "--data.num_workers", str(workers))
    with caplog.at_level(logging.WARNING, "data_modules"):
        command.succeed("fit", *command.pretraining(data, run, STEPS, *OFTEN, *cut))
    said = [record.getMessage() for record in caplog.records if record.name.startswith("data_modules")]
    assert any("song3" in line and f"{shard} is cut short" in line for line in said)
    assert "clips were set aside" in said[-1]
    assert checkpoint(run)["global_step"] == STEPS


def test_shard_cut_short_and_repaired(prepared: Path, whole: Path, tmp_path: Path) -> None:
    """Where no clip may be set aside, the run stops before it is trained on another one, and goes on as if never."""
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(prepared, data)
    shard = data / "shards" / "00000.pcm"
    arguments = command.pretraining(data, run, STEPS, *OFTEN, "--data.max_damaged", "0")
    code, said = command.fail("fit", *arguments, *fault("CutShort", 2), "--trainer.callbacks.file", str(shard))
    assert code == 2
    assert "data.max_damaged: " in said and f"{shard} is cut short" in said and "repair the data" in said
    assert 2 <= checkpoint(run)["global_step"] < STEPS
    shutil.copyfile(prepared / "shards" / "00000.pcm", shard)
    command.succeed("fit", *arguments)
    assert_same(run, whole)


def test_clock_jumps(prepared: Path, whole: Path, tmp_path: Path) -> None:
    """While it runs; and while it lies, so that files are dated in the future and older than what they were made of."""
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(prepared, data)
    arguments = command.pretraining(data, run, STEPS, *OFTEN)
    stop = ("--trainer.callbacks+=interruptions.InterruptAt", "--trainer.callbacks.step", "5")
    assert command.fail("fit", *arguments, *fault("ClockJump", 3), *stop)[0] == 1
    assert checkpoint(run)["global_step"] == 4
    for number, file in enumerate(sorted(path for path in tmp_path.rglob("*") if path.is_file())):
        year = (1971, 2001, 2100)[number % 3] - 1970
        os.utime(file, (year * 365 * 86400.0, year * 365 * 86400.0))
    command.succeed("fit", *arguments)
    assert_same(run, whole)
    finished = (run / "results.json").read_bytes()
    command.succeed("fit", *arguments)
    assert (run / "results.json").read_bytes() == finished, "what is finished is not done again"
    assert len(logged(run, "train/loss")) == STEPS
    command.succeed("prepare", "--corpus", "miniature.Miniature", "--out", data, "--jobs", "1")
