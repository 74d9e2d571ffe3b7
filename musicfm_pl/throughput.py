"""How fast training goes: seconds of audio a second, share of the device's peak, waiting for data; to TensorBoard."""

from __future__ import annotations

import time
from typing import Any, final

import lightning as L
import torch
from lightning.pytorch.profilers import PassThroughProfiler, Profiler

from data_modules import SAMPLE_RATE
from data_modules.pretrain import PretrainData
from musicfm_pl.costs.cards import card_of_device
from musicfm_pl.costs.flops import (
    TRAINING_FACTOR,
    convolution_share,
    forward_flops,
    masked_tokens,
    prediction_flops,
)
from musicfm_pl.systems.pretrain import MaskedTokenModel


class FetchTimer(Profiler):
    """Counts how long Lightning waits for the next training batch; it does nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_s = 0.0
        self._since = 0.0

    def start(self, action_name: str) -> None:
        """See `Profiler.start`."""
        if action_name.endswith("train_dataloader_next"):
            self._since = time.perf_counter()

    def stop(self, action_name: str) -> None:
        """See `Profiler.stop`."""
        if action_name.endswith("train_dataloader_next"):
            self.waited_s += time.perf_counter() - self._since

    def summary(self) -> str:
        """Nothing: the figures go to TensorBoard."""
        return ""


@final
class Throughput(L.Callback):
    """Speed of a pretraining run, every `trainer.log_every_n_steps` steps, over the steps since the last time.

    `throughput/audio_s_per_s` and `throughput/tokens_per_s` over all ranks; `throughput/mfu`, the share of the
    peak that the model's own arithmetic reaches on each device (recomputation does not count);
    `throughput/data_wait`, the share of time in which the first rank waits for its next batch. Validations are left
    out, writing checkpoints is not.

    The peak is what the maker states, as `musicfm plan` counts it, and more than products alone reach: of an H100 or
    H200 in bf16 989 TFLOP/s, of which they reach 790. FM7 takes 3.87 TFLOP a clip, so that 9.8 ms a clip are
    395 TFLOP/s: an `mfu` of 40 %, and half of 790. A run in float32 is held against the peak of float32 (convolutions
    in TF32), not of bf16.

    Args:
        peak_tflops: Of one device, in 10^12 operations a second, which `mfu` is a share of. None for what the maker
            states for the precision of the run where the device is known (`musicfm_pl.costs.cards`); `mfu` is left
            out elsewhere.
        warmup_batches: The first batches of a process, which compile, tune and fill caches, are not counted.

    Raises:
        ValueError: A peak that is not positive, or a negative warm-up.
    """

    def __init__(self, peak_tflops: float | None = None, warmup_batches: int = 10) -> None:
        if (peak_tflops is not None and peak_tflops <= 0) or warmup_batches < 0:
            raise ValueError(
                f"throughput: peak_tflops must be positive and warmup_batches not negative, "
                f"got {peak_tflops} and {warmup_batches}"
            )
        self.peak_tflops = peak_tflops
        self.warmup_batches = warmup_batches
        self._flops_a_clip: float | None = None
        self._timer: FetchTimer | None = None
        self._seen = 0
        self._clips = 0
        self._began = self._waited_before = self._paused = 0.0
        self._logged_step = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Counts arithmetic, where there is a peak to compare it with."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if stage != "fit" or not isinstance(pl_module, MaskedTokenModel) or not isinstance(data, PretrainData):
            return
        if isinstance(trainer.profiler, PassThroughProfiler):  # type: ignore[attr-defined]
            trainer.profiler = self._timer = FetchTimer()  # type: ignore[attr-defined]
        device = trainer.strategy.root_device
        card = card_of_device(torch.cuda.get_device_name(device)) if device.type == "cuda" else None
        if self.peak_tflops is None and card is None:
            return
        encoder, tokenizer = pl_module.encoder, pl_module.tokenizer
        num_frames = data.features.frames(round(data.clip_s * SAMPLE_RATE))
        num_masked = masked_tokens(data.clip_s, data.masking.probability, data.masking.block_s, pl_module.rate_hz)
        head = prediction_flops(encoder.dim, tokenizer.num_codes * tokenizer.num_books, num_masked)
        encoding = forward_flops(encoder, num_frames)
        self._flops_a_clip = TRAINING_FACTOR * (encoding + head)
        if self.peak_tflops is None and card is not None and trainer.precision in ("bf16-mixed", "32-true"):
            convolutions = convolution_share(encoder, num_frames) * encoding / (encoding + head)
            peak = card.peak_flops(trainer.precision == "bf16-mixed", convolutions)
            self.peak_tflops = peak and peak / 1e12

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The warm-up begins; without one, the clock starts."""
        self._seen = 0
        self._logged_step = trainer.global_step
        self._start(pl_module)

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The clock stops."""
        self._paused = time.perf_counter()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """It goes on."""
        self._began += time.perf_counter() - self._paused

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts, and logs when it is time."""
        data = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(pl_module, MaskedTokenModel) or not isinstance(data, PretrainData):
            return
        self._seen += 1
        if self._seen <= self.warmup_batches:
            self._start(pl_module)
            return
        self._clips += data.batch_size
        step = trainer.global_step
        if step % trainer.log_every_n_steps or step == self._logged_step:  # type: ignore[attr-defined]
            return
        self._logged_step = step
        self._log(trainer, pl_module, data)
        self._start(pl_module)

    def _start(self, module: L.LightningModule) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        self._clips = 0
        self._began = time.perf_counter()
        self._waited_before = self._timer.waited_s if self._timer else 0.0

    def _log(self, trainer: L.Trainer, module: MaskedTokenModel, data: PretrainData) -> None:
        if module.device.type == "cuda":
            torch.cuda.synchronize(module.device)
        took_s = time.perf_counter() - self._began
        clips_a_second = self._clips / took_s
        figures = {
            "throughput/audio_s_per_s": clips_a_second * data.clip_s * trainer.world_size,
            "throughput/tokens_per_s": clips_a_second * data.clip_s * module.rate_hz * trainer.world_size,
        }
        if self._timer is not None:
            figures["throughput/data_wait"] = (self._timer.waited_s - self._waited_before) / took_s
        if self._flops_a_clip is not None and self.peak_tflops is not None:
            figures["throughput/mfu"] = clips_a_second * self._flops_a_clip / (self.peak_tflops * 1e12)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
