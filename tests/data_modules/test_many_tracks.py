"""A worker takes as much memory for very many tracks as for few: the index is shared, the order is not its business.

The figures for a million tracks: PYTHONPATH=. python tests/support/million.py FOLDER
"""

from __future__ import annotations

import json
from pathlib import Path

import command
import million
import pytest

from data_modules import shards

_MEASURE = """
import json, sys
from pathlib import Path
import million
print(json.dumps([million.measure(Path(folder), workers=1, batches=2) for folder in sys.argv[1:]]))
"""


def test_memory_of_a_worker_is_flat(tmp_path: Path) -> None:
    few, many = tmp_path / "few", tmp_path / "many"
    million.write_many(few, 100, "int16")
    million.write_many(many, 200_000, "int16")
    done = command.python("-c", _MEASURE, few, many)
    assert done.returncode == 0, done.stderr
    small, large = json.loads(done.stdout)
    assert (small["tracks"], large["tracks"], large["clips"]) == (100, 200_000, 1_400_000)
    # A list of the tracks, or an order of the clips, in the worker alone would be tens of MB.
    assert large["worker_private_mb"] < small["worker_private_mb"] + 10
    assert large["trainer_grew_mb"] < 150


def test_pretraining_makes_no_list_of_all_tracks(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor at its end, when it records what it was validated on: a million, with their labels, are gigabytes."""

    def read_labels(file: Path) -> None:
        raise AssertionError("labels of all tracks are read")

    monkeypatch.setattr(shards, "read_labels", read_labels)
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "run", 1))
    assert json.loads((tmp_path / "run" / "results.json").read_text())["num_tracks"] == 2
