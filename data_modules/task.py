"""Labelled clips for a task: random in training, on a grid in validation, whole tracks at test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data_modules import embeddings
from data_modules.batches import TaskBatch
from data_modules.clips import Clip, GridClips, RandomClips, Source, WholeTracks
from data_modules.corpora.base import Corpus, Kind, Tested
from data_modules.damage import Damage
from data_modules.files import AudioFiles
from data_modules.index import Entry
from data_modules.mel import Features, LogMel
from data_modules.order import ResumableSampler, check_global_batch
from data_modules.prepare import folder_of, prepare_for_run
from data_modules.pretrain import default_workers
from data_modules.reading_processes import leave_signals_to_trainer
from data_modules.remote import Remote
from data_modules.shards import Prepared
from data_modules.statistics import mel_statistics
from data_modules.waveforms import Samples, stacked


class _Raw:
    """A batch before mel; a plain class, so that Lightning asks it how to move."""

    def __init__(self, clips: list[Clip]) -> None:
        self.clips = clips
        self.values = stacked([clip.values for clip in clips])

    def to(self, device: torch.device, non_blocking: bool = False) -> _Raw:
        self.values = self.values.to(device, non_blocking=non_blocking)
        return self


class TaskData(L.LightningDataModule):
    """Clips of a prepared folder with the labels of one task.

    Args:
        root: A folder that `musicfm prepare` wrote, or the address of a copy of it (`s3://bucket/shards`,
            `https://...`), or a folder of audio files, which are decoded as they are read.
        corpus: In its place, a corpus by its class: it is prepared, once, into `root`, or into `data/<its name>` if
            no root is given.
        clip_s: Input length in seconds (the study: 6 for beats, 12 chords, 24 structure, 12 keys, 29.1 tags).
        batch_size: Clips a device and step.
        features: The feature module: `LogMel`, or `Waveform` for encoders that hear it. A pretrained encoder
            brings its own mel settings and statistics, and need not be given any here; for other encoders the
            default is the study's mel with the corpus' statistics.
        cache: Compute a frozen encoder's hidden states once, for whole tracks, and train heads on those. Clips
            then hear `cache_window_s` of context instead of `clip_s`.
        cache_window_s: Length of the windows that the frozen encoder hears.
        seed: Of order and offsets.
        num_workers: Processes that read clips; -1 for one a core, at most 8 (0 on up to 2 cores).
        test_split: Whose tracks `test` judges: `val` to choose settings by, `train` to see over-fitting, `all` for
            the whole of a data set that the head was not trained on.
        files: Audio files for `predict`, each a whole track.
        max_damaged: Share of the clips that may lie in damaged records, see `PretrainData`. A track that is tested
            on must be sound.
        remote: Cache and patience with a root that is an address.
    """

    def __init__(
        self,
        root: str | None = None,
        corpus: Corpus | None = None,
        clip_s: float = 12.0,
        batch_size: int = 16,
        features: Features | None = None,
        cache: bool = False,
        cache_window_s: float = 30.0,
        seed: int = 0,
        num_workers: int = -1,
        test_split: Tested = "test",
        files: list[Path] | None = None,
        max_damaged: float = 0.01,
        remote: Remote | None = None,
    ) -> None:
        super().__init__()
        self.corpus = corpus
        self.root = folder_of(corpus, root)
        self.clip_s = clip_s
        self.batch_size = batch_size
        self._features = features
        self.cache = cache
        self.cache_window_s = cache_window_s
        self.seed = seed
        self.num_workers = default_workers() if num_workers < 0 else num_workers
        self.test_split: Tested = test_split
        self.files = files or []
        self.max_damaged = max_damaged
        self.remote = remote
        self._damage = Damage(max_damaged)
        self.kind: Kind | None = None
        self._source: Source | None = None
        self._compute: Callable[[], Source] | None = None
        self._stage = ""
        self._lacks_statistics = False

    def prepare_data(self) -> None:
        """Prepares the corpus, if one is named; one process for all."""
        is_needed = self.trainer is None or self.trainer.state.fn != "predict"
        if self.corpus is not None and self.root is not None and is_needed:
            prepare_for_run(self.corpus, Path(self.root))

    def setup(self, stage: str) -> None:
        """Opens the folder."""
        self._stage = stage
        if stage == "predict":
            return
        if self.root is None:
            raise ValueError("data.root: name a folder that `musicfm prepare` wrote, or data.corpus")
        self.prepared = Prepared(self.root, self.remote)
        self._source = Samples(self.prepared)

    def serve(self, kind: Kind, mel: dict[str, float] | None) -> None:
        """What the model asks for, at set-up: the labels of its task, and the mel its encoder was trained on.

        Args:
            kind: Tracks without this kind of label are left out.
            mel: Settings, mean and std of the encoder's pretraining; None for the statistics of the corpus that the
                head is trained on, which a checkpoint brings along.

        Raises:
            ValueError: The mel settings of data and encoder disagree.
        """
        self.kind = kind
        if self._features is None:
            chosen = {} if mel is None else {key: int(mel[key]) for key in ("hop_length", "num_mels", "n_fft")}
            self._features = LogMel(**chosen)
        features = self._features
        if not isinstance(features, LogMel):
            return
        if mel is not None:
            for key, value in features.settings().items():
                if mel[key] != value:
                    raise ValueError(
                        f"data.features.{key}: {value} here, but the encoder was pretrained with {mel[key]}; "
                        f"leave data.features out to take the encoder's, or set {key} to {mel[key]:g}"
                    )
            features.normalise(mel["mean"], mel["std"])
            return
        self._lacks_statistics = True
        if self._stage == "fit":
            self._take_statistics()

    def _take_statistics(self) -> None:
        """Those of the corpus, unless there are some by now."""
        if not self._lacks_statistics:
            return
        features = self.features
        assert isinstance(features, LogMel)
        if self.root is None:
            raise ValueError("data.root: name a prepared folder, whose mel statistics this encoder needs")
        statistics = mel_statistics(
            Prepared(self.root, self.remote), features.hop_length, features.num_mels, features.n_fft, self._damage
        )
        features.normalise(statistics.mean, statistics.std)
        self._lacks_statistics = False

    def state_dict(self) -> dict[str, Any]:
        """The mel statistics travel with the head: it hears other corpora as it heard its own."""
        features = self.features
        mel = {"mel": {"mean": features.mean, "std": features.std}} if isinstance(features, LogMel) else {}
        return {**mel, "global_batch": self._global_batch}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the statistics that the head was trained with, where the encoder has none of its own."""
        if self._lacks_statistics and "mel" in state_dict:
            assert isinstance(self.features, LogMel)
            self.features.normalise(state_dict["mel"]["mean"], state_dict["mel"]["std"])
            self._lacks_statistics = False
        if self.trainer is not None and self.trainer.state.fn == "fit":
            check_global_batch(state_dict.get("global_batch"), self._global_batch, self.trainer.world_size)

    @property
    def _global_batch(self) -> int:
        world_size = 1 if self.trainer is None else self.trainer.world_size
        return self.batch_size * world_size

    @property
    def features(self) -> Features:
        """The feature module, once the model has asked for its own."""
        if self._features is None:
            self._features = LogMel()
        return self._features

    def use_hidden_states(
        self, digest: Callable[[], str], rate_hz: float, encode: Callable[[Tensor], Tensor], state: int | None
    ) -> None:
        """From here on clips are hidden states instead of audio, computed by `encode` if they are not cached yet.

        They are computed when they are first asked for, if the mel statistics are still to come from a checkpoint.

        Args:
            digest: Of the encoder, see `embeddings.compute`; called when the mel statistics are known.
            rate_hz: Hidden states a second.
            encode: See `embeddings.compute`.
            state: The only one that is read; None for all.
        """
        self._source = None
        self._compute = lambda: embeddings.compute(self.prepared, digest(), rate_hz, encode, state)
        if not self._lacks_statistics:
            self._source = self._compute()

    def entries(self, split: Tested) -> list[Entry]:
        """The tracks of a split, or of all, that carry the task's kind of label."""
        assert self.kind is not None, "the model asks for its kind of label at set-up"
        return self.prepared.labelled(split, self.kind)

    def left_out(self, split: Tested) -> int:
        """How many tracks of a split, or of all, do not carry the task's kind of label."""
        return len(self.prepared.split(split)) - len(self.entries(split))

    @property
    def source(self) -> Source:
        """Where clips come from."""
        if self._source is None:
            assert self._compute is not None, "setup comes first"
            self._take_statistics()
            self._source = self._compute()
        return self._source

    def train_dataloader(self) -> DataLoader[Clip]:
        """Random clips, from where the run stands."""
        trainer = self.trainer
        assert trainer is not None
        clips = RandomClips(self.entries("train"), self.source, self.clip_s, self.seed, with_labels=True)
        sampler = ResumableSampler(
            len(clips),
            min(self.batch_size * trainer.world_size, len(clips) // trainer.world_size * trainer.world_size),
            trainer.global_rank,
            trainer.world_size,
            batches_taken=lambda: trainer.fit_loop.epoch_loop.batch_progress.total.ready,
            order=clips.order,
        )
        return self._loader(clips, sampler.local_batch, sampler)

    def val_dataloader(self) -> DataLoader[Clip]:
        """The same clips at every validation."""
        clips = GridClips(self.entries("val"), self.source, self.clip_s, self.seed, with_labels=True)
        return self._loader(clips, self.batch_size)

    def test_dataloader(self) -> DataLoader[Clip]:
        """Whole tracks, one a batch."""
        return self._loader(WholeTracks(self.entries(self.test_split), self.source), 1)

    def predict_dataloader(self) -> DataLoader[Clip]:
        """Whole audio files, one a batch."""
        if not self.files:
            raise ValueError("data.files: name the audio files to predict, as in --data.files '[song.mp3]'")
        return self._loader(AudioFiles(self.files), 1)

    def _loader(
        self, clips: Dataset[Clip], batch_size: int, sampler: ResumableSampler | None = None
    ) -> DataLoader[Clip]:
        return DataLoader(
            clips,
            batch_size=batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=_Raw,
            worker_init_fn=leave_signals_to_trainer,
        )

    def on_after_batch_transfer(self, batch: _Raw, dataloader_idx: int) -> TaskBatch:
        """Mel on the device; hidden states pass as they are."""
        self._damage.count(len(batch.clips), [problem for clip in batch.clips for problem in clip.problems])
        values = batch.values
        if not values.is_floating_point():
            self._take_statistics()
            with torch.no_grad():
                values = self.features.to(values.device)(values.float() / 32768.0)
        return TaskBatch(
            features=values.float(),
            duration_s=batch.clips[0].duration_s,
            references=[clip.labels for clip in batch.clips],
            track_ids=[clip.track_id for clip in batch.clips],
        )
