"""One task on one encoder: frozen or fine-tuned, one layer or a learned weighting of all, whole tracks at test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor, nn

from data_modules import SAMPLE_RATE
from data_modules.batches import TaskBatch
from data_modules.mel import LogMel
from data_modules.task import TaskData
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.heads.base import Estimate, Head, Scores
from musicfm_pl.protocols.presets import protocol_names
from musicfm_pl.systems.digest import encoder_digest
from musicfm_pl.systems.judge import Judge
from musicfm_pl.systems.schedule import warmup_cosine
from musicfm_pl.systems.windows import Window, bounds, cut, in_batches, lattice, plan, stitch


class TaskModel(L.LightningModule):
    """Encoder and head for one task.

    Probing (`freeze: true`) trains the head alone; fine-tuning trains both, each with its own learning rate (the
    study: 1e-5 for the encoder, 1e-4 for the head).

    Args:
        encoder: Pretrained (`musicfm_pl.encoders.pretrained.Pretrained`), or any other as a baseline.
        head: The task; the system passes it the encoder's width.
        freeze: Whether the encoder stays as it is.
        layer: The hidden state that the head reads: a number, `last`, or `all` for a learned weighting of all.
        learning_rate: Of the head.
        encoder_learning_rate: Of the encoder, where it is not frozen.
        layer_learning_rate: Of the weighting of layers. AdamW moves a logit by about this much a step, so that a
            head's learning rate would leave the layers mixed alike for thousands of steps.
        weight_decay: Of AdamW.
        warmup_steps: Of the schedule; at most a tenth of the run.
        overlap: Share of a window that the next one repeats, when whole tracks are decoded.
        window_batch: Windows encoded at once at test; changes memory, not results.
        protocols: Names of those that a test is scored under, beside the head's own; None for all of the task.
            Some decode beats anew, which takes a second a minute of music.

    Raises:
        ValueError: The encoder has no such layer, or the task no such protocol.
    """

    def __init__(
        self,
        encoder: Encoder,
        head: Callable[[int], Head],
        freeze: bool = True,
        layer: int | Literal["last", "all"] = "last",
        learning_rate: float = 1e-3,
        encoder_learning_rate: float = 1e-5,
        layer_learning_rate: float = 0.03,
        weight_decay: float = 0.01,
        warmup_steps: int = 500,
        overlap: float = 0.5,
        window_batch: int = 8,
        protocols: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head(encoder.dim)
        self.freeze_encoder = freeze
        self.layer = encoder.num_layers if layer == "last" else layer
        if isinstance(self.layer, int):
            encoder.check_layer(self.layer)
            self.layer_weights: nn.Parameter | None = None
        else:
            self.layer_weights = nn.Parameter(torch.zeros(encoder.num_layers + 1))
        # Hidden states differ in scale between layers and encoders; a probe should not depend on that. BatchNorm
        # without parameters in front of the head is what MAE probes with (arXiv 2111.06377, A.1).
        num_states = len(self.layer_weights) if self.layer_weights is not None else 1
        self.standards = nn.ModuleList(
            nn.BatchNorm1d(encoder.dim, affine=False) for _ in range(num_states if freeze else 0)
        )
        self.learning_rate = learning_rate
        self.encoder_learning_rate = encoder_learning_rate
        self.layer_learning_rate = layer_learning_rate
        self.weight_decay = weight_decay
        self.warmup_steps = warmup_steps
        self.overlap = overlap
        self.window_batch = window_batch
        known = protocol_names(self.head.task)
        if unknown := [name for name in protocols or () if name not in known]:  # now, and not after the training
            raise ValueError(f"model.protocols: {self.head.task} has no {', '.join(unknown)}, but {', '.join(known)}")
        self.protocols = protocols
        self.judge: Judge | None = None
        self.scores: Mapping[str, Scores] = {}
        if freeze:
            # Lightning leaves modes as they are, and modules are made in training mode.
            encoder.requires_grad_(False).eval()

    @property
    def data(self) -> TaskData:
        """The data module, which must be `TaskData`."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, TaskData):
            raise ValueError(f"data: a task needs TaskData, not {type(data).__name__}")
        return data

    @property
    def token_s(self) -> Fraction:
        """Length of a hidden state in seconds, exactly."""
        features = self.data.features
        hop = features.hop_length if isinstance(features, LogMel) else 1
        return Fraction(self.encoder.stride * hop, SAMPLE_RATE)

    def setup(self, stage: str) -> None:
        """Asks the data for the labels of the task, and settles the mel between data and encoder."""
        data, encoder = self.data, self.encoder
        data.serve(self.head.kind, getattr(encoder, "mel", None))
        if encoder.reads != data.features.reads:
            raise ValueError(
                f"data.features: {type(data.features).__name__} gives {data.features.reads}, "
                f"but model.encoder {type(encoder).__name__} reads {encoder.reads}"
            )
        if isinstance(data.features, LogMel) and encoder.num_mels != data.features.num_mels:
            raise ValueError(
                f"data.features: {data.features.num_mels} mel bands, but model.encoder reads {encoder.num_mels}"
            )
        if stage == "fit":
            self.head.learn_labels(entry.labels[self.head.kind] for entry in data.entries("train"))
        if self.hears_windows and stage != "predict":
            data.use_hidden_states(self._states_digest, float(1 / self.token_s), self._encode_track, self._only_state)

    def train(self, mode: bool = True) -> TaskModel:
        """A frozen encoder stays in evaluation mode: no dropout, no moving BatchNorm statistics."""
        super().train(mode)
        if self.freeze_encoder:
            self.encoder.eval()
        return self

    def hidden(self, features: Tensor) -> Tensor:
        """The hidden state that the head reads, (B, T, D), of mel, waveform or states (B, L, T, D): all or that one."""
        if features.dim() == 4:
            states: Sequence[Tensor] = features.unbind(1)
        else:
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.freeze_encoder):
                states = self.encoder(features, last_layer=self._only_state)
        if self.layer_weights is None:
            return self._standard(states[int(self.layer) if len(states) > 1 else 0], 0)
        weights_L = self.layer_weights.softmax(dim=0)
        standard = [self._standard(state_BTD, number) for number, state_BTD in enumerate(states)]
        return torch.einsum("lbtd,l->btd", torch.stack(standard), weights_L)

    def _standard(self, state_BTD: Tensor, number: int) -> Tensor:
        return self.standards[number](state_BTD.transpose(1, 2)).transpose(1, 2) if self.standards else state_BTD

    def forward(self, features: Tensor, num_frames: int) -> Tensor:
        """Logits (B, N, K) of clips of one length, N = `num_frames`."""
        return self.head(self.hidden(features), num_frames)

    def _loss(self, batch: TaskBatch) -> Tensor:
        targets_BNJ = torch.stack(
            [self.head.targets(labels[self.head.kind], batch.duration_s) for labels in batch.references]
        ).to(batch.features.device)
        return self.head.loss(self(batch.features, targets_BNJ.shape[1]).float(), targets_BNJ)

    def training_step(self, batch: TaskBatch, batch_idx: int) -> Tensor:
        """Loss of a batch of clips."""
        loss = self._loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch.references))
        return loss

    def validation_step(self, batch: TaskBatch, batch_idx: int) -> None:
        """Loss of a batch of clips; the best checkpoint is the one that has it lowest."""
        self.log("val/loss", self._loss(batch), prog_bar=True, batch_size=len(batch.references), sync_dist=True)

    def track_logits(self, features: Tensor, duration_s: float) -> Tensor:
        """Logits (N, K) of a whole track, stitched from overlapped windows of the training length.

        A head that gives one output a clip gives one row a window, and averages them itself when it decodes.

        Args:
            features: Of one track: mel (1, M, F), waveform (1, N) or cached states (1, L, T, D).
            duration_s: Length of the track.
        """
        rate_hz = self.head.rate_hz
        frame_s = Fraction(1) / Fraction(str(rate_hz)) if rate_hz else self.token_s
        windows = plan(duration_s, self.data.clip_s, lattice(self.token_s, frame_s), self.overlap)
        if rate_hz is None:
            pieces = self._window_outputs(features, duration_s, windows, [1] * len(windows), self.forward)
            return torch.cat(list(pieces)).float()
        num_frames = self.head.num_frames(duration_s)
        firsts = [round(window.start_s * rate_hz) for window in windows]
        lengths = [self.head.num_frames(window.end_s - window.start_s) for window in windows[:-1]]
        lengths.append(num_frames - firsts[-1])  # the last ends with the track, whatever the rounding
        pieces = self._window_outputs(features, duration_s, windows, lengths, self.forward)
        return stitch(pieces, firsts, num_frames, "triangle")

    def _window_outputs(
        self,
        features: Tensor,
        duration_s: float,
        windows: Sequence[Window],
        lengths: Sequence[int],
        run: Callable[[Tensor, int], Tensor],
    ) -> Iterator[Tensor]:
        """`run` on each window and the frames it should give, several windows of one length at a time."""
        axis = 2 if features.dim() == 4 else features.dim() - 1
        parts = zip(cut(features, axis, windows, self._features_hz(features, duration_s)), lengths, strict=True)
        return in_batches(parts, self.window_batch, run)

    def _features_hz(self, features: Tensor, duration_s: float) -> float:
        """Steps a second of mel, waveform or cached states."""
        if features.dim() == 4:
            return float(1 / self.token_s)
        if isinstance(self.data.features, LogMel):
            return SAMPLE_RATE / self.data.features.hop_length
        return features.shape[-1] / duration_s

    def test_step(self, batch: TaskBatch, batch_idx: int) -> None:
        """Decodes a whole track."""
        assert self.judge is not None
        logits_NK = self.track_logits(batch.features, batch.duration_s)
        self.judge.add(batch.track_ids[0], batch.references[0][self.head.kind], logits_NK, batch.duration_s)

    def predict_step(self, batch: TaskBatch, batch_idx: int) -> tuple[str, Estimate]:
        """The estimate for a whole audio file, by the same way as at test."""
        features = batch.features
        if self.hears_windows:
            states_LTD = self._track_states(features, batch.duration_s, self._only_state)
            features = states_LTD[None].to(features.device).float()  # as cached ones come
        logits_NK = self.track_logits(features, batch.duration_s)
        return batch.track_ids[0], self.head.decode(logits_NK.numpy(), batch.duration_s)

    def on_test_epoch_start(self) -> None:
        """Forgets what an earlier test judged."""
        self.judge = Judge(self.head, self.protocols)

    def on_test_epoch_end(self) -> None:
        """Scores all tracks together, under every protocol; those of the head's own are logged."""
        assert self.judge is not None
        self.judge.gather(self.trainer.world_size)
        self.scores = self.judge.scores()
        for name, value in self.scores[self.judge.own].summary.items():
            if value is not None and "/" not in name:
                self.log(f"test/{name}", value, rank_zero_only=True)

    def _states_digest(self) -> str:
        """Of everything that the cached hidden states depend on, but the corpus."""
        features = self.data.features
        mel = (features.settings(), features.mean, features.std) if isinstance(features, LogMel) else "waveform"
        return encoder_digest(self.encoder, repr((mel, self.data.cache_window_s, self.overlap)))

    @property
    def hears_windows(self) -> bool:
        """Whether hidden states are those of whole tracks, heard in windows of `data.cache_window_s`."""
        return self.freeze_encoder and self.data.cache

    @property
    def _only_state(self) -> int | None:
        """The one hidden state that the head reads, if it is one."""
        return self.layer if isinstance(self.layer, int) else None

    def _encode_track(self, waveform_N: Tensor) -> Tensor:
        """All hidden states (L, T, D) of a track, on the device that the run will have."""
        device = self.trainer.strategy.root_device  # at set-up Lightning has not moved the model there yet
        self.encoder.to(device)
        features = self.data.features.to(device)(waveform_N[None].to(device))
        return self._track_states(features, len(waveform_N) / SAMPLE_RATE)

    @torch.no_grad()
    def _track_states(self, features: Tensor, duration_s: float, only: int | None = None) -> Tensor:
        """Hidden states (L, T, D) of a whole track, float16: each from the window in whose middle it lies.

        Args:
            features: Mel or waveform of the track.
            duration_s: Its length.
            only: The one state that is wanted, L = 1; None for all.
        """
        windows = plan(duration_s, self.data.cache_window_s, self.token_s, self.overlap)
        self.encoder.eval()
        # Twenty minutes of a large encoder are gigabytes: windows are stitched as they come, in half precision.
        under = bounds(features.shape[-1], windows, self._features_hz(features, duration_s))
        parts = ((part, 0) for part in self.encoder.local_windows(features, under))
        pieces_TLD = in_batches(parts, self.window_batch, lambda part, _: self.encoder.from_local(part, only))
        firsts = [round(window.start_s / float(self.token_s)) for window in windows]
        return stitch(pieces_TLD, firsts, None, "centre", torch.float16).transpose(0, 1)

    def configure_optimizers(self) -> Any:
        """AdamW, with a learning rate each for head and encoder."""
        groups: list[dict[str, Any]] = [{"params": list(self.head.parameters()), "lr": self.learning_rate}]
        if self.layer_weights is not None:
            groups.append({"params": [self.layer_weights], "lr": self.layer_learning_rate, "weight_decay": 0.0})
        if not self.freeze_encoder:
            groups.append({"params": list(self.encoder.parameters()), "lr": self.encoder_learning_rate})
        optimizer = torch.optim.AdamW(groups, lr=self.learning_rate, weight_decay=self.weight_decay)
        return warmup_cosine(optimizer, self.warmup_steps, self.trainer)
