"""The chunks of litdata hold the same audio: the same clips, the same runs, and damage is told all the same."""

from __future__ import annotations

import importlib.util
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import command
import numpy as np
import pytest
from same_run import assert_same

from data_modules.blocks import BLOCK_N, BadRecord
from data_modules.shards import Prepared

needs_litdata = pytest.mark.skipif(
    importlib.util.find_spec("litdata") is None,
    reason="litdata is an optional extra and not installed: pip install -e '.[litdata]'",
)
STEPS = 4


@pytest.fixture(params=["prepared", "prepared_flac"])
def pair(request: pytest.FixtureRequest, once: Callable[[str, Callable[[Path], object]], Path]) -> tuple[Path, Path]:
    """A prepared folder, and its copy in small chunks. Not to be changed."""
    folder: Path = request.getfixturevalue(request.param)
    convert = ("to_litdata", "--root", folder, "--chunk_mb", "1", "--out")
    return folder, once(f"litdata_{request.param}", lambda out: command.succeed(*convert, out))


@needs_litdata
def test_every_crop_is_the_same(pair: tuple[Path, Path]) -> None:
    near, copy = (Prepared(folder) for folder in pair)
    elsewhere = pickle.loads(pickle.dumps(copy))
    assert len(list(pair[1].glob("chunk-*.bin"))) > 2
    assert not (pair[1] / "shards").exists()
    for row in reversed(range(len(near.entries))):
        ours, theirs = copy.entries[row], near.entries[row]
        assert (ours.track_id, ours.split, ours.labels) == (theirs.track_id, theirs.split, theirs.labels)
        for first, length in ((0, 10**7), (BLOCK_N - 3, 7), (100, 2 * BLOCK_N), (theirs.num_samples - 5, 50)):
            np.testing.assert_array_equal(copy.read(ours, first, length), near.read(theirs, first, length))
        np.testing.assert_array_equal(elsewhere.read(ours, BLOCK_N, 9), near.read(theirs, BLOCK_N, 9))


@needs_litdata
def test_a_run_is_the_same_and_goes_on(pair: tuple[Path, Path], tmp_path: Path) -> None:
    often = ("--checkpoint.every_n_train_steps", "1")
    command.succeed("fit", *command.pretraining(pair[0], tmp_path / "shards", STEPS, *often))
    arguments = command.pretraining(pair[1], tmp_path / "litdata", STEPS, *often)
    stop = ("--trainer.callbacks+=interruptions.InterruptAt", "--trainer.callbacks.step", "3")
    assert command.fail("fit", *arguments, *stop, "--data.num_workers", "2")[0] == 1
    command.succeed("fit", *arguments)
    assert_same(tmp_path / "litdata", tmp_path / "shards")


@needs_litdata
@pytest.mark.parametrize("how", ["a bit flipped", "cut short", "gone"])
def test_damage_is_told(prepared: Path, tmp_path: Path, how: str) -> None:
    command.succeed("to_litdata", "--root", prepared, "--out", tmp_path / "copy", "--chunk_mb", "1")
    chunk = sorted((tmp_path / "copy").glob("chunk-*.bin"))[0]
    if how == "gone":
        chunk.unlink()
    elif how == "cut short":
        os.truncate(chunk, chunk.stat().st_size // 2)
    else:
        content = bytearray(chunk.read_bytes())
        content[1000] ^= 1
        chunk.write_bytes(content)
    copy = Prepared(tmp_path / "copy")
    with pytest.raises(BadRecord, match="song0"):
        copy.read(copy.entries[0])
    near = Prepared(prepared)
    np.testing.assert_array_equal(copy.read(copy.entries[-1]), near.read(near.entries[-1]))
    code, said = command.fail("fit", *command.pretraining(tmp_path / "copy", tmp_path / "run", 2))
    assert code == 0 and (tmp_path / "run" / "results.json").exists(), said


@needs_litdata
def test_what_cannot_be_copied_is_refused(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    code, said = command.fail("to_litdata", "--root", prepared, "--out", tmp_path / "there")
    assert code == 2 and "is there already" in said
    code, said = command.fail("to_litdata", "--root", tmp_path / "nothing", "--out", tmp_path / "new")
    assert code == 2 and "is no prepared folder" in said
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_without_litdata_it_says_what_to_install(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "litdata.streaming", None)
    code, said = command.fail("to_litdata", "--root", prepared, "--out", tmp_path / "copy")
    assert code == 2
    assert "litdata is needed" in said and "pip install -e '.[litdata]'" in said
    assert not list(tmp_path.iterdir())
