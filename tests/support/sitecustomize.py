"""Of the processes that tests start: transformers, a dependency of tests alone, is not to be seen.

torchmetrics imports it wherever it is installed, a third of what a start of `musicfm` takes; users seldom have it.
"""

import importlib.metadata as metadata

_version = metadata.version


def _version_of_others(distribution_name: str) -> str:
    if distribution_name == "transformers":
        raise metadata.PackageNotFoundError(distribution_name)
    return _version(distribution_name)


metadata.version = _version_of_others
