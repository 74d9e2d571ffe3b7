"""Short files of sound for miniatures of data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile


def write_sound(path: Path, seconds: float = 2.0) -> Path:
    """A file of noise at 8 kHz, in the format that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = np.random.default_rng(0).normal(0, 0.1, round(8000 * seconds)).astype(np.float32)
    soundfile.write(path, samples, 8000)
    return path


def write_text(path: Path, text: str) -> Path:
    """A text file, with line ends as they are given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path
