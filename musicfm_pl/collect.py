"""`musicfm collect`: what a leaderboard is made from, without checkpoints and logs: small enough for a repository."""

from __future__ import annotations

import shutil
from pathlib import Path

from musicfm_pl.analysis.curves import SCALARS
from musicfm_pl.curves import FIGURES
from musicfm_pl.event_logs import KEPT, logged_scalars, scalars_as_json
from musicfm_pl.results import FILE_NAME, read_result, write_aside

_CONFIG = "config.yaml"


def collect(results: Path, out: Path) -> None:
    """Copies results, configurations and learning curves of runs; the leaderboard of the copy is that of the runs.

    A result in the copy that is no longer among the runs is removed.

    Args:
        results: A directory; every `results.json` below it counts.
        out: Where they go, in the same folders.

    Raises:
        FileNotFoundError: There is no result.
        ResultError: One of them cannot be used; nothing is copied then.
        ValueError: The copy would lie within the directory.
    """
    if results.resolve() in (out.resolve(), *out.resolve().parents):
        raise ValueError(f"--out: {out} lies in {results}, where its results would count a second time")
    stages = {file.parent: read_result(file).stage for file in sorted(results.rglob(FILE_NAME))}
    if not stages:
        raise FileNotFoundError(f"--results: there is no {FILE_NAME} below {results}")
    for folder, stage in stages.items():
        there = out / folder.relative_to(results)
        there.mkdir(parents=True, exist_ok=True)
        for name in (FILE_NAME, _CONFIG):
            if (folder / name).exists():
                shutil.copyfile(folder / name, there / name)
        if stage == "pretrain":
            curves = logged_scalars(folder, dict.fromkeys([*SCALARS, *(f"val/{figure}" for figure in FIGURES)]))
            write_aside(there / KEPT, scalars_as_json(curves))
    for file in sorted(out.rglob(FILE_NAME)):
        if results / file.parent.relative_to(out) not in stages:
            for name in (FILE_NAME, _CONFIG, KEPT):
                (file.parent / name).unlink(missing_ok=True)
    print(f"{len(stages)} results are in {out}")
