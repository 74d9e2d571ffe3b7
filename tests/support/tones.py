"""Short audio files for miniatures of data sets; the suffix of the name decides the format."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

DURATION_S = 1.5


def write_tone(path: Path, rate: int = 44_100) -> Path:
    """A sine of 440 Hz in two channels, `DURATION_S` long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(path.suffix.removeprefix("."), rate))
    return path


@cache
def _encoded(suffix: str, rate: int) -> bytes:
    """Encoding takes far longer than writing: once for each format."""
    time_N = np.arange(round(DURATION_S * rate)) / rate
    file = io.BytesIO()
    soundfile.write(file, 0.3 * np.sin(2 * np.pi * 440 * time_N)[:, None].repeat(2, axis=1), rate, format=suffix)
    return file.getvalue()
