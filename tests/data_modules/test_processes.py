import pytest
from rich.console import Console
from small_work import die, double

from data_modules.processes import over_tracks


def test_results_come_as_they_are_ready() -> None:
    parts = [(1, (number,)) for number in range(3)]
    assert sorted(over_tracks(double, parts, float, 1, "double", Console(quiet=True))) == [0, 2, 4]


def test_a_killed_process_is_told_to_every_user_of_it() -> None:
    with pytest.raises(OSError, match=r"^double: a process was killed, most often for want of memory.*than 1$"):
        list(over_tracks(die, [(1, (0,)), (1, (1,))], float, 1, "double", Console(quiet=True)))
