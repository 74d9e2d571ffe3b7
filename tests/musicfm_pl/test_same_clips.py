"""What a run is trained on depends neither on how audio is stored, nor on how many processes read it or train."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import command
import pytest
import seen_clips
import soundfile
from killed_runs import Killed, Spread
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


@pytest.fixture(scope="module")
def killed(prepared: Path) -> Killed:
    """In the second of two epochs of four steps; it goes on in the first."""
    return Killed(prepared, clips=4, every=3, steps_done=5, steps=8)


def seen_here(killed: Killed, run: Path, seen: Path, workers: int = 0) -> list[list[str]]:
    """The global batches of one rank, which is this process."""
    seen.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEN", str(seen))
        command.succeed("fit", *killed.options(run, Spread(1, workers)))
    return seen_clips.global_batches(seen, 1, killed.clips)


@pytest.fixture(scope="module")
def undisturbed(killed: Killed, tmp_path_factory: pytest.TempPathFactory) -> list[list[str]]:
    """The global batches of one rank without readers."""
    folder = tmp_path_factory.mktemp("undisturbed")
    batches = seen_here(killed, folder / "run", folder / "seen")[: killed.steps]
    clips = [clip for batch in batches for clip in batch]
    assert len(clips) == len(set(clips)) == killed.clips * killed.steps
    return batches


@pytest.fixture(scope="module")
def killed_runs(killed: Killed, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Spread], Path]:
    """A folder with `run`, which was killed, and `seen`, its clips; once for each way to spread it."""
    root = tmp_path_factory.mktemp("killed")

    def kill(spread: Spread) -> Path:
        folder = root / f"{spread.ranks} ranks, {spread.workers} workers"
        if not folder.exists():
            killed.kill(folder / "run", folder / "seen", spread)
            assert checkpoint(folder / "run")["global_step"] == killed.steps_saved
        return folder

    return kill


@pytest.mark.filterwarnings("ignore:The dirpath has changed")  # several go on from copies of one run
@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Spread(1, 0), Spread(1, 0)),
        (Spread(1, 2), Spread(1, 2)),
        (Spread(2, 0), Spread(2, 0)),
        (Spread(2, 2), Spread(2, 2)),
        (Spread(2, 2), Spread(1, 0)),
        (Spread(2, 0), Spread(1, 2)),
    ],
    ids=lambda spread: f"{spread.ranks}x{spread.workers}",
)
def test_killed_in_mid_epoch(
    before: Spread,
    after: Spread,
    killed: Killed,
    undisturbed: list[list[str]],
    killed_runs: Callable[[Spread], Path],
    tmp_path: Path,
) -> None:
    """By SIGKILL, on one or two ranks with none or two readers each; it may go on with others."""
    folder, run = killed_runs(before), tmp_path / "run"
    shutil.copytree(folder / "run", run)
    if after.ranks == 1:
        went_on = seen_here(killed, run, tmp_path / "seen", after.workers)
    else:
        done = killed.fit(run, tmp_path / "seen", after)
        assert done.returncode == 0, done.stderr
        went_on = seen_clips.global_batches(tmp_path / "seen", after.ranks, killed.clips)
    until_then = seen_clips.global_batches(folder / "seen", before.ranks, killed.clips)
    assert killed.difference(until_then, went_on, undisturbed) is None, "clips, seeds and masks"
    assert checkpoint(run)["global_step"] == killed.steps
    for ranks, batches in ((before.ranks, until_then), (after.ranks, went_on)):
        share = killed.clips // ranks
        for batch in batches if ranks > 1 else ():
            first, second = seen_clips.masks(batch[:share]), seen_clips.masks(batch[share:])
            assert set(first).isdisjoint(second), "the ranks mask differently"


def test_told_to_stop_on_two_ranks_it_goes_on_with_one(
    killed: Killed, undisturbed: list[list[str]], tmp_path: Path
) -> None:
    """It leaves where the sixth step would begin, whose clips are there already; whoever goes on takes them again."""
    stop = (
        *("--trainer.callbacks+=interruptions.SignalAt", "--trainer.callbacks.step", "5"),
        *("--trainer.callbacks.number", str(int(signal.SIGTERM)), "--trainer.callbacks.rank", "1"),
    )
    run = tmp_path / "run"
    done = killed.fit(run, tmp_path / "two", Spread(2, 0), *stop)
    assert f"exitcode  : {TERMINATED}" in done.stderr, "torchrun says how its processes ended"
    assert checkpoint(run)["global_step"] == 5
    assert seen_clips.global_batches(tmp_path / "two", 2, killed.clips) == undisturbed[:6]
    assert seen_here(killed, run, tmp_path / "one")[: killed.steps - 5] == undisturbed[5:]


def test_what_differs_is_found() -> None:
    """By what compares the clips above and in `real_recordings`."""
    whole = [[f"clip {clip} of step {step}" for clip in range(4)] for step in range(1, 10)]
    killed = Killed(Path("data"), clips=4, every=3, steps_done=5, steps=8)
    for before in (whole[:5], whole[:6]):
        assert killed.difference(before, whole[3:], whole) is None
    for before, after, said in (
        (whole[:4], whole[3:], "killed in step 4 instead of step 6"),
        (whole[1:7], whole[3:], "step 1: "),
        (whole[:6], whole[4:], "step 4: "),
        (whole[:6], whole[2:], "step 4: "),
        (whole[:6], [*whole[3:7], whole[7][::-1]], "step 8: "),
        (whole[:6], whole[3:7], "1 steps are missing"),
    ):
        assert (killed.difference(before, after, whole) or "").startswith(said)
