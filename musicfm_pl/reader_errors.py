"""Errors of the processes that read clips: which say what was wrong there, and which that a process is gone."""

from __future__ import annotations

import re

_PASSED_ON = re.compile(r"Caught \w+ in DataLoader worker process[^\n]*\nOriginal Traceback")
"""How torch begins the text of an error that it raises again: the whole traceback follows (`ExceptionWrapper`)."""
_DEATH = re.compile(r"DataLoader worker \(pid(\(s\))? [\d, ]+\) (exited unexpectedly|is killed by signal)")


def is_passed_on(error: BaseException) -> bool:
    """Whether an error was raised by a process that reads clips, and by torch once more here."""
    return _PASSED_ON.match(str(error)) is not None


def is_death(error: BaseException) -> bool:
    """Whether an error says that a process that reads clips has gone without a word."""
    # Whichever comes first: that the process is gone, or that its pipe is.
    lost_pipe = isinstance(error, ConnectionResetError) and "DataLoader worker process" not in str(error)
    return lost_pipe or _DEATH.match(str(error)) is not None


def in_own_words(text: str) -> str:
    """What an error said where it was raised, without the traceback that torch puts before it; other text as it is."""
    if not _PASSED_ON.match(text):
        return text
    lines = text.rpartition("Traceback (most recent call last):\n")[2].splitlines()
    while lines and lines[0].startswith("  "):  # where it was raised
        del lines[0]
    return re.sub(r"^[\w.]+: ", "", "\n".join(lines))
