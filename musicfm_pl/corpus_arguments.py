"""What a corpus that the command line names has to be told, and was not."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Sequence

from docstring_parser import parse


def require(class_path: str, flag: str, arguments: Sequence[str]) -> None:
    """Refuses a corpus whose arguments without defaults are not all given.

    Args:
        class_path: Of the corpus.
        flag: The option that names it: "--corpus", "--data.corpus".
        arguments: Of the command line. Options of one part may be left out where it asks for help, or names a file.

    Raises:
        ValueError: One is missing; the message names its option and says what it is.
    """
    given = {argument.partition("=")[0].replace(".init_args", "") for argument in arguments}
    if any(option.endswith(("-h", "--help", ".help")) or option == "--config" for option in given):
        return
    module, _, name = class_path.rpartition(".")
    corpus = getattr(importlib.import_module(module), name)
    parameters = inspect.signature(corpus).parameters.values()
    needed = [one.name for one in parameters if one.default is one.empty]
    lacking = [one for one in needed if f"{flag}.{one}" not in given]
    if lacking:
        # What a class says of an argument goes before what its bases say.
        documented = [one for base in reversed(inspect.getmro(corpus)) for one in parse(base.__doc__ or "").params]
        told = {one.arg_name: " ".join((one.description or "").split()) for one in documented}
        lines = [f"\n  {flag}.{one} {one.upper()}    {told.get(one, '')}" for one in lacking]
        options = " and ".join(f"{flag}.{one}" for one in lacking)
        raise ValueError(f"{module.rpartition('.')[2]} needs {options}; add{''.join(lines)}")
