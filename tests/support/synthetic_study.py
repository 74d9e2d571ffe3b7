"""A small study that nobody ran: configurations and results, written as runs write them, with known effects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from musicfm_pl.provenance import config_digest
from musicfm_pl.results import RunResult, Stage, Task, TrackResult, write_result

NUM_WORKS = 16
HEADLINES: dict[Task, tuple[str, ...]] = {
    "beat": ("beat_f", "downbeat_f"),
    "chord": ("chord_majmin",),
    "key": ("key_weighted",),
}
FM: dict[str, Any] = {"encoder": "conformer.Conformer", "tokens": "random_projection.RandomProjection"}
FM |= {"rate": 25, "length": 30, "data": "pop909", "parameters": 1_800_000}


def pretraining(seed: int, **factors: Any) -> dict[str, Any]:
    """The configuration of a pretraining run, as far as anybody looks at it."""
    of = FM | factors
    return {
        "seed_everything": seed,
        "trainer": {"max_steps": of.get("steps", 1000), "log_every_n_steps": 10},
        "model": {
            "class_path": "musicfm_pl.systems.pretrain.MaskedTokenModel",
            "init_args": {
                "rate_hz": of["rate"],
                "encoder": {
                    "class_path": f"musicfm_pl.encoders.{of['encoder']}",
                    "init_args": {"time_strides": {25: [2, 2], 50: [2, 1], 75: [1, 1]}[of["rate"]]},
                },
                "tokenizer": {"class_path": f"musicfm_pl.tokenizers.{of['tokens']}", "init_args": {"num_codes": 64}},
            },
        },
        "data": {
            "class_path": "data_modules.pretrain.PretrainData",
            "init_args": {"root": f"data/{of['data']}", "clip_s": float(of["length"]), "num_workers": 1},
        },
    }


def write_model(
    root: Path,
    name: str,
    gains: Mapping[str, float] = {},
    seeds: Iterable[int] = (0, 1, 2),
    tasks: Iterable[Task] = ("beat", "chord", "key"),
    stage: Stage = "probe",
    seed_spread: float = 0.004,
    of_task: Mapping[str, Any] = {},
    **factors: Any,
) -> None:
    """Writes a pretraining run and its task runs for each seed.

    Scores of a track are those of its work, the same for all models, plus the gain of the model, plus noise.

    Args:
        root: Directory of runs; should lie below one called `runs`.
        name: Row of the leaderboard and name of the directories.
        gains: Over the common level, by metric.
        seeds: Of the runs.
        tasks: To write.
        stage: Of the tasks.
        seed_spread: Standard deviation of what a seed adds to all tracks.
        of_task: Settings of the model of a task.
        factors: Of `FM` that differ.
    """
    parameters = (FM | factors)["parameters"]
    common = {"name": name, "licence": "CC0", "corpus_note": "nobody played it", "num_parameters": parameters}
    for seed in seeds:
        pretrained = root / name / "pretrain" / f"seed{seed}"
        config = pretraining(seed, **factors)
        digest = config_digest(config)
        _write(pretrained, config, "pretrain", "pretrain", seed, common, {"val_loss": 4.0, "masked_accuracy": 0.1}, ())
        for task in tasks:
            config = {
                "seed_everything": seed,
                "model": {
                    "class_path": "musicfm_pl.systems.task.TaskModel",
                    "init_args": {
                        "encoder": {
                            "class_path": "musicfm_pl.encoders.pretrained.Pretrained",
                            "init_args": {"run": str(pretrained)},
                        },
                        "freeze": stage == "probe",
                        **of_task,
                    },
                },
                "data": {"class_path": "data_modules.task.TaskData", "init_args": {"root": "data/dcml-demo"}},
            }
            tracks = tuple(_tracks(task, name, seed, gains, seed_spread))
            summary = {m: float(np.mean([t.metrics[m] for t in tracks])) for m in HEADLINES[task]}
            folder = root / name / stage / task / f"seed{seed}"
            _write(folder, config, stage, task, seed, common | {"encoder_digest": digest}, summary, tracks)


def _tracks(task: Task, name: str, seed: int, gains: Mapping[str, float], seed_spread: float) -> Iterable[TrackResult]:
    own = np.random.default_rng([seed, *name.encode(), *task.encode()])
    level = {metric: own.normal(0, seed_spread) for metric in HEADLINES[task]}
    for work in range(NUM_WORKS):
        shared = np.random.default_rng([7, work])
        for part in "ab":
            ease = shared.normal(0.5, 0.1)
            metrics = {m: float(ease + gains.get(m, 0.0) + level[m] + own.normal(0, 0.01)) for m in HEADLINES[task]}
            yield TrackResult(f"work{work:02}{part}", f"work{work:02}", metrics)


def _write(
    folder: Path,
    config: Mapping[str, Any],
    stage: Stage,
    task: Task,
    seed: int,
    common: Mapping[str, Any],
    summary: Mapping[str, float | None],
    tracks: tuple[TrackResult, ...],
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(config)))
    template = RunResult(
        run="/".join(folder.parts[folder.parts.index("runs") + 1 :]),
        role="encoder",
        stage=stage,
        task=task,
        protocol="musicfm",
        corpus="pop909" if stage == "pretrain" else "dcml",
        split="val" if stage == "pretrain" else "test",
        num_tracks=len(tracks) or 5,
        seed=seed,
        layer=None,
        config_digest=config_digest(config),
        versions={"torch": "2.14.1", "commit": "0123456789abcdef0123456789abcdef01234567"},
        machine={"cpu_count": 2},
        seconds=1.0,
        summary=summary,
        tracks=tracks,
        **common,
    )
    write_result(folder, template)
