"""What protocols of beat tracking differ in: decoders, tempi, trimming, averaging, the tool that scores."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, final, get_args

from musicfm_pl.heads.base import Rules

Decoder = Literal["dbn", "two_dbns", "minimal"]
Activations = Literal["subtracted", "normalised"]
Average = Literal["tracks", "beats"]
Tool = Literal["mir_eval", "madmom"]


@final
@dataclass(frozen=True)
class BeatRules(Rules):
    """How beats are decoded and scored; `Beat` says what each one is.

    Raises:
        ValueError: A value makes no sense; the message names it.
    """

    decoder: Decoder
    activations: Activations
    beats_per_bar: tuple[int, ...]
    min_bpm: float
    max_bpm: float
    min_downbeat_bpm: float
    max_downbeat_bpm: float
    transition_lambda: float
    trim_s: float
    window_s: float
    average: Average
    tool: Tool

    def __post_init__(self) -> None:
        object.__setattr__(self, "beats_per_bar", tuple(self.beats_per_bar))  # YAML has lists
        choices = {"decoder": Decoder, "activations": Activations, "average": Average, "tool": Tool}
        for name, known in choices.items():
            if (value := getattr(self, name)) not in get_args(known):
                raise ValueError(f"head.{name} must be one of {', '.join(get_args(known))}, got {value!r}")
        if not self.beats_per_bar or min(self.beats_per_bar) < 1:
            raise ValueError(
                f"head.beats_per_bar: one bar length or more, each at least 1, got {list(self.beats_per_bar)}"
            )
        for low, high in (("min_bpm", "max_bpm"), ("min_downbeat_bpm", "max_downbeat_bpm")):
            slowest, fastest = getattr(self, low), getattr(self, high)
            if not 0 < slowest < fastest:
                raise ValueError(f"head.{low} must be positive and below head.{high}, got {slowest} and {fastest}")
        if self.window_s <= 0:
            raise ValueError(f"head.window_s must be positive, got {self.window_s}")

    def decoded(self) -> str:
        """See `Rules.decoded`."""
        if self.decoder == "minimal":
            return "Decoded by peaks above one half."
        tempi = f"{self.min_bpm:g} to {self.max_bpm:g} beats a minute"
        if self.decoder == "two_dbns":
            bars = f"{self.min_downbeat_bpm:g} to {self.max_downbeat_bpm:g} downbeats a minute"
            return f"Decoded by two DBNs, one of {tempi} and one of {bars}; lambda is {self.transition_lambda:g}."
        return (
            f"Decoded by a DBN of bars of {' or '.join(map(str, self.beats_per_bar))} beats and {tempi} "
            f"from {self.activations} activations; lambda is {self.transition_lambda:g}."
        )

    def scored(self) -> str:
        """A sentence for the reader of figures: how beats were scored."""
        left_out = f"Beats before {self.trim_s:g} s are not scored" if self.trim_s else "All beats are scored"
        averages = "figures are means over tracks"
        if self.average == "beats":
            averages = "F-measures are of the beats of all tracks together, other figures means over tracks"
        window = f"F-measures allow {1000 * self.window_s:g} ms"
        return f"{left_out}; {window}; {averages}; CMLt and AMLt are {self.tool}'s."

    def decoding(self) -> Hashable:
        """See `Rules.decoding`."""
        tempi = (self.min_bpm, self.max_bpm, self.min_downbeat_bpm, self.max_downbeat_bpm, self.transition_lambda)
        return (self.decoder, self.activations, self.beats_per_bar, *tempi)
