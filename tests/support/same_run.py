"""Whether two runs are the same: weights, optimizer, schedule, and the loss of every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def checkpoint(run: Path, name: str = "last.ckpt") -> dict[str, Any]:
    return torch.load(run / "checkpoints" / name, weights_only=True)


def logged(run: Path, name: str) -> dict[int, float]:
    """The last value of each step, over all event files of a run."""
    found: dict[int, float] = {}
    for file in sorted(run.glob("events.*"), key=lambda path: path.stat().st_mtime):
        events = EventAccumulator(str(file)).Reload()
        if name in events.Tags()["scalars"]:
            found |= {event.step: event.value for event in events.Scalars(name)}
    return found


def assert_same(run: Path, whole: Path) -> None:
    one, other = checkpoint(run), checkpoint(whole)
    assert one["global_step"] == other["global_step"]
    assert one["epoch"] == other["epoch"]
    assert one["lr_schedulers"] == other["lr_schedulers"]
    torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0)
    torch.testing.assert_close(one["optimizer_states"], other["optimizer_states"], rtol=0, atol=0)
    losses = logged(run, "train/loss")
    assert losses == logged(whole, "train/loss")
    assert len(losses) == other["global_step"]
