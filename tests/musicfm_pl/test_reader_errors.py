"""What is said of errors in the processes that read clips: each is raised in a real one, and comes here by torch."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from torch.utils.data import DataLoader, Dataset

from data_modules.blocks import BadRecord
from musicfm_pl.reader_errors import in_own_words, is_death, is_passed_on


class Broken(Dataset[int]):
    def __init__(self, fail: Callable[[], None]) -> None:
        self.fail = fail

    def __len__(self) -> int:
        return 1

    def __getitem__(self, item: int) -> int:
        self.fail()
        return item


def bad_record() -> None:
    try:
        raise OSError("underneath: it was the disk")
    except OSError as error:
        raise BadRecord("00000.pcm: the checksum does not fit") from error


def not_text() -> None:
    b"\xff".decode()


def two_lines() -> None:
    raise OSError("first: line\n  and another")


def lookalike() -> None:
    raise RuntimeError("a DataLoader worker (pid 1) exited unexpectedly, it said")


def reset() -> None:
    raise ConnectionResetError("by the far server")


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raised_by(fail: Callable[[], None]) -> Exception:
    with pytest.raises(Exception) as raised:
        list(DataLoader(Broken(fail), num_workers=1))
    return raised.value


@pytest.mark.parametrize(
    ("fail", "kind", "said"),
    [
        (bad_record, BadRecord, "00000.pcm: the checksum does not fit"),
        (not_text, RuntimeError, "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
        (two_lines, OSError, "first: line\n  and another"),
        (lookalike, RuntimeError, "a DataLoader worker (pid 1) exited unexpectedly, it said"),
        (reset, ConnectionResetError, "by the far server"),
    ],
)
def test_what_was_wrong_is_said_as_it_was_there(fail: Callable[[], None], kind: type[Exception], said: str) -> None:
    error = raised_by(fail)
    assert type(error) is kind
    assert is_passed_on(error) and not is_death(error)
    assert in_own_words(str(error)) == said


def test_a_death_is_one() -> None:
    error = raised_by(killed)
    assert is_death(error) and not is_passed_on(error)
    assert in_own_words(str(error)) == str(error)
    assert is_death(ConnectionResetError(104, "Connection reset by peer"))


def test_other_errors_are_left_alone() -> None:
    for error in (ValueError("data.root: no such folder"), RuntimeError("Caught in the act"), RuntimeError("")):
        assert not is_death(error) and not is_passed_on(error)
        assert in_own_words(str(error)) == str(error)
