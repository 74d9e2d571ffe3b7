"""Scalars that a run logged, read back from its TensorBoard files, or from what `musicfm collect` kept of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from musicfm_pl.result_schema import ResultError

FILES = "events.out.tfevents.*"
"""How TensorBoard calls them."""
KEPT = "curves.json"
"""The same, collected: values by step, by name."""
Curve = dict[int, float]
"""Value by step."""


def folders_with_scalars(folder: Path) -> list[Path]:
    """The folder and those below it that hold either."""
    return sorted({file.parent for pattern in (FILES, KEPT) for file in folder.rglob(pattern)})


def logged_scalars(folder: Path, names: Iterable[str]) -> dict[str, Curve]:
    """Scalars of a run by name, in the order of steps; without those that it did not log.

    A run that went on wrote several files and repeats steps: the later value is the one that counts. Which file is
    later its name says, which holds the time at which it was begun; times of change are those of the last copy.

    Args:
        folder: That holds the files themselves.
        names: As they were logged.

    Raises:
        ResultError: What was kept of a run is damaged.
    """
    wanted, found = list(names), dict[str, Curve]()
    files = sorted(folder.glob(FILES))
    if not files:
        return _kept(folder / KEPT, wanted) if (folder / KEPT).exists() else {}
    # Its import takes a second, which `musicfm --help` should not.
    from tensorboard.backend.event_processing import event_accumulator  # type: ignore[import-untyped]

    for file in files:
        events = event_accumulator.EventAccumulator(str(file), size_guidance={event_accumulator.SCALARS: 0}).Reload()
        logged = events.Tags()[event_accumulator.SCALARS]
        for name in wanted:
            if name in logged:
                found.setdefault(name, {}).update({event.step: event.value for event in events.Scalars(name)})
    return {name: dict(sorted(curve.items())) for name, curve in found.items()}


def scalars_as_json(curves: Mapping[str, Curve]) -> str:
    """The text of a file of the name `KEPT`: a curve a line, in six digits, more than a drawing shows."""
    rows = (
        f"  {json.dumps(name)}: " + json.dumps({step: float(f"{value:.6g}") for step, value in curve.items()})
        for name, curve in curves.items()
    )
    return "{\n" + ",\n".join(rows) + "\n}\n"


def _kept(file: Path, names: Iterable[str]) -> dict[str, Curve]:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {name: {int(step): float(v) for step, v in kept[name].items()} for name in names if name in kept}
    except (ValueError, AttributeError, TypeError) as error:
        raise ResultError(f"{file}: no curves ({error}); collect the runs again, or remove it") from error
