"""The test of a task: whole tracks decoded and scored under every protocol at once, from the same logits."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head, Scores
from musicfm_pl.protocols.presets import CUSTOM, protocol, protocols


class Judged(NamedTuple):
    """A track: its labels, and what was estimated under each protocol."""

    track_id: str
    reference: Spans
    estimates: Mapping[str, Estimate]
    duration_s: float


class Judge:
    """Judges tracks one by one, and then all together.

    Attributes:
        own: The protocol under which the head's own rules fall; `custom` if they fall under none.
        tracks: What was judged.

    Args:
        head: The task, with what it has learnt.
        names: Protocols beside the head's own; None for all of the task.

    Raises:
        ValueError: There is no such protocol, or one names a rule that the head does not have.
    """

    def __init__(self, head: Head, names: Sequence[str] | None = None) -> None:
        named = protocols(head.task)
        for name in names or ():
            protocol(head.task, name)
        views = {}
        for one in named:
            try:
                views[one.name] = head.under(one.settings)
            except ValueError as error:
                raise ValueError(f"protocol {one.name!r} of {head.task}: {error}") from error
        self.own = next((name for name, view in views.items() if view.rules == head.rules), CUSTOM)
        others = {name: view for name, view in views.items() if name != self.own and (names is None or name in names)}
        self._heads = {self.own: head} | others
        self._notes = {
            one.name: [f"not reproduced of {one.name}: {text}" for text in one.not_reproduced] for one in named
        }
        self.tracks: list[Judged] = []
        self._has_decoded = True

    def add(self, track_id: str, reference: Spans, logits_NK: torch.Tensor, duration_s: float) -> None:
        """Decodes the logits of a track; protocols that decode alike share the estimate."""
        decoded: dict[Hashable, Estimate] = {}
        estimates = {}
        for name, head in self._heads.items():
            way = head.rules.decoding()
            if way not in decoded:
                decoded[way] = head.decode(logits_NK.numpy(), duration_s)
            estimates[name] = decoded[way]
        self.tracks.append(Judged(track_id, reference, estimates, duration_s))

    def add_estimate(self, track_id: str, reference: Spans, estimate: Estimate, duration_s: float) -> None:
        """Takes an estimate that has no logits to decode: protocols differ in how they score it alone."""
        self._has_decoded = False
        self.tracks.append(Judged(track_id, reference, dict.fromkeys(self._heads, estimate), duration_s))

    def gather(self, world_size: int) -> None:
        """Brings together what all ranks have judged."""
        if world_size > 1:
            gathered: list[Any] = [None] * world_size
            torch.distributed.all_gather_object(gathered, self.tracks)
            unique = {track.track_id: track for tracks in gathered for track in tracks}  # ranks may share one
            self.tracks = [unique[track_id] for track_id in sorted(unique)]

    def scores(self) -> dict[str, Scores]:
        """By protocol, the head's own first; the notes say how logits were decoded, which protocols may leave open."""
        found = {}
        for name, head in self._heads.items():
            scores = head.score(
                [track.reference for track in self.tracks],
                [track.estimates[name] for track in self.tracks],
                [track.duration_s for track in self.tracks],
            )
            decoded = head.decoded() if self._has_decoded else []
            found[name] = replace(scores, notes=[*decoded, *scores.notes, *self._notes.get(name, ())])
        return found
