"""Audio files to waveforms: the only file that opens audio."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import BadTrack

SUFFIXES = (".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff")
"""Of the files that `read_audio` is asked to open; libsndfile reads them by content, not by name."""

_BLOCK_S = 30
"""Read, mixed down and resampled at a time: an hour of eight channels costs no more than one."""

_STREAMED_BYTES = 0x7FFFFFFF
"""Programs that write to a pipe leave 0 or a size from here up in the header, since they cannot know it."""

_CHUNK = re.compile(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
_STDERR = threading.Lock()
"""Of two threads that put stderr aside at once, one would put back what the other had put there."""

_OGG_CUT = ("lacks an end-of-stream bit", "without an End-Of-Stream flag")


def read_audio(path: Path) -> NDArray[np.float32]:
    """The whole of an audio file as mono float32 at `SAMPLE_RATE`, shape (N,).

    Channels are averaged. What exceeds full scale (float files, lossy decoders, the resampler's overshoot) is
    brought to it by one factor for the whole file, so that nothing is clipped.

    Args:
        path: A file of any rate and any number of channels, in a format of libsndfile.

    Raises:
        BadTrack: The file cannot be opened or decoded, is cut short, or holds no samples, samples that are
            not numbers, or silence alone. The message names the file.
    """
    chunks: list[NDArray[np.float32]] = []
    num_read = 0
    try:
        with _silent_decoders(), soundfile.SoundFile(path) as file:
            rate, num_frames, log = file.samplerate, file.frames, file.extra_info
            resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ")
            while True:
                block = file.read(_BLOCK_S * rate, dtype="float32", always_2d=True)
                if not np.isfinite(block).all():
                    raise BadTrack(f"{path}: samples that are not finite numbers (NaN or infinite)")
                num_read += len(block)
                chunks.append(resampler.resample_chunk(mixed_down(block), last=len(block) == 0))
                if len(block) == 0:
                    break
    except (soundfile.SoundFileError, OSError) as error:
        raise BadTrack(f"{path}: cannot be read as audio, or is cut short ({error})") from error
    if num_read == 0:
        raise BadTrack(f"{path}: holds no samples")
    _check_whole(path, num_read, num_frames, rate, log)
    waveform_N = np.concatenate(chunks)
    peak = np.abs(waveform_N).max(initial=0.0)
    if peak == 0:
        raise BadTrack(f"{path}: silent throughout")
    return waveform_N / peak if peak > 1 else waveform_N


def mixed_down(waveform_NC: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean over channels, (N,): summed channel by channel, which takes a tenth of the time of `mean`."""
    num_channels = waveform_NC.shape[1]
    total_N = waveform_NC[:, 0].copy()
    for channel in range(1, num_channels):
        total_N += waveform_NC[:, channel]
    return total_N / np.float32(num_channels) if num_channels > 1 else total_N


class Description(NamedTuple):
    """What the header of an audio file says."""

    origin: str
    """Format, rate and channels: "MP3, 44100 Hz, 2 channels"."""
    licence: str | None
    """Its tag of the licence, or else of the copyright."""
    duration_s: float


def describe(path: Path) -> Description:
    """Reads the header of an audio file.

    Raises:
        BadTrack: It cannot be opened.
    """
    try:
        with soundfile.SoundFile(path) as file:
            channels = f"{file.channels} channel{'s' * (file.channels > 1)}"
            words = " ".join((file.license or file.copyright or "").split())
            origin = f"{file.format}, {file.samplerate} Hz, {channels}"
            return Description(origin, words or None, file.frames / file.samplerate)
    except (soundfile.SoundFileError, OSError) as error:
        raise BadTrack(f"{path}: cannot be read as audio ({error})") from error


@contextlib.contextmanager
def _silent_decoders() -> Iterator[None]:
    """Keeps from stderr what C libraries write there past Python, as mpg123 does of every damaged frame."""
    with _STDERR:
        try:
            sys.stderr.flush()
            kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        except (OSError, ValueError, AttributeError):  # a process without stderr
            yield
            return
        os.dup2(nothing, 2)
        os.close(nothing)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def _check_whole(path: Path, num_read: int, num_frames: int, rate: int, log: str) -> None:
    """Raises BadTrack for a file that is shorter than it says of itself.

    Formats say it in different ways: the header of an mp3 counts its frames; libsndfile quietly corrects the
    size of a cut wav or aiff, and misses the mark on the last page of a cut ogg, but notes both in its log.
    """
    # The length of an mp3 without a Xing header is an estimate that counts trailing tags as music.
    if num_frames - num_read > max(0.1 * rate, 0.01 * num_frames):
        raise BadTrack(
            f"{path}: cut short: {num_read / rate:.1f} s could be decoded "
            f"of the {num_frames / rate:.1f} s that it announces"
        )
    for announced, actual in ((int(a), int(b)) for a, b in _CHUNK.findall(log)):
        if actual < announced < _STREAMED_BYTES:
            raise BadTrack(f"{path}: cut short: {actual} bytes of audio where the header announces {announced}")
    if any(sign in log for sign in _OGG_CUT):
        raise BadTrack(f"{path}: cut short: the last page of the stream is missing")
