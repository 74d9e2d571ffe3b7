"""Damage in checkpoint files, of whatever kind, is told and never raised."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from musicfm_pl.checkpoint_files import damage

State = tuple[Path, bytes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> State:
    file = tmp_path_factory.mktemp("checkpoint") / "last.ckpt"
    torch.save({"weight": torch.arange(8.0), "step": 3}, file)
    return file, file.read_bytes()


@given(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
def test_flipped_bits_are_told(saved: State, flips: list[tuple[float, int]]) -> None:
    file, sound = saved
    content = bytearray(sound)
    for place, bits in flips:
        content[int(place * len(content))] ^= bits
    file.write_bytes(content)
    assert damage(file) is None or "checkpoint" in str(damage(file)) or "checksum" in str(damage(file))


def test_every_bit_of_the_directory(saved: State) -> None:
    """It says where the parts are and how they are packed: the last third of so small a file, or less."""
    file, sound = saved
    first = sound.index(b"PK\x01\x02")
    told = 0
    for place in range(first, len(sound)):
        for bit in range(8):
            content = bytearray(sound)
            content[place] ^= 1 << bit
            file.write_bytes(content)
            told += damage(file) is not None
    assert told > len(sound) - first, "most of it is looked at"
    file.write_bytes(sound)
    assert damage(file) is None


@given(st.floats(0, 1, exclude_max=True))
@example(0.0)
def test_a_file_cut_short(saved: State, share: float) -> None:
    file, sound = saved
    file.write_bytes(sound[: int(share * len(sound))])
    assert "cut short" in str(damage(file))


def test_a_file_that_cannot_be_read_is_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        damage(tmp_path / "last.ckpt")
