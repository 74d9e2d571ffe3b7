"""Notes to audio: a General MIDI soundfont and a synthesiser, both from PyPI; or a soundfont of the user's."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

import midirenderer
import numpy as np
import pretty_midi
import soundfile
import soxr
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE

NOISE_FLOOR_DBFS = -60.0
"""Level of the faint white noise under every render, as a recording has it. Digital silence lies at -100 dB in the
log-mel, far below any recording: with one mean and one standard deviation for all bands it would decide most tokens.
"""
SOUNDFONT = "TimGM6mb"
"""That of the renderer (`TimGM6mb.sf2`, GPL-2, shipped with pretty_midi), as licences and notes of corpora name it."""


@dataclass(frozen=True)
class Note:
    """One note, in seconds, MIDI pitch and MIDI velocity."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int = 90


@dataclass
class Part:
    """Notes of one instrument: a General MIDI program from 0, or the drum kit."""

    program: int
    notes: list[Note] = field(default_factory=list)
    is_drum: bool = False


@cache
def _soundfont(path: Path | None) -> bytes:
    if path is None:
        return (files("pretty_midi") / f"{SOUNDFONT}.sf2").read_bytes()
    return path.expanduser().read_bytes()


def check_soundfont(path: Path | None) -> None:
    """Looks whether a file is a soundfont, by its first bytes.

    Args:
        path: Of the file; None for the renderer's own.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no SoundFont 2.
    """
    if path is None:
        return
    if not path.expanduser().is_file():
        raise FileNotFoundError(
            f"corpus.soundfont: there is no file {path}; name a General MIDI soundfont (.sf2), or leave it out for "
            f"{SOUNDFONT}"
        )
    with path.expanduser().open("rb") as file:
        head = file.read(12)
    if (head[:4], head[8:]) != (b"RIFF", b"sfbk"):
        raise ValueError(
            f"corpus.soundfont: {path} is no SoundFont 2 file (.sf2); unpack a compressed one (.sf3) first"
        )


def render(parts: Sequence[Part], duration_s: float, soundfont: Path | None = None) -> NDArray[np.float32]:
    """Mono float32 audio at `SAMPLE_RATE`, exactly `duration_s` long, with its peak at -1 dBFS.

    The same notes give the same samples, the noise floor included.

    Args:
        parts: What is played.
        duration_s: Length of the audio in seconds.
        soundfont: A General MIDI soundfont; None for the renderer's own.
    """
    midi = pretty_midi.PrettyMIDI(resolution=960)
    for part in parts:
        instrument = pretty_midi.Instrument(program=part.program, is_drum=part.is_drum)
        instrument.notes = [
            pretty_midi.Note(velocity=note.velocity, pitch=note.pitch, start=note.start_s, end=note.end_s)
            for note in part.notes
        ]
        midi.instruments.append(instrument)
    buffer = io.BytesIO()
    midi.write(buffer)
    wave = midirenderer.render_wave_from(_soundfont(soundfont), buffer.getvalue())
    stereo, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
    mono = soxr.resample(stereo.mean(axis=1), rate, SAMPLE_RATE)
    num_samples = round(duration_s * SAMPLE_RATE)
    audio = np.zeros(num_samples, dtype=np.float32)
    audio[: min(num_samples, len(mono))] = mono[:num_samples]
    peak = np.abs(audio).max(initial=0.0)
    if peak > 0:
        audio *= np.float32(10 ** (-1 / 20) / peak)
    noise = np.random.default_rng(zlib.crc32(buffer.getvalue()))
    audio += noise.standard_normal(num_samples, dtype=np.float32) * np.float32(10 ** (NOISE_FLOOR_DBFS / 20))
    return np.clip(audio, -1.0, 1.0)
