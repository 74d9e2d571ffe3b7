"""What k-means is fitted to: the frames of clips of a training split, in an order that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from data_modules.clips import Clip, GridClips, RandomClips
from data_modules.damage import Damage
from data_modules.mel import LogMel
from data_modules.order import mixed_seed
from data_modules.shards import Prepared
from data_modules.waveforms import Samples
from musicfm_pl.tokenizers.token_features import TokenFeatures

_COUNT_HOURS = 2.0
"""Audio over which the use of the finished codes is counted, spread evenly, as for the mel statistics."""


class Frames:
    """Batches of frames, each a pure function of its number, so that a fit goes on by a number alone.

    Args:
        prepared: The corpus.
        log_mel: Its mel, normalised by its statistics.
        heard: Mel to features.
        clip_s: Length of a clip in seconds.
        batch_clips: Clips a batch.
        hours: Audio of one pass; None for all of the training split. Each pass draws other clips.
        seed: Of the order and of where clips begin.
        device: Where features are computed.
        damage: Takes account of damaged clips, in whose places there are others.
    """

    def __init__(
        self,
        prepared: Prepared,
        log_mel: LogMel,
        heard: TokenFeatures,
        clip_s: float,
        batch_clips: int,
        hours: float | None,
        seed: int,
        device: str,
        damage: Damage,
    ) -> None:
        self.log_mel = log_mel.to(device)
        self.heard = heard.to(device)
        self.batch_clips = batch_clips
        self.seed = seed
        self.device = device
        self.damage = damage
        train, samples = prepared.tracks("train"), Samples(prepared)
        self.clips = RandomClips(train, samples, clip_s, seed)
        self.first_clips = RandomClips(train, samples, clip_s, mixed_seed(seed, 1))
        self.grid = GridClips(train, samples, clip_s, seed)
        wanted = len(self.clips) if hours is None else round(hours * 3600 / clip_s)
        self.clips_a_pass = min(len(self.clips), max(1, wanted))
        self.batches_a_pass = -(-self.clips_a_pass // batch_clips)

    @torch.no_grad()
    def of(self, clips: Sequence[Clip]) -> Tensor:
        """Features of all frames of some clips, (frames, D), on the CPU."""
        self.damage.count(len(clips), [problem for clip in clips for problem in clip.problems])
        samples_BN = torch.stack([clip.values for clip in clips]).to(self.device)
        return self.heard(self.log_mel(samples_BN.float() / 32768.0)).flatten(0, 1).cpu()

    def batch(self, number: int) -> NDArray[np.float32]:
        """One batch of the fit, counted from its beginning over all passes."""
        epoch, position = divmod(number, self.batches_a_pass)
        first = position * self.batch_clips
        last = min(first + self.batch_clips, self.clips_a_pass)
        base = epoch * len(self.clips)
        return np.ascontiguousarray(self.of([self.clips[base + item] for item in range(first, last)]).numpy())

    def first(self, num_frames: int) -> NDArray[np.float32]:
        """Frames to draw the first centroids from: half of those of random clips, or all there are."""
        found, count = [], 0
        for item in range(len(self.first_clips)):
            found.append(self.of([self.first_clips[item]]).numpy())
            count += len(found[-1])
            if count >= 2 * num_frames:
                break
        frames_TD = np.concatenate(found)
        chosen = np.random.default_rng([self.seed, 2]).permutation(len(frames_TD))[:num_frames]
        return np.ascontiguousarray(frames_TD[np.sort(chosen)])

    def counted(self) -> Iterator[Tensor]:
        """The training split cut end to end, batch by batch; of a large one, clips spread over it."""
        step = max(1, round(len(self.grid) * self.grid.clip_s / 3600 / _COUNT_HOURS))
        chosen = range(0, len(self.grid), step)
        for first in range(0, len(chosen), self.batch_clips):
            yield self.of([self.grid[item] for item in chosen[first : first + self.batch_clips]])
