"""Clips for masked token modelling: waveform from the shards, masking and mel on the device."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from torch.utils.data import DataLoader

from data_modules.batches import Origin, PretrainBatch
from data_modules.clips import NOT_COUNTED, Clip, GridClips, RandomClips
from data_modules.corpora.base import Corpus
from data_modules.damage import Damage
from data_modules.masking import Masking, WaveNoise
from data_modules.mel import LogMel
from data_modules.order import EvenShares, ResumableSampler, check_global_batch, mixed_seed
from data_modules.prepare import folder_of, prepare_for_run
from data_modules.reading_processes import leave_signals_to_trainer
from data_modules.remote import Remote
from data_modules.shards import Prepared
from data_modules.statistics import mel_statistics
from data_modules.waveforms import Samples, stacked


class RawBatch(NamedTuple):
    """A batch before masking and mel."""

    samples_BN: torch.Tensor
    origins: list[Origin]

    @property
    def problems(self) -> list[str]:
        """Why clips were set aside for which there are others here."""
        return [problem for origin in self.origins for problem in origin.instead_of]


def collate(clips: list[Clip]) -> RawBatch:
    """What a worker hands over."""
    return RawBatch(
        stacked([clip.values for clip in clips]),
        [Origin(clip.track_id, clip.start_s, clip.seed, clip.problems) for clip in clips],
    )


class PretrainData(L.LightningDataModule):
    """Clips of a prepared folder for `MaskedTokenModel`; labels are not looked at.

    Args:
        root: A folder that `musicfm prepare` wrote, or the address of a copy of it (`s3://bucket/shards`,
            `https://...`), or a folder of audio files, which are decoded as they are read.
        corpus: In its place, a corpus by its class: it is prepared, once, into `root`, or into `data/<its name>` if
            no root is given.
        clip_s: Input length in seconds (the study: 5 or 30).
        batch_size: Clips a device and step.
        masking: What is hidden from the encoder; waveform noise, as in the study, unless another is named.
        features: The mel front end. Its mean and std are filled in from the corpus' statistics.
        seed: Of order, offsets and masks; another seed is another order.
        num_workers: Processes that read clips; -1 for one a core, at most 8 (0 on up to 2 cores).
        max_val_clips: Validation uses at most this many clips, spread evenly over the split.
        train_share: Share of the training tracks that are used, drawn by the seed; a smaller share lies within a larger
            one. Mel statistics stay those of the whole split.
        max_damaged: Share of the clips that may lie in damaged records. Each of those is set aside, named and
            counted, and another clip takes its place; beyond this share the run stops.
        remote: Cache and patience with a root that is an address.
    """

    def __init__(
        self,
        root: str | None = None,
        corpus: Corpus | None = None,
        clip_s: float = 30.0,
        batch_size: int = 32,
        masking: Masking | None = None,
        features: LogMel | None = None,
        seed: int = 0,
        num_workers: int = -1,
        max_val_clips: int = 512,
        train_share: float = 1.0,
        max_damaged: float = 0.01,
        remote: Remote | None = None,
    ) -> None:
        super().__init__()
        if not 0 < train_share <= 1:
            raise ValueError(f"data.train_share: above 0 and at most 1, got {train_share}")
        self.train_share = train_share
        self.corpus = corpus
        self.root = folder_of(corpus, root)
        self.clip_s = clip_s
        self.batch_size = batch_size
        self.masking = masking or WaveNoise()
        self.features = features or LogMel()
        self.seed = seed
        self.num_workers = default_workers() if num_workers < 0 else num_workers
        self.max_val_clips = max_val_clips
        self.max_damaged = max_damaged
        self.remote = remote
        self._damage = Damage(max_damaged)

    def prepare_data(self) -> None:
        """Prepares the corpus, if one is named; one process for all."""
        if self.corpus is not None and self.root is not None:
            prepare_for_run(self.corpus, Path(self.root))

    def setup(self, stage: str) -> None:
        """Opens the folder and takes the corpus' mel statistics."""
        if self.root is None:
            raise ValueError("data.root: name a folder that `musicfm prepare` wrote, or data.corpus")
        self.prepared = Prepared(self.root, self.remote)
        mel = self.features
        statistics = mel_statistics(self.prepared, mel.hop_length, mel.num_mels, mel.n_fft, self._damage)
        mel.normalise(statistics.mean, statistics.std)

    def mel_settings(self) -> dict[str, float]:
        """What a task must use to hear as the encoder heard: kept in every checkpoint."""
        return {**self.features.settings(), "mean": self.features.mean, "std": self.features.std}

    def train_dataloader(self) -> DataLoader[Clip]:
        """Clips from where the run stands, for this rank."""
        trainer = self.trainer
        assert trainer is not None
        tracks = self.prepared.tracks("train")
        if self.train_share < 1:
            tracks = tracks.share(self.train_share, self.seed)
        clips = RandomClips(tracks, Samples(self.prepared), self.clip_s, self.seed)
        sampler = ResumableSampler(
            len(clips),
            self.batch_size * trainer.world_size,
            trainer.global_rank,
            trainer.world_size,
            batches_taken=lambda: trainer.fit_loop.epoch_loop.batch_progress.total.ready,
            order=clips.order,
        )
        return self._loader(clips, sampler)

    def val_dataloader(self) -> DataLoader[Clip]:
        """The same clips, with the same masks, at every validation; each rank has its share of them."""
        clips = GridClips(self.prepared.tracks("val"), Samples(self.prepared), self.clip_s, self.seed)
        clips.thin(self.max_val_clips)
        rank = 0 if self.trainer is None else self.trainer.global_rank
        return self._loader(clips, EvenShares(clips, self._world_size, rank))

    def _loader(self, clips: RandomClips | GridClips, sampler: ResumableSampler | EvenShares) -> DataLoader[Clip]:
        return DataLoader(
            clips,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=collate,
            worker_init_fn=leave_signals_to_trainer,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=False,
        )

    def on_after_batch_transfer(self, batch: RawBatch, dataloader_idx: int) -> PretrainBatch:
        """Masking and mel, on the device; each clip's mask is its own, whatever clips are beside it.

        In a clip that makes shares even nothing counts as masked, and so nothing is scored.
        """
        samples_BN, origins = batch
        self._damage.count(len(origins), batch.problems)
        device = samples_BN.device
        seeds = [origin.seed for origin in origins]
        generators = [torch.Generator(device).manual_seed(mixed_seed(max(seed, 0), 1)) for seed in seeds]
        with torch.no_grad():
            clips = PretrainBatch(*self.masking(samples_BN.float() / 32768.0, self.features.to(device), generators))
            if NOT_COUNTED in seeds:
                counts_B1 = torch.tensor([[seed != NOT_COUNTED] for seed in seeds], device=device)
                clips = clips._replace(mask_BF=clips.mask_BF & counts_B1)
        return clips._replace(origins=origins)

    def teardown(self, stage: str) -> None:
        """Says what was set aside."""
        self._damage.summary()

    @property
    def _world_size(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    def state_dict(self) -> dict[str, Any]:
        """The mel settings travel with the weights; with the count of steps, the batch says where the run stands."""
        return {"mel": self.mel_settings(), "global_batch": self.batch_size * self._world_size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Refuses to go on with other mel settings or global batches than the run began with."""
        if self.trainer is not None and self.trainer.state.fn == "fit":
            global_batch = self.batch_size * self._world_size
            check_global_batch(state_dict.get("global_batch"), global_batch, self._world_size)
        before, now = state_dict["mel"], self.mel_settings()
        for key, value in before.items():
            if abs(now[key] - value) > 1e-4 * max(1.0, abs(value)):
                raise ValueError(
                    f"data.features.{key}: the checkpoint was trained with {value}, this run has {now[key]}; "
                    f"resume with the same corpus and mel settings, or start a new run directory"
                )


def default_workers() -> int:
    """Worker processes to read with: none where cores are few, since reading shards is nearly free."""
    cores = os.cpu_count() or 1
    return 0 if cores <= 2 else min(8, cores)
