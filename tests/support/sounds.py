"""Short files of sound, and of text, for miniatures of data sets."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

DURATION_S = 2.0


def write_sound(path: Path, seconds: float = DURATION_S, rate: int = 8000) -> Path:
    """A file of noise in two channels; the suffix of its name decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix.removeprefix(".").upper(), seconds, rate))
    return path


@cache
def _encoded(suffix: str, seconds: float, rate: int) -> bytes:
    """Encoding takes far longer than writing: once for each format."""
    samples = np.random.default_rng(0).normal(0, 0.1, (round(rate * seconds), 2)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=suffix)
    return file.getvalue()


def write_text(path: Path, text: str) -> Path:
    """A text file, with line ends as they are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path
