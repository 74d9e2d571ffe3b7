"""Pretraining on real recordings, killed in mid-epoch and gone on with, on one and two ranks: are the clips the same?

PYTHONPATH=. python tests/support/real_recordings.py MUSIC OUT [--steps 300] [--clips 16] [--cells 1x0 2x2 2x2-1x0]

MUSIC is any folder of audio. It is prepared into OUT, and a very small Conformer is trained on it: undisturbed, and
once for each cell (ranks x readers of a rank, and what it goes on with where that is another), killed by SIGKILL in the
midst of a step and gone on with. Every clip is compared, in its order and with the seed of its mask. It ends with a
table, and with 1 if anything differs. What OUT holds already is not prepared again; runs are made anew.

Seven hours of produced music under free licences, from Debian 12 (no root is needed):

    mkdir -p recordings && cd recordings
    apt-get download warzone2100-music wesnoth-1.16-music singularity-music
    for package in *.deb; do dpkg-deb -x "$package" "${package%%_*}"; done
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path

import command
import seen_clips
from killed_runs import Killed, Spread
from rich.console import Console
from rich.table import Table

from data_modules.clips import RandomClips
from data_modules.shards import Prepared
from data_modules.waveforms import Samples

CLIP_S = 5.0
CELLS = ("1x0", "1x2", "2x0", "2x2", "2x2-1x0", "2x0-1x2")
"""`2x2-1x0`: killed on two ranks with two readers each, it goes on with one that reads for itself."""


def prepare(music: Path, data: Path) -> Prepared:
    """As a user does it, with its progress on the screen."""
    arguments = ("prepare", "--corpus", "folder", "--root", music, "--out", data)
    subprocess.run(command.command(*arguments), env=command.environment(), check=True)
    return Prepared(data)


def killed_and_gone_on(killed: Killed, cell: str, runs: Path, undisturbed: list[list[str]]) -> tuple[int, str | None]:
    """Trains a cell; the number of clips that were compared, and what differs."""
    first, _, second = cell.partition("-")
    before, after = (Spread(*map(int, one.split("x"))) for one in (first, second or first))
    # Cells that differ in how they go on do so from copies of one run.
    start, folder = runs / f"killed-{first}", runs / cell
    if not start.exists():
        killed.kill(start / "run", start / "seen", before)
    shutil.copytree(start / "run", folder / "run")
    done = killed.fit(folder / "run", folder / "seen", after)
    if done.returncode:
        return 0, f"it does not go on: {done.stderr[-2000:]}"
    until_then, went_on = (
        seen_clips.global_batches(place / "seen", spread.ranks, killed.clips)
        for place, spread in ((start, before), (folder, after))
    )
    num_steps = len(until_then) + killed.steps - killed.steps_saved
    return num_steps * killed.clips, killed.difference(until_then, went_on, undisturbed)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("music", type=Path, help="a folder of audio")
    parser.add_argument("out", type=Path, help="a folder for shards and runs")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--clips", type=int, default=16, help=f"of {CLIP_S:g} s, in a step of all ranks")
    parser.add_argument("--cells", nargs="+", default=CELLS, choices=CELLS)
    given = parser.parse_args()
    console = Console(highlight=False, markup=False)

    prepared = prepare(given.music, given.out / "data")
    num_files = int(prepared.card["num_items"])
    hours, to_train_on = (
        sum(entry.duration_s for entry in entries) / 3600 for entries in (prepared.entries, prepared.split("train"))
    )
    an_epoch = len(RandomClips(prepared.tracks("train"), Samples(prepared), CLIP_S, seed=0)) // given.clips
    # Seven parts of eight are done when it is killed, and six of them saved.
    part = max(2, given.steps // 8)
    more = ("--data.clip_s", f"{CLIP_S:g}", "--data.max_val_clips", str(given.clips))
    killed = Killed(given.out / "data", given.clips, 2 * part, 7 * part, given.steps, more)

    def say(what: str) -> None:
        console.print(f"{time.strftime('%H:%M:%S')} {what}")

    shutil.rmtree(given.out / "runs", ignore_errors=True)
    say(f"{given.steps} steps undisturbed")
    folder = given.out / "runs" / "undisturbed"
    done = killed.fit(folder / "run", folder / "seen", Spread(1, 0))
    assert done.returncode == 0, done.stderr
    undisturbed = seen_clips.global_batches(folder / "seen", 1, given.clips)[: given.steps]
    table = Table("ranks x readers", "went on with", "clips compared", "equal")
    differing = 0
    for cell in given.cells:
        say(f"{cell}: killed in step {killed.steps_done + 1}, to go on after step {killed.steps_saved}")
        compared, difference = killed_and_gone_on(killed, cell, given.out / "runs", undisturbed)
        before, _, after = cell.partition("-")
        table.add_row(before, after or before, str(compared), difference or "yes")
        differing += difference is not None
    console.print(
        f"{hours:.2f} h ({to_train_on:.2f} h for training), {num_files} files, "
        f"{num_files - len(prepared.entries)} set aside; {given.steps} steps of {given.clips} clips, {an_epoch} an "
        f"epoch; killed in step {killed.steps_done + 1}, went on after step {killed.steps_saved}"
    )
    console.print(table)
    sys.exit(differing > 0)


if __name__ == "__main__":
    main()
