"""Damaged records in training: set aside, said, counted, and beyond a share of all clips the end of the run."""

from __future__ import annotations

import logging
from collections.abc import Sequence

_log = logging.getLogger(__name__)

_LEAST = 1000
"""Clips from which the share counts; among fewer, as many damaged ones are allowed as among these."""
_SAID = 20
"""Damaged records that are named, one a line; of the rest there is the count."""


class Damage:
    """What one process has met so far.

    Args:
        max_share: Of all clips, how many may be in damaged records.
        setting: By which the user sets it.

    Raises:
        ValueError: The share is none.
    """

    def __init__(self, max_share: float = 0.01, setting: str = "data.max_damaged") -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f"{setting} must lie in [0, 1], got {max_share}")
        self.max_share = max_share
        self.setting = setting
        self.clips = 0
        self.damaged = 0
        self.records: dict[str, int] = {}

    def count(self, num_clips: int, problems: Sequence[str], instead: str = "another takes its place") -> None:
        """Takes account of a batch.

        Args:
            num_clips: Of the batch.
            problems: Why clips of it were set aside.
            instead: What is done about each.

        Raises:
            ValueError: There are too many; the message says how many, and why the last one was.
        """
        self.clips += num_clips
        self.damaged += len(problems)
        for problem in problems:
            self.records[problem] = self.records.get(problem, 0) + 1
            if self.records[problem] == 1 and len(self.records) <= _SAID:
                more = "; of further ones there will be the count alone" if len(self.records) == _SAID else ""
                _log.warning("a clip was set aside, %s: %s%s", instead, problem, more)
        if self.damaged > self.max_share * max(self.clips, _LEAST):
            raise ValueError(
                f"{self.setting}: {self.damaged} of {self.clips} clips were set aside, which is more than "
                f"{self.max_share:.3g} of them (the last: {problems[-1] if problems else list(self.records)[-1]}); "
                f"repair the data, or allow a larger share"
            )

    def summary(self) -> None:
        """Says what was set aside in all, if anything was."""
        if self.damaged:
            _log.warning(
                "%d of %d clips were set aside, in %d damaged records", self.damaged, self.clips, len(self.records)
            )
