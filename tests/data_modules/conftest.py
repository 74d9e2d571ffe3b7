"""What several tests of preparing need and what is worth making only once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import command
import pytest
from preparation import BEGIN


@pytest.fixture(scope="session")
def whole(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The miniature corpus, prepared with `BEGIN`. Not to be changed."""
    return once("whole", lambda out: command.succeed(*BEGIN, "--out", out))
