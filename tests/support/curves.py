"""What a run logged to TensorBoard."""

from __future__ import annotations

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def scalars(run: Path) -> dict[str, dict[int, float]]:
    """By name and step, over all event files of a run; the last one wins."""
    found: dict[str, dict[int, float]] = {}
    for file in sorted(run.glob("events.*"), key=lambda path: path.stat().st_mtime):
        events = EventAccumulator(str(file)).Reload()
        for name in events.Tags()["scalars"]:
            found.setdefault(name, {}).update({event.step: event.value for event in events.Scalars(name)})
    return found
