"""What distinguishes the models of a study: encoder, tokens, rate, length, size, data, read from configurations."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from musicfm_pl.analysis.pretrainings import Pretrainings, read_config
from musicfm_pl.provenance import IGNORED_KEYS, config_digest
from musicfm_pl.results import FILE_NAME, ResultError, RunResult, read_result
from musicfm_pl.tokenizers.centroids_about import about_centroids

FACTORS = ("encoder", "tokens", "rate", "length", "size", "data", "share")
"""Of a pretrained encoder; the share is of the training tracks. One more, the mode, is what a task does with it."""
Level = str | float
_SAME_SIZE = 1.4
"""Encoders whose numbers of parameters differ by less are of one size: FM8 has twice as many as FM7."""
_NAMES = {"RandomProjection": "random", "KMeans": "k-means", "Bert": "BERT"}
"""What the study calls our classes."""
_OF_A_PRETRAINING = (".Pretrained", ".Untrained")
"""Classes of encoders that name a pretraining; the second, a baseline, has only its architecture."""
_OF_FACTORS = (
    *("model.encoder", "model.tokenizer", "model.rate_hz", "data.features.hop_length", "data.clip_s", "data.root"),
    *("data.max_val_clips", "data.train_share", "data.corpus", "data.seed", "seed_everything"),
    *("name", "role", "extends"),
)
"""Keys of a pretraining configuration that belong to a factor, or to nothing that is trained."""


@dataclass(frozen=True)
class Origin:
    """Where a result comes from.

    Attributes:
        folder: That holds `results.json`.
        config_file: Its configuration; None if it was not kept.
        config: What stands there.
        factors: Levels by factor, `mode` among them; empty for a model that was not pretrained.
        others: Other settings of the pretraining, by their dotted keys: what must be equal in a fair comparison.
        missing: Why there are no factors, in words; empty if there are, or if none are to be expected.
        unverified: What of the result cannot be checked by a digest, in words; empty if nothing.
    """

    folder: Path
    config_file: Path | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    factors: Mapping[str, Level] = field(default_factory=dict)
    others: Mapping[str, Any] = field(default_factory=dict)
    missing: str = ""
    unverified: str = ""


def read_runs(roots: Sequence[Path]) -> tuple[list[RunResult], dict[str, Origin]]:
    """All results under some directories, with their configurations.

    Args:
        roots: Directories, or result files; one may lie in another.

    Returns:
        Results in the order of their runs, and by run where each comes from.

    Raises:
        FileNotFoundError: There is no such directory.
        ResultError: One of the results cannot be used, or was not made with the configuration that lies beside it, or
            from the encoder that its pretraining is now.
    """
    found: dict[Path, RunResult] = {}
    for root in roots:
        if not root.exists():
            raise FileNotFoundError(f"{root}: no such directory of runs")
        for file in sorted(root.rglob(FILE_NAME)) if root.is_dir() else [root]:
            found.setdefault(file.resolve(), read_result(file))
    results: list[RunResult] = []
    origins: dict[str, Origin] = {}
    for file, result in found.items():
        if result in results:
            continue
        results.append(result)
        origins[result.run] = _checked(file, result)
    pretrainings = Pretrainings((r, origins[r.run].folder, origins[r.run].config) for r in results)
    for result in results:
        origins[result.run] = _with_factors(result, origins[result.run], pretrainings)
    return sorted(results, key=lambda result: result.run), of_one_size(results, origins)


def _checked(file: Path, result: RunResult) -> Origin:
    """The configuration of a result, if it is kept, and the refusal of another one."""
    # The result of a test on another corpus lies one folder below the run's.
    for folder in (file.parent, *([file.parent.parent] if file.parent.name.startswith("on-") else [])):
        config_file = folder / "config.yaml"
        if config_file.exists():
            config = read_config(config_file)
            if config_digest(config) != result.config_digest:
                raise ResultError(
                    f"{file}: config_digest: {result.run} was not made with what {config_file} says now (digest "
                    f"{result.config_digest[:12]}…, but the file has {config_digest(config)[:12]}…); make it anew, "
                    "put the configuration back, or leave it out of --results"
                )
            return Origin(file.parent, config_file, config)
    alone = "no config.yaml lies beside the result"
    return Origin(file.parent, missing=alone, unverified=f"the configuration, since {alone}")


def _with_factors(result: RunResult, origin: Origin, pretrainings: Pretrainings) -> Origin:
    """The origin with its factors: of a task run those of the pretraining that its encoder names."""
    if result.stage == "pretrain":
        return replace(
            origin, factors=factors(origin.config, result.num_parameters), others=settings(origin.config, origin.folder)
        )
    encoder = _at(origin.config, "model.encoder")
    if not isinstance(encoder, Mapping) or not str(encoder.get("class_path", "")).endswith(_OF_A_PRETRAINING):
        return origin
    run = Path(str(_at(encoder, "run")))
    try:
        pretraining = pretrainings.of(run)
    except ResultError as error:
        return replace(origin, missing=str(error))
    if pretraining is None:
        return replace(origin, missing=f"the configuration of the pretraining {run} is not there")
    if not result.encoder_digest:
        origin = replace(origin, unverified="the encoder's configuration, which results did not name before schema 5")
    elif result.encoder_digest != pretraining.digest:
        raise ResultError(
            f"{origin.folder / FILE_NAME}: encoder_digest: {result.run} was made from {run} as it was (digest "
            f"{result.encoder_digest[:12]}…), but {pretraining.folder} has other settings now (digest "
            f"{pretraining.digest[:12]}…); make it anew, put the pretraining back, or leave it out of --results"
        )
    if not str(encoder["class_path"]).endswith(_OF_A_PRETRAINING[0]):
        return origin
    found = factors(pretraining.config, result.num_parameters)
    return replace(
        origin,
        factors=found | {"mode": result.stage} if found else {},
        others=settings(pretraining.config, pretraining.folder),
    )


def factors(config: Mapping[str, Any], num_parameters: int) -> dict[str, Level]:
    """Levels of `FACTORS` from the resolved configuration of a pretraining; empty if it is none.

    Args:
        config: As `config.yaml` of its run has it.
        num_parameters: Of the encoder.
    """
    encoder, tokenizer = _at(config, "model.encoder"), _at(config, "model.tokenizer")
    length_s, rate_hz = _at(config, "data.clip_s"), _at(config, "model.rate_hz")
    if not isinstance(encoder, Mapping) or not isinstance(tokenizer, Mapping) or length_s is None:
        return {}
    if rate_hz is None:
        hop, strides = _at(config, "data.features.hop_length"), _at(encoder, "time_strides")
        rate_hz = 24000 / (hop * math.prod(strides)) if hop and strides else None
    data = _at(config, "data.root")
    found: dict[str, Level | None] = {
        "encoder": _class_name(encoder),
        "tokens": _class_name(tokenizer),
        "rate": None if rate_hz is None else float(rate_hz),
        "length": float(length_s),
        "size": float(num_parameters),
        "data": None if data is None else Path(str(data)).name,
        "share": float(_at(config, "data.train_share") or 1),
    }
    return {name: level for name, level in found.items() if level is not None}


def settings(config: Mapping[str, Any], run: Path | None = None) -> dict[str, Any]:
    """What else a pretraining was given, by dotted keys: model, data and length of training.

    Args:
        config: As `config.yaml` of its run has it.
        run: Its directory, for what the configuration does not say of k-means.
    """

    def leaves(value: Any, key: str) -> Iterable[tuple[str, Any]]:
        if key in _OF_FACTORS or key.split(".")[-1] in IGNORED_KEYS:
            return
        if isinstance(value, Mapping):
            for name, item in value.items():
                yield from leaves(item, key if name == "init_args" else f"{key}.{name}")
        else:
            yield key, value

    top = {"model": config.get("model"), "data": config.get("data")}
    found = dict(leaf for name, part in top.items() for leaf in leaves(part, name))
    # Many short clips a step are as much audio as few long ones.
    length_s, clips = _at(config, "data.clip_s"), found.pop("data.batch_size", None)
    if length_s is not None and clips is not None:
        found["data.step_s"] = float(length_s) * clips
    if (codes := _codes(_at(config, "model.tokenizer"), run)) is not None:
        found["model.tokenizer.codes"] = codes
    trainer = config.get("trainer") or {}
    return found | {f"trainer.{key}": trainer.get(key) for key in ("max_steps", "precision", "accumulate_grad_batches")}


def task_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a run of a task was given beside its encoder and the layer of it, by dotted keys."""
    found = settings(config) | {"data.clip_s": _at(config, "data.clip_s")}
    return {key: value for key, value in found.items() if key != "model.layer"}


def of_one_size(results: Sequence[RunResult], origins: Mapping[str, Origin]) -> dict[str, Origin]:
    """Origins in which sizes that nearly agree are one level, named by the largest of them.

    A Conformer and a BERT made to be alike differ by some parameters.
    """
    sizes = sorted({float(o.factors["size"]) for o in origins.values() if "size" in o.factors})
    level: dict[float, float] = {}
    start = 0
    for index, size in enumerate(sizes):
        if size > _SAME_SIZE * sizes[start]:
            start = index
        for below in sizes[start : index + 1]:
            level[below] = size
    return {
        run: replace(o, factors={**o.factors, "size": level[float(o.factors["size"])]}) if "size" in o.factors else o
        for run, o in origins.items()
    }


def _codes(tokenizer: Any, run: Path | None) -> str | None:
    """How many codes, and of how many books; None if that is not known."""
    if not isinstance(tokenizer, Mapping):
        return None
    num_codes, num_books, file = (_at(tokenizer, name) for name in ("num_codes", "num_books", "file"))
    if num_codes is None and file is not None and run is not None:
        num_codes = about_centroids(Path(str(file)), run).get("k")
    return None if num_codes is None else f"{num_codes} x {num_books or 1}"


def level_text(factor: str, level: Level) -> str:
    """A level with its unit, such as "25 Hz", "5 s" or "1.8 M"."""
    if not isinstance(level, float):
        return str(level)
    if factor == "share":
        return f"{100 * level:g} %"
    if factor == "size":
        return f"{level / 1e6:.3g} M" if level >= 1e6 else f"{level / 1e3:.3g} k"
    return f"{level:g} {'Hz' if factor == 'rate' else 's'}"


def _class_name(part: Mapping[str, Any]) -> str:
    name = str(part.get("class_path", "")).rpartition(".")[2]
    return _NAMES.get(name, name)


def _at(config: Mapping[str, Any], key: str) -> Any:
    """A setting by its dotted key, through `init_args`; None if it is not there."""
    value: Any = config
    for name in key.split("."):
        if not isinstance(value, Mapping):
            return None
        if name not in value and isinstance(value.get("init_args"), Mapping):
            value = value["init_args"]
        value = value.get(name)
    return value
