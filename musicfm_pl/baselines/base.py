"""What a baseline is: a published method with nothing to train, judged by the same head as everything else."""

from __future__ import annotations

import abc
import importlib
from collections.abc import Iterable
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from data_modules import SAMPLE_RATE
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head


class Baseline(abc.ABC):
    """One method for one task. Subclasses are final, one to a file that is named as the task.

    What it needs is imported when it estimates, so that a baseline is cheap to construct and to send to a process.
    """

    head: ClassVar[type[Head]]
    """The head of its task: it names the task, the kind of label and, by `judge`, the scorer."""
    name: ClassVar[str]
    """Its row in result tables, without a comma, so that every encoder is compared with it."""
    source: ClassVar[str]
    """What it is and where it was published, as one sentence for the notes of a table."""
    packages: ClassVar[tuple[str, ...]] = ("librosa",)
    """Distributions whose versions the figures depend on."""
    listens: ClassVar[bool] = True
    """Whether it needs the audio; if not, it is not worth a process."""
    not_estimated: ClassVar[tuple[str, ...]] = ()
    """Beginnings of the names of figures that it gives no estimate for: they are "not defined", and not 0."""

    def learn(self, references: Iterable[Spans]) -> None:  # noqa: B027 - most methods learn nothing
        """Sees the labels of the training split; most methods do nothing with them.

        Args:
            references: The labels of each track of the training split.

        Raises:
            ValueError: There is nothing to learn, and the method needs it.
        """

    @abc.abstractmethod
    def judge(self) -> Head:
        """The head whose `score` judges the estimates; its layers are of no account."""

    @abc.abstractmethod
    def estimate(self, waveform_N: NDArray[np.float32]) -> Estimate:
        """The estimate for a whole track.

        Args:
            waveform_N: Mono, in [-1, 1], at `data_modules.SAMPLE_RATE`; any length, silence too.
        """


def filled(waveform_N: NDArray[np.float32]) -> NDArray[np.float32]:
    """A waveform with silence behind it up to 3 s: no filter or window of librosa's is longer."""
    return np.pad(waveform_N, (0, max(0, 3 * SAMPLE_RATE - len(waveform_N))))


def imported(package: str) -> ModuleType:
    """A package that only baselines need.

    Raises:
        ImportError: It is not installed; the message says how to install it.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name != package:
            raise
        raise ImportError(f"this baseline needs {package}: pip install -e '.[baselines]'") from error
