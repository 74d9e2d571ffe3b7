"""The one annotation type: labelled stretches (or instants) of time, in seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, eq=False)
class Spans:
    """Labelled spans of time in the order of their starts; an event (a beat) is a span of no length.

    Attributes:
        starts_s: Start times in seconds, float64, shape (S,).
        ends_s: End times in seconds, float64, shape (S,); equal to the start for events.
        labels: One label a span.
    """

    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    labels: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts_s", np.asarray(self.starts_s, dtype=np.float64).reshape(-1))
        object.__setattr__(self, "ends_s", np.asarray(self.ends_s, dtype=np.float64).reshape(-1))
        object.__setattr__(self, "labels", tuple(self.labels))
        if not len(self.starts_s) == len(self.ends_s) == len(self.labels):
            raise ValueError(
                f"Spans needs as many starts as ends and labels, "
                f"got {len(self.starts_s)}, {len(self.ends_s)}, {len(self.labels)}"
            )

    @classmethod
    def of(cls, rows: Iterable[tuple[float, float, str]]) -> Spans:
        """Spans from rows of (start in s, end in s, label)."""
        columns = list(zip(*rows, strict=True)) or [(), (), ()]
        return cls(np.asarray(columns[0]), np.asarray(columns[1]), tuple(columns[2]))

    @classmethod
    def events(cls, times_s: ArrayLike, labels: Iterable[str]) -> Spans:
        """Instants, such as beats, from their times in seconds."""
        return cls(np.asarray(times_s), np.asarray(times_s), tuple(labels))

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[tuple[float, float, str]]:
        return zip(self.starts_s.tolist(), self.ends_s.tolist(), self.labels, strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Spans):
            return NotImplemented
        return (
            self.labels == other.labels
            and np.array_equal(self.starts_s, other.starts_s)
            and np.array_equal(self.ends_s, other.ends_s)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def intervals_s(self) -> NDArray[np.float64]:
        """Starts and ends as mir_eval wants them, shape (S, 2)."""
        return np.stack([self.starts_s, self.ends_s], axis=1)

    def slice(self, a_s: float, b_s: float) -> Spans:
        """What lies in [a_s, b_s), cut at its edges, with times counted from `a_s`."""
        is_event = self.starts_s == self.ends_s
        inside = np.where(
            is_event,
            (self.starts_s >= a_s) & (self.starts_s < b_s),
            (self.starts_s < b_s) & (self.ends_s > a_s),
        )
        return Spans(
            np.clip(self.starts_s[inside], a_s, b_s) - a_s,
            np.clip(self.ends_s[inside], a_s, b_s) - a_s,
            tuple(label for label, keep in zip(self.labels, inside, strict=True) if keep),
        )
