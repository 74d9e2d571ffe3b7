"""Where an unfinished fit of k-means stands: all that scikit-learn's estimator holds, on disk without pickled code."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data_modules.shards import written_aside

if TYPE_CHECKING:
    from sklearn.cluster import MiniBatchKMeans  # type: ignore[import-untyped]


@dataclass
class FitState:
    """A fit between two batches.

    Attributes:
        estimator: It has seen `batches` batches.
        batches: Over all passes.
        squares: Sum of squared distances in the present pass.
        counts_K: Frames by code in the present pass.
        inertia_by_pass: Of the passes that are over.
    """

    estimator: MiniBatchKMeans
    batches: int
    squares: float
    counts_K: np.ndarray
    inertia_by_pass: list[float] = field(default_factory=list)


def save_state(file: Path, state: FitState, settings: Mapping[str, Any]) -> None:
    """Writes the state aside and renames it.

    Args:
        file: Where to.
        state: Of the fit.
        settings: What the fit is of; see `load_state`.
    """
    packed = {name: _packed(name, value) for name, value in vars(state.estimator).items()}
    rest = {"batches": state.batches, "squares": state.squares, "inertia_by_pass": state.inertia_by_pass}
    content = {"settings": dict(settings), "estimator": packed, "counts": torch.from_numpy(state.counts_K), **rest}
    with written_aside(file) as opened:
        torch.save(content, opened)


def load_state(file: Path, settings: Mapping[str, Any]) -> FitState:
    """Reads a state.

    Raises:
        ValueError: It is damaged, or of a fit with other settings: the message names them.
    """
    from sklearn.cluster import MiniBatchKMeans

    remedy = f"delete it to begin anew, or name another --out than {file.with_suffix('')}"
    try:
        content = torch.load(file, weights_only=True)
        before = content["settings"]
    except (RuntimeError, OSError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise ValueError(f"--out: the unfinished fit in {file} cannot be read ({error}); {remedy}") from error
    if differing := [key for key in settings if before.get(key) != settings[key]]:
        told = ", ".join(f"{key} {before.get(key)}, not {settings[key]}" for key in differing)
        raise ValueError(f"--out: {file} is of a fit that was begun with {told}; {remedy}")
    estimator = MiniBatchKMeans()
    vars(estimator).update({name: _unpacked(value) for name, value in content["estimator"].items()})
    return FitState(
        estimator, content["batches"], content["squares"], content["counts"].numpy(), content["inertia_by_pass"]
    )


def _packed(name: str, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if isinstance(value, np.random.RandomState):
        kind, keys, *rest = value.get_state(legacy=True)
        return {"random_state": (kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), *rest)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, str | int | float | bool | None):
        return value
    raise TypeError(f"scikit-learn keeps {name} as {type(value).__name__}, which this version cannot save")


def _unpacked(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        kind, keys, *rest = value["random_state"]
        generator = np.random.RandomState()
        generator.set_state((kind, keys.numpy().astype(np.uint32), *rest))
        return generator
    return value
