"""Blocks of ten seconds, in which prepared audio is stored: as int16 PCM, or each as a FLAC stream of its own."""

from __future__ import annotations

import abc
import io
from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np
import soundfile
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE

BLOCK_N = 10 * SAMPLE_RATE
"""Samples of a block; the last of a track may have fewer. So long, FLAC streams lose nothing by being independent,
and a crop of 30 s decodes a sixth more than it keeps."""

Format = Literal["int16", "flac"]


class BadRecord(ValueError):
    """Stored audio that is not what was written: cut short, changed, or undecodable. Training sets it aside."""


class Encoding(abc.ABC):
    """How the samples of a block become bytes. Subclasses are final and have no state."""

    suffix: ClassVar[str]
    """Of the names of shard files."""

    @abc.abstractmethod
    def encode(self, samples_N: NDArray[np.int16]) -> bytes:
        """One block of at most `BLOCK_N` samples."""

    @abc.abstractmethod
    def decode(self, block: memoryview, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """Fills an array with the samples of a block from one on.

        Raises:
            BadRecord: The block does not hold so many.
        """


@final
class Pcm(Encoding):
    """Little-endian int16: the fastest to read."""

    suffix = ".pcm"

    def encode(self, samples_N: NDArray[np.int16]) -> bytes:
        """See `Encoding.encode`."""
        return samples_N.astype("<i2").tobytes()

    def decode(self, block: memoryview, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """See `Encoding.decode`."""
        wanted = 2 * (first_sample + len(samples_N))
        if len(block) < wanted:
            raise BadRecord(f"a block of {len(block)} bytes where {wanted} are needed")
        samples_N[:] = np.frombuffer(block, dtype="<i2", count=len(samples_N), offset=2 * first_sample)


@final
class Flac(Encoding):
    """A FLAC stream a block, end to end: lossless in about 60 % of the bytes."""

    suffix = ".flacs"

    def encode(self, samples_N: NDArray[np.int16]) -> bytes:
        """See `Encoding.encode`."""
        file = io.BytesIO()
        soundfile.write(file, samples_N, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
        return file.getvalue()

    def decode(self, block: memoryview, first_sample: int, samples_N: NDArray[np.int16]) -> None:
        """See `Encoding.decode`; what lies before the first sample wanted is skipped, not decoded."""
        try:
            with soundfile.SoundFile(io.BytesIO(block)) as file:
                if file.channels != 1:
                    raise BadRecord(f"a FLAC block of {file.channels} channels")
                if first_sample:
                    file.seek(first_sample)
                found = len(file.read(out=samples_N))
        except soundfile.SoundFileError as error:
            raise BadRecord(f"a block that is not FLAC ({error})") from error
        if found < len(samples_N):
            raise BadRecord(
                f"a FLAC block of {first_sample + found} samples where {first_sample + len(samples_N)} are needed"
            )


FORMATS: dict[Format, Encoding] = {"int16": Pcm(), "flac": Flac()}
_BY_SUFFIX = {encoding.suffix: encoding for encoding in FORMATS.values()}
SUFFIXES = tuple(_BY_SUFFIX)
"""Of shard files."""


def encoding_of(shard: str) -> Encoding:
    """The encoding of a shard file, by the end of its name."""
    return _BY_SUFFIX[shard[shard.rindex(".") :]]


def cut_up(samples_N: NDArray[np.int16]) -> Sequence[NDArray[np.int16]]:
    """A track in blocks; one without samples has none."""
    return [samples_N[first : first + BLOCK_N] for first in range(0, len(samples_N), BLOCK_N)]
