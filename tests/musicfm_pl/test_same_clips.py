"""What a run is trained on depends neither on how audio is stored, nor on how many processes read it or train."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import command
import pytest
import seen_clips
import soundfile
from same_run import assert_same, checkpoint

from data_modules import SAMPLE_RATE
from data_modules.shards import Prepared
from musicfm_pl.exit_codes import TERMINATED

STEPS = 6
"""An epoch and a half."""
OFTEN = ("--checkpoint.every_n_train_steps", "1")
STOP = ("--trainer.callbacks+=interruptions.InterruptAt", "--trainer.callbacks.step", "4")


def interrupted(data: Path, run: Path, *more: str | Path) -> None:
    """A run that two processes read for, and none any more when it goes on."""
    arguments = command.pretraining(data, run, STEPS, *OFTEN, *more)
    assert command.fail("fit", *arguments, *STOP, "--data.num_workers", "2")[0] == 1
    assert checkpoint(run)["global_step"] == 3
    command.succeed("fit", *arguments)


def test_flac_is_int16(prepared: Path, prepared_flac: Path, tmp_path: Path) -> None:
    assert Prepared(prepared_flac).entries[0].shard.endswith(".flacs")
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "int16", STEPS, *OFTEN))
    interrupted(prepared_flac, tmp_path / "flac")
    assert_same(tmp_path / "flac", tmp_path / "int16")


def test_audio_files_as_they_are(prepared: Path, tmp_path: Path) -> None:
    """They are decoded and resampled clip by clip, which is not quite what a whole track comes to; but exact again."""
    music = tmp_path / "music"
    for entry in Prepared(prepared).entries:
        (music / entry.track_id).mkdir(parents=True)
        soundfile.write(music / entry.track_id / "a.ogg", Prepared(prepared).read(entry), SAMPLE_RATE)
    cache = ("--data.remote.cache_dir", tmp_path / "cache")
    command.succeed("fit", *command.pretraining(music, tmp_path / "whole", STEPS, *OFTEN, *cache))
    interrupted(music, tmp_path / "parts", *cache)
    assert_same(tmp_path / "parts", tmp_path / "whole")


def two_ranks(data: Path, run: Path, *more: str) -> subprocess.CompletedProcess[str]:
    options = ("--trainer.devices", "2", "--data.batch_size", "2", "--data.masking", "seen_clips.SeenClips")
    return command.torchrun("fit", *command.pretraining(data, run, STEPS, *OFTEN, *options, *more))


def test_global_batches_are_the_same_for_any_number_of_ranks(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One rank; two; and two of which one is told to stop, after which a single one goes on."""
    seen = {name: tmp_path / f"clips of {name}" for name in ("one", "two", "then one")}

    def saw(name: str) -> None:
        seen[name].mkdir(exist_ok=True)
        monkeypatch.setenv("SEEN", str(seen[name]))

    def one_rank(run: Path) -> None:
        options = ("--data.batch_size", "4", "--data.masking", "seen_clips.SeenClips")
        command.succeed("fit", *command.pretraining(prepared, run, STEPS, *OFTEN, *options))

    saw("one")
    one_rank(tmp_path / "one")
    expected = seen_clips.steps(seen["one"], 0, 4)[:STEPS]
    clips = [clip for step in expected for clip in step]
    assert len(clips) == len(set(clips)) == 4 * STEPS

    saw("two")
    done = two_ranks(prepared, tmp_path / "two")
    assert done.returncode == 0, done.stderr
    of_ranks = [seen_clips.steps(seen["two"], rank, 2)[:STEPS] for rank in range(2)]
    assert [first + second for first, second in zip(*of_ranks, strict=True)] == expected

    saw("then one")
    stop = (
        *("--trainer.callbacks+=interruptions.SignalAt", "--trainer.callbacks.step", "3"),
        *("--trainer.callbacks.number", str(int(signal.SIGTERM)), "--trainer.callbacks.rank", "1"),
    )
    done = two_ranks(prepared, tmp_path / "two then one", *stop)
    assert f"exitcode  : {TERMINATED}" in done.stderr, "torchrun says how its processes ended"
    assert checkpoint(tmp_path / "two then one")["global_step"] == 3
    one_rank(tmp_path / "two then one")
    # It leaves where the fourth step would begin, whose clips are there already; whoever goes on takes them again.
    of_ranks = [seen_clips.steps(seen["then one"], rank, 2)[:4] for rank in range(2)]
    assert [first + second for first, second in zip(*of_ranks, strict=True)] == expected[:4]
    alone = (seen["then one"] / "0").read_text().splitlines()[2 * 4 :]
    assert alone[: 4 * (STEPS - 3)] == [clip for step in expected[3:] for clip in step]
