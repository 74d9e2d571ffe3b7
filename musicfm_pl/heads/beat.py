"""Beats and downbeats: 50 frames a second, decoded jointly, scored as the field does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Metrics, Scores
from musicfm_pl.heads.beat_decoders import decode_beats
from musicfm_pl.heads.beat_rules import Activations, Average, BeatRules, Decoder, Tool
from musicfm_pl.heads.beat_scores import Hits, beat_figures, f_measure
from musicfm_pl.heads.losses import binary_cross_entropy_of_known, shift_tolerant_cross_entropy_of_known
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
        context_layers: Dilated convolutions that let a frame know what comes before and after: n of them reach
            2^n - 1 frames of 20 ms; 6 see more than a second to each side, so the beats beside one. 0 leaves all
            context to the encoder, as in the study.
        decoder: `dbn` is madmom's dynamic Bayesian network over beats and downbeats; `two_dbns` are two of its
            networks over beats alone, one of them for downbeats (MARBLE); `minimal` is beat_this's: the
            largest within 60 ms and above one half, downbeats moved to the nearest beat.
        activations: What `dbn` takes for a beat that is no downbeat: `subtracted` (beat_this) or `normalised`
            (all-in-one).
        beats_per_bar: Bar lengths `dbn` chooses from, one for a whole track. 3 and 4 are beat_this's and
            all-in-one's; classical music wants 2 and 6 as well. The study does not say.
        min_bpm: Slowest tempo of a DBN, in beats a minute (madmom's and beat_this's).
        max_bpm: Fastest tempo of a DBN (madmom's and beat_this's).
        min_downbeat_bpm: Slowest downbeats of `two_dbns`, in bars a minute (MARBLE's).
        max_downbeat_bpm: Fastest downbeats of `two_dbns` (MARBLE's).
        transition_lambda: How much a DBN prefers a steady tempo (madmom's and beat_this's).
        widen_frames: Frames beside a beat that are targets too, halving with each (all-in-one: 1; MARBLE: 2);
            None for 1, or 0 with a shift-tolerant loss.
        shift_tolerance: Frames by which a beat may be early or late without loss (beat_this: 3); its targets
            are not widened.
        beat_weight: By how much a frame with a beat counts more in the loss; above 1 activations grow.
        downbeat_weight: The same of downbeats.
        trim_s: Beats before this time are not scored (the field's 5 s, `mir_eval.beat.trim_beats`).
        window_s: How far a beat may lie from its reference for the F-measure (the field's 70 ms).
        average: F-measures of the set are means over `tracks`, or of all `beats` together (MARBLE).
        tool: Whose CMLt and AMLt: `mir_eval`, or `madmom` (all-in-one).
    """

    task: ClassVar[str] = "beat"
    kind: ClassVar[Kind] = "beat"
    rate_hz: ClassVar[float | None] = _RATE_HZ
    headline: ClassVar[tuple[str, ...]] = ("beat_f", "downbeat_f")

    rules: BeatRules
    positive_weight: Tensor

    def __init__(
        self,
        dim: int,
        hidden_dim: int = 512,
        dropout: float = 0.2,
        context_layers: int = 0,
        decoder: Decoder = "dbn",
        activations: Activations = "subtracted",
        beats_per_bar: tuple[int, ...] = (3, 4),
        min_bpm: float = 55.0,
        max_bpm: float = 215.0,
        min_downbeat_bpm: float = 18.0,
        max_downbeat_bpm: float = 72.0,
        transition_lambda: float = 100.0,
        widen_frames: int | None = None,
        shift_tolerance: int = 0,
        beat_weight: float = 1.0,
        downbeat_weight: float = 1.0,
        trim_s: float = 5.0,
        window_s: float = 0.07,
        average: Average = "tracks",
        tool: Tool = "mir_eval",
    ) -> None:
        super().__init__(dim, 2, hidden_dim, dropout, context_layers)
        self.rules = BeatRules(
            decoder=decoder,
            activations=activations,
            beats_per_bar=beats_per_bar,
            min_bpm=min_bpm,
            max_bpm=max_bpm,
            min_downbeat_bpm=min_downbeat_bpm,
            max_downbeat_bpm=max_downbeat_bpm,
            transition_lambda=transition_lambda,
            trim_s=trim_s,
            window_s=window_s,
            average=average,
            tool=tool,
        )
        if widen_frames is None:
            widen_frames = 0 if shift_tolerance else 1
        if widen_frames < 0:
            raise ValueError(f"head.widen_frames must not be negative, got {widen_frames}")
        if shift_tolerance < 0 or (shift_tolerance and widen_frames):
            raise ValueError(
                f"head.shift_tolerance must not be negative and goes with head.widen_frames 0, "
                f"got {shift_tolerance} and {widen_frames}"
            )
        self.widen_frames = widen_frames
        self.shift_tolerance = shift_tolerance
        self.register_buffer("positive_weight", torch.tensor([beat_weight, downbeat_weight]), persistent=False)

    def targets(self, reference: Spans, duration_s: float) -> Tensor:
        """Beat and downbeat, (N, 2) in [0, 1]; NaN where a beat may be a downbeat, as its position in the bar is "?".

        Where no beat has a position nothing is known of downbeats. Else all that is unknown lies around those beats.
        """
        num_frames = self.num_frames(duration_s)
        # The last frame takes the beats that round to the frame after it.
        frames = np.minimum(np.rint(reference.starts_s * _RATE_HZ).astype(np.intp), num_frames - 1)
        target_N2 = np.stack(
            [
                smeared_events(chosen, num_frames, self.widen_frames)
                for chosen in (frames, frames[_has(reference, "1")])
            ],
            axis=1,
        )
        unknown = _has(reference, "?")
        if unknown.any():
            reach = max(self.widen_frames, 2 * self.shift_tolerance)
            near_N = smeared_events(frames[unknown], num_frames, reach) > 0
            target_N2[(near_N | unknown.all()) & (target_N2[:, 1] == 0), 1] = np.nan
        return torch.from_numpy(target_N2)

    def loss(self, logits_BNK: Tensor, targets_BNJ: Tensor) -> Tensor:
        """Mean binary cross-entropy of both, tolerant of shifts if so set."""
        if self.shift_tolerance:
            return shift_tolerant_cross_entropy_of_known(
                logits_BNK, targets_BNJ, self.shift_tolerance, self.positive_weight
            )
        return binary_cross_entropy_of_known(logits_BNK, targets_BNJ, self.positive_weight)

    def perfect_logits(self, targets_NJ: Tensor) -> Tensor:
        """The logit of each target, within ±10; -10 for downbeats that are not known."""
        return targets_NJ.nan_to_num(0.0).logit(eps=4.5e-5)

    def decode(self, logits_NK: NDArray[np.float32], duration_s: float) -> Estimate:
        """Beats, labelled by position in the bar; "?" where it is not known."""
        frames, positions, downbeats = decode_beats(logits_NK, self.rules, _RATE_HZ)
        # Frames are counted to the nearest, so the last may lie past the end by less than one.
        times_s, downbeats_s = (
            np.minimum((np.zeros(0) if found is None else found) / _RATE_HZ, duration_s)
            for found in (frames, downbeats)
        )
        return Estimate(
            Spans.events(times_s, ["?" if number == 0 else str(number) for number in positions]),
            downbeats=None if downbeats is None else Spans.events(downbeats_s, ["1"] * len(downbeats)),
        )

    def score(self, references: Sequence[Spans], estimates: Sequence[Estimate], durations_s: Sequence[float]) -> Scores:
        """F-measure, CMLt and AMLt of beats and downbeats over tracks that have them.

        Downbeats found within the window of a beat whose position is "?" are neither right nor wrong.
        F-measures are averaged as `rules.average` says; CMLt and AMLt are always means over tracks.
        """
        tracks: list[dict[str, float | None]] = []
        weights: list[dict[str, float]] = []
        hits: dict[str, list[Hits]] = {"beat": [], "downbeat": []}
        for reference, estimate in zip(references, estimates, strict=True):
            found = estimate.spans
            pairs = {"beat": (reference.starts_s, found.starts_s)}
            unknown = _has(reference, "?")
            if not unknown.any() or not unknown.all():
                own = found.starts_s[_has(found, "1")] if estimate.downbeats is None else estimate.downbeats.starts_s
                gaps_s = np.abs(own[:, None] - reference.starts_s[unknown])
                own = own[gaps_s.min(axis=1, initial=np.inf) > self.rules.window_s]
                pairs["downbeat"] = (reference.starts_s[_has(reference, "1")], own)
            weights.append({})
            track: dict[str, float | None] = {f"{what}_{name}": None for what in hits for name in ("f", "cmlt", "amlt")}
            for what, (reference_s, estimate_s) in pairs.items():
                figures, counted = beat_figures(reference_s, estimate_s, self.rules)
                track |= {f"{what}_{name}": value for name, value in figures.items()}
                hits[what].append(counted)
                if self.rules.average == "beats":
                    weights[-1][f"{what}_f"] = float(counted.true + counted.found)
            tracks.append(track)
        names = [f"{what}_{figure}" for what in hits for figure in ("f", "cmlt", "amlt")]
        summary = {name: mean_of_defined([track[name] for track in tracks]) for name in names}
        if self.rules.average == "beats":
            summary |= {f"{what}_f": f_measure(counted) for what, counted in hits.items()}
        return Scores(summary, tracks, self._notes(tracks), weights)

    def _notes(self, tracks: Sequence[Metrics]) -> list[str]:
        notes = [self.rules.scored()]
        why = {
            "beat": "which have no beat that is scored",
            "downbeat": "whose positions in the bar are not known, or which have no downbeat that is scored",
        }
        for what, reason in why.items():
            undefined = sum(track[f"{what}_f"] is None for track in tracks)
            if undefined:
                notes.append(f"{what} figures leave out {undefined} of {len(tracks)} tracks, {reason}.")
        return notes


def _has(spans: Spans, label: str) -> NDArray[np.bool_]:
    return np.array([one == label for one in spans.labels], dtype=bool)
