"""Audio files as they lie on a user's disk, each as one whole track, for prediction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.clips import Clip


class AudioFiles(Dataset[Clip]):
    """Whole files, decoded when they are asked for; a file that cannot be read raises `BadTrack`."""

    def __init__(self, files: Sequence[Path]) -> None:
        missing = [str(file) for file in files if not file.is_file()]
        if missing:
            raise FileNotFoundError(f"data.files: no such file: {', '.join(missing)}")
        self.files = list(files)

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, item: int) -> Clip:
        waveform_N = read_audio(self.files[item])
        samples = np.round(np.clip(waveform_N, -1.0, 1.0) * 32767.0).astype(np.int16)
        return Clip(torch.from_numpy(samples), item, str(self.files[item]), 0.0, len(samples) / SAMPLE_RATE, {})
