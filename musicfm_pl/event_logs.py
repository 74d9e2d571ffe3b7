"""Scalars that a run logged, read back from its TensorBoard files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

FILES = "events.out.tfevents.*"
"""How TensorBoard calls them."""
Curve = dict[int, float]
"""Value by step."""


def logged_scalars(folder: Path, names: Iterable[str]) -> dict[str, Curve]:
    """Scalars of a run by name, in the order of steps; without those that it did not log.

    A run that went on wrote several files and repeats steps: the later value is the one that counts. Which file is
    later its name says, which holds the time at which it was begun; times of change are those of the last copy.

    Args:
        folder: That holds the files themselves.
        names: As they were logged.
    """
    # Its import takes a second, which `musicfm --help` should not.
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]

    wanted, found = list(names), dict[str, Curve]()
    for file in sorted(folder.glob(FILES)):
        events = event_accumulator.EventAccumulator(str(file), size_guidance={event_accumulator.SCALARS: 0}).Reload()
        logged = events.Tags()[event_accumulator.SCALARS]
        for name in wanted:
            if name in logged:
                found.setdefault(name, {}).update({event.step: event.value for event in events.Scalars(name)})
    return {name: dict(sorted(curve.items())) for name, curve in found.items()}
