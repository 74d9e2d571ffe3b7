"""Arrays in .npy files that come from strangers: read without running any code that they hold."""

from __future__ import annotations

import math
import tokenize
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

_DAMAGED = (
    ValueError,
    TypeError,
    OverflowError,
    SyntaxError,
    RecursionError,
    MemoryError,
    EOFError,
    tokenize.TokenError,
)
"""What numpy raises for headers that are none; it parses them as Python literals."""


def read_array(path: Path, expected: str) -> NDArray[Any]:
    """The array in a .npy file.

    Args:
        path: The file.
        expected: What the user should have there, for the message if it is missing.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no .npy file, is cut short, or holds pickled objects, which are code.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected {expected}")
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy notes headers that Python 2 wrote
        try:
            major, _ = npy.read_magic(file)
            read_header = npy.read_array_header_1_0 if major == 1 else npy.read_array_header_2_0
            shape, in_columns, dtype = read_header(file)
        except _DAMAGED as error:
            raise ValueError(f"{path}: is no .npy file ({error})") from error
        if dtype.hasobject:
            raise ValueError(
                f"{path}: holds pickled Python objects, and reading those runs whatever code they bring. If you "
                f"trust where it comes from, convert it once, with numpy: np.save('plain.npy', "
                f"np.load({path.name!r}, allow_pickle=True).astype(str)), with float for numbers, and put plain.npy "
                f"in its place"
            )
        content = file.read()
    size = math.prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape) or size != len(content):
        raise ValueError(f"{path}: holds {len(content)} bytes, but its header announces an array of {size}")
    if size == 0:
        raise ValueError(f"{path}: holds an empty array")
    try:
        return np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")
    except _DAMAGED as error:
        raise ValueError(f"{path}: its header describes no array ({error})") from error


def read_strings(path: Path, expected: str) -> list[str]:
    """A list of strings in a .npy file; those that Python 2 wrote are bytes, read as UTF-8.

    Raises:
        FileNotFoundError, ValueError: As `read_array`; or it is no list of strings.
    """
    array = read_array(path, expected)
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise ValueError(f"{path}: expected a list of strings, got {array.dtype} of shape {array.shape}")
    try:
        return [value.decode() if isinstance(value, bytes) else str(value) for value in array.tolist()]
    except ValueError as error:
        raise ValueError(f"{path}: a string cannot be read ({error})") from error
