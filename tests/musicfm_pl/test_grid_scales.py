"""Scales of a grid, and axes whose values stand for several things at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from musicfm_pl.cells import GridError, read_grid

GRID = """\
root: runs/{scale}
scales: [small, large]
stages:
  - run: "{length}s/seed{seed}"
    axes:
      seed: {small: [0, 1], large: [7]}
      clip: [{length: 5, batch: 6}, {length: 10, batch: 3}]
    commands: ["fit --scale {scale} --batch {batch} --run_dir {run_dir}"]
"""


def cells(tmp_path: Path, text: str, scale: str | None = None) -> list[tuple[str, tuple[str, ...]]]:
    file = tmp_path / "grid.yaml"
    file.write_text(text)
    return [(cell.run_dir.as_posix(), cell.commands[0]) for cell in read_grid(file, scale)]


def test_each_scale_has_its_own_values_and_names_vary_together(tmp_path: Path) -> None:
    small = cells(tmp_path, GRID)
    assert [run for run, _ in small] == [f"runs/small/{s}s/seed{n}" for n in (0, 1) for s in (5, 10)]
    assert small[1][1] == ("fit", "--scale", "small", "--batch", "3", "--run_dir", "runs/small/10s/seed0")
    assert cells(tmp_path, GRID, "small") == small
    assert [run for run, _ in cells(tmp_path, GRID, "large")] == ["runs/large/5s/seed7", "runs/large/10s/seed7"]


@pytest.mark.parametrize(
    ("change", "scale", "message"),
    [
        (("", ""), "middle", "grid.yaml: no scale middle; it has small, large"),
        (("scales: [small, large]\n", ""), None, r"root: unknown placeholder \{scale\}; known are none"),
        (("scales: [small, large]\n", ""), "small", "grid.yaml: no scale small; it has none"),
        ((", large: [7]", ""), "large", r"axes.seed: says nothing of the scale large"),
        (("length: 10, batch: 3", "length: 10"), None, r"axes.clip: its values do not all have the keys length, batch"),
        (("{length: 5, batch: 6}", "{length: [5], batch: 6}"), None, r"axes.clip: \[5\] is neither text nor a number"),
        (("clip: [{length: 5, batch: 6}", "clip: [{length: 5, seed: 6}"), None, "do not all have the keys"),
        (("large: [7]", "large: [7], huge: [8]"), None, r"axes.seed: huge is no scale of this grid"),
        (("batch", "seed"), None, r"axes.clip: seed is there twice"),
        (("batch", "scale"), None, r"'scale' cannot name an axis"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, change: tuple[str, str], scale: str | None, message: str) -> None:
    with pytest.raises(GridError, match=message):
        cells(tmp_path, GRID.replace(*change), scale)
