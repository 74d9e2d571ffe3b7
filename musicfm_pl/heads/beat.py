"""Beats and downbeats: 50 frames a second, decoded jointly, scored as the field does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, final

import mir_eval
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Metrics, Scores
from musicfm_pl.heads.beat_decoders import DownbeatDBN, strongest_frames
from musicfm_pl.heads.losses import binary_cross_entropy_of_known
from musicfm_pl.heads.peaks import smeared_events
from musicfm_pl.heads.timeline import mean_of_defined

_RATE_HZ = 50.0


@final
class Beat(Head):
    """Beats and downbeats: two logits a frame, "here is a beat" and "here is a downbeat" (a beat, too).

    Frame n stands for the time n / 50 s, as in madmom and beat_this.

    Args:
        dim: Width of the encoder's hidden state; the system passes it.
        hidden_dim: Width of one hidden layer; 0 for a linear head.
        dropout: Before the last layer.
        decoder: `dbn` is madmom's dynamic Bayesian network over beats and downbeats; `minimal` is
            beat_this's: the largest within 60 ms and above one half, downbeats moved to the nearest beat.
        beats_per_bar: Bar lengths the DBN chooses from, one for a whole track. 3 and 4 are beat_this's;
            classical music wants 2 and 6 as well. The study does not say.
        min_bpm: Slowest tempo of the DBN, in beats a minute (madmom's and beat_this's).
        max_bpm: Fastest tempo of the DBN (madmom's and beat_this's).
        transition_lambda: How much the DBN prefers a steady tempo (madmom's and beat_this's).
        widen_frames: Frames beside a beat that are targets too, halving with each (all-in-one: 1; MARBLE: 2).
        beat_weight: By how much a frame with a beat counts more in the loss; above 1 activations grow.
        downbeat_weight: The same of downbeats.
        trim_s: Beats before this time are not scored (the field's 5 s, `mir_eval.beat.trim_beats`).
    """

    task: ClassVar[str] = "beat"
    kind: ClassVar[Kind] = "beat"
    rate_hz: ClassVar[float | None] = _RATE_HZ
    headline: ClassVar[tuple[str, ...]] = ("beat_f", "downbeat_f")

    positive_weight: Tensor

    def __init__(
        self,
        dim: int,
        hidden_dim: int = 512,
        dropout: float = 0.2,
        decoder: Literal["dbn", "minimal"] = "dbn",
        beats_per_bar: tuple[int, ...] = (3, 4),
        min_bpm: float = 55.0,
        max_bpm: float = 215.0,
        transition_lambda: float = 100.0,
        widen_frames: int = 1,
        beat_weight: float = 1.0,
        downbeat_weight: float = 1.0,
        trim_s: float = 5.0,
    ) -> None:
        super().__init__(dim, 2, hidden_dim, dropout)
        if decoder not in ("dbn", "minimal"):
            raise ValueError(f"head.decoder must be 'dbn' or 'minimal', got {decoder!r}")
        if widen_frames < 0:
            raise ValueError(f"head.widen_frames must not be negative, got {widen_frames}")
        self.decoder = decoder
        self.widen_frames = widen_frames
        self.trim_s = trim_s
        self.dbn = DownbeatDBN(tuple(beats_per_bar), min_bpm, max_bpm, transition_lambda, _RATE_HZ)
        self.register_buffer("positive_weight", torch.tensor([beat_weight, downbeat_weight]), persistent=False)

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """Beat and downbeat, (N, 2) in [0, 1]; no downbeat is known where a position in the bar is "?"."""
        num_frames = self.num_frames(duration_s)
        # The last frame takes the beats that round to the frame after it.
        frames = np.minimum(np.rint(reference.starts_s * _RATE_HZ).astype(np.intp), num_frames - 1)
        target_N2 = np.stack(
            [
                smeared_events(chosen, num_frames, self.widen_frames)
                for chosen in (frames, frames[_is_downbeat(reference)])
            ],
            axis=1,
        )
        if "?" in reference.labels:
            target_N2[:, 1] = np.nan
        return torch.from_numpy(target_N2)

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean binary cross-entropy of both."""
        return binary_cross_entropy_of_known(logits_BNK, targets_BNJ, self.positive_weight)

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """The logit of each target, within ±10; -10 for downbeats that are not known."""
        return targets_NJ.nan_to_num(0.0).logit(eps=4.5e-5)

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """Beats, labelled by position in the bar; "?" before the first downbeat that `minimal` finds."""
        if self.decoder == "dbn":
            frames, positions = self.dbn(logits_NK)
        else:
            frames, positions = strongest_frames(logits_NK, reach=round(0.06 * _RATE_HZ))
        # Frames are counted to the nearest, so the last may lie past the end by less than one.
        times_s = np.minimum(frames / _RATE_HZ, duration_s)
        return Estimate(Spans.events(times_s, ["?" if number == 0 else str(number) for number in positions]))

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """F-measure (70 ms), CMLt and AMLt of beats and downbeats, means over tracks that have them."""
        tracks: list[Metrics] = []
        for reference, estimate in zip(references, estimates, strict=True):
            found = estimate.spans
            downbeats_s = None if "?" in reference.labels else reference.starts_s[_is_downbeat(reference)]
            tracks.append(
                {
                    **self._figures("beat", reference.starts_s, found.starts_s),
                    **self._figures("downbeat", downbeats_s, found.starts_s[_is_downbeat(found)]),
                }
            )
        names = [f"{what}_{figure}" for what in ("beat", "downbeat") for figure in ("f", "cmlt", "amlt")]
        summary = {name: mean_of_defined([track[name] for track in tracks]) for name in names}
        return Scores(summary, tracks, self._notes(tracks))

    def _figures(
        self, what: str, reference_s: NDArray[np.float64] | None, estimate_s: NDArray[np.float64]
    ) -> Mapping[str, float | None]:
        """Figures of one track; None where there is nothing to find, which mir_eval gives 0 and a warning."""
        f_measure = cmlt = amlt = None
        if reference_s is not None:
            reference_s = mir_eval.beat.trim_beats(reference_s, self.trim_s)
            estimate_s = mir_eval.beat.trim_beats(estimate_s, self.trim_s)
            if len(reference_s) > 0:
                f_measure = mir_eval.beat.f_measure(reference_s, estimate_s) if len(estimate_s) else 0.0
            if len(reference_s) > 1:
                cmlt = amlt = 0.0
                if len(estimate_s) > 1:
                    _, cmlt, _, amlt = mir_eval.beat.continuity(reference_s, estimate_s)
        figures = {"f": f_measure, "cmlt": cmlt, "amlt": amlt}
        return {f"{what}_{name}": None if value is None else float(value) for name, value in figures.items()}

    def _notes(self, tracks: Sequence[Metrics]) -> list[str]:
        notes = [f"Beats before {self.trim_s:g} s are not scored; figures are means over tracks."]
        for what in ("beat", "downbeat"):
            undefined = sum(track[f"{what}_f"] is None for track in tracks)
            if undefined:
                notes.append(f"{what} figures leave out {undefined} of {len(tracks)} tracks, which have none to find.")
        return notes


def _is_downbeat(spans: Spans) -> NDArray[np.bool_]:
    return np.array([label == "1" for label in spans.labels], dtype=bool)
