"""`musicfm collect`: what a leaderboard is made from, without checkpoints and logs: small enough for a repository."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from musicfm_pl.analysis.curves import SCALARS
from musicfm_pl.codebook_file import FILE_NAME as CODEBOOK
from musicfm_pl.curves import FIGURES
from musicfm_pl.event_logs import KEPT, logged_scalars, scalars_as_json
from musicfm_pl.results import FILE_NAME, read_result, write_aside, write_result
from musicfm_pl.tokenizers.centroids_about import KEPT as ABOUT_TOKENS
from musicfm_pl.tokenizers.centroids_about import about_centroids

_CONFIG = "config.yaml"


def collect(results: Path, out: Path, other_protocols: bool = True) -> None:
    """Copies results, configurations and learning curves of runs; the leaderboard of the copy is that of the runs.

    Nothing is removed from what is there: several directories may be collected into one.

    Args:
        results: A directory; every `results.json` below it counts.
        out: Where they go, in the same folders.
        other_protocols: Whether figures under other protocols than the run's own come along; they are most of the size.

    Raises:
        FileNotFoundError: There is no result.
        ResultError: One of them cannot be used; nothing is copied then.
        ValueError: The copy would lie within the directory, or around it.
    """
    here, there = results.resolve(), out.resolve()
    if here in (there, *there.parents) or there in here.parents:
        raise ValueError(f"--out: {out} and {results} lie in each other, where results would count a second time")
    kept = {file.parent: read_result(file) for file in sorted(results.rglob(FILE_NAME))}
    if not kept:
        raise FileNotFoundError(f"--results: there is no {FILE_NAME} below {results}")
    for folder, found in kept.items():
        there = out / folder.relative_to(results)
        write_result(there, found if other_protocols else replace(found, others={}))
        for name in (_CONFIG, CODEBOOK):
            if (folder / name).exists():
                shutil.copyfile(folder / name, there / name)
        # The result of a test elsewhere has its configuration one folder up.
        if folder.name.startswith("on-") and (folder.parent / _CONFIG).exists():
            shutil.copyfile(folder.parent / _CONFIG, there.parent / _CONFIG)
        if found.stage == "pretrain":
            curves = logged_scalars(folder, dict.fromkeys([*SCALARS, *(f"val/{figure}" for figure in FIGURES)]))
            write_aside(there / KEPT, scalars_as_json(curves))
            if about := _about_tokens(folder):
                write_aside(there / ABOUT_TOKENS, json.dumps(about, indent=1, sort_keys=True) + "\n")
    print(f"{len(kept)} results are in {out}")


def _about_tokens(folder: Path) -> dict[str, Any]:
    """Of k-means tokens, which features they are clusters of."""
    if not (folder / _CONFIG).exists():
        return {}
    model = (yaml.safe_load((folder / _CONFIG).read_text(encoding="utf-8")) or {}).get("model", {})
    tokenizer = model.get("init_args", {}).get("tokenizer", {}).get("init_args") or {}
    return about_centroids(Path(str(tokenizer["file"])), folder) if tokenizer.get("file") else {}
