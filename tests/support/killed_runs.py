"""A pretraining that is killed in the midst of a step and goes on, on as many ranks and readers as one likes.

It notes its clips (`seen_clips`), so that they can be compared with those of a run that nothing happened to.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import command


class Spread(NamedTuple):
    """What a run is spread over."""

    ranks: int
    """One or two."""
    workers: int
    """Processes that read, for each rank."""


class Killed(NamedTuple):
    """How a run of the smallest Conformer is trained, and where it is killed.

    Args:
        data: The prepared folder.
        clips: In a step of all ranks.
        every: Steps between two checkpoints.
        steps_done: When it is killed, in the midst of the next; not at a checkpoint, so that some work is lost.
        steps: In all.
        more: Other options of `musicfm fit`.
    """

    data: Path
    clips: int
    every: int
    steps_done: int
    steps: int
    more: Sequence[str] = ()

    @property
    def steps_saved(self) -> int:
        """In the checkpoint from which it goes on."""
        return self.steps_done // self.every * self.every

    def options(self, run: Path, spread: Spread) -> list[str]:
        """What follows `musicfm fit`."""
        return command.pretraining(
            *(self.data, run, self.steps),
            *("--checkpoint.every_n_train_steps", str(self.every), "--data.masking", "seen_clips.SeenClips"),
            *("--data.batch_size", str(self.clips // spread.ranks), "--trainer.devices", str(spread.ranks)),
            *("--data.num_workers", str(spread.workers), *self.more),
        )

    def fit(self, run: Path, seen: Path, spread: Spread, *more: str) -> subprocess.CompletedProcess[str]:
        """Trains in processes of their own, which note their clips in the folder `seen`."""
        seen.mkdir(parents=True)
        start = command.musicfm if spread.ranks == 1 else command.torchrun
        return start("fit", *self.options(run, spread), *more, SEEN=str(seen))

    def kill(self, run: Path, seen: Path, spread: Spread) -> None:
        """Trains until every rank has been killed."""
        kill = ("--trainer.callbacks+=interruptions.KillAt", "--trainer.callbacks.step", str(self.steps_done))
        done = self.fit(run, seen, spread, *kill)
        if spread.ranks == 1:
            assert done.returncode == -signal.SIGKILL, done.stderr
        else:
            assert f"exitcode  : {-signal.SIGKILL} " in done.stderr, done.stderr

    def difference(self, before: list[list[str]], after: list[list[str]], undisturbed: list[list[str]]) -> str | None:
        """Where the clips of a run that was killed and went on are others than they should be.

        Args:
            before: Its global batches until it was killed; those after the checkpoint are lost with what was learnt.
            after: Those of when it went on.
            undisturbed: Those of a run that nothing happened to.

        Returns:
            The first step, and what is wrong there; None if all is well.
        """
        # A last validation is noted, too; and of two ranks one may have been killed before it noted its last step.
        killed, saved = self.steps_done + 1, self.steps_saved
        if not self.steps_done <= len(before) <= killed:
            return f"killed in step {len(before)} instead of step {killed}"
        whole = [*undisturbed[: len(before)], *undisturbed[saved : self.steps]]
        numbers = [*range(1, len(before) + 1), *range(saved + 1, self.steps + 1)]
        for number, batch, expected in zip(numbers, [*before, *after], whole, strict=False):
            if batch != expected:
                return f"step {number}: {batch} instead of {expected}"
        missing = self.steps - saved - len(after)
        return f"{missing} steps are missing" if missing > 0 else None
