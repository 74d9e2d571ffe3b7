"""Files of data sets in miniature: text of any line ending, and audio of one tone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 8000


def text(path: Path, content: str) -> Path:
    """Writes a text as it stands, with the folders it needs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode())
    return path


def tone(path: Path, duration_s: float) -> Path:
    """Writes a tone of so many seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.3 * np.sin(0.2 * np.arange(round(duration_s * RATE))), RATE)
    return path
