"""Callbacks and masks that spoil training, and masks alike on any number of ranks; named in options of `musicfm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from data_modules.batches import PretrainBatch
from data_modules.masking import Masking, WaveNoise
from data_modules.mel import LogMel
from musicfm_pl.guard import TrainingGuard
from musicfm_pl.systems.pretrain import MaskedTokenModel


class Spoil(L.Callback):
    """Makes what the encoder hears NaN in one batch of one rank.

    Args:
        batch: Its number, from 0.
        rank: Whose.
    """

    def __init__(self, batch: int, rank: int = 0) -> None:
        self.batch = batch
        self.rank = rank

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: PretrainBatch, batch_idx: int
    ) -> None:
        if (
            trainer.global_rank == self.rank
            and trainer.fit_loop.epoch_loop.batch_progress.total.ready == self.batch + 1
        ):
            batch.masked_mel_BMF.fill_(torch.nan)


class Loud(L.Callback):
    """Makes the logits of one batch a thousand times as large, and with them loss and gradient.

    Not what the encoder hears: BatchNorm in the front end would take that back.

    Args:
        batch: Its number, from 0.
    """

    def __init__(self, batch: int) -> None:
        self.batch = batch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.total.ready == self.batch + 1:
            assert isinstance(pl_module, MaskedTokenModel)
            self.hook = pl_module.prediction.register_forward_hook(lambda _module, _inputs, logits: 1000 * logits)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.fit_loop.epoch_loop.batch_progress.total.ready == self.batch + 1:
            self.hook.remove()


class SpoilWeights(L.Callback):
    """Makes a weight NaN after a step, as a fault of the hardware might.

    Args:
        step: After which.
        weight: Its name; the first value of it becomes NaN.
    """

    def __init__(self, step: int, weight: str = "prediction.weight") -> None:
        self.step = step
        self.weight = weight

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.global_step == self.step:
            with torch.no_grad():
                pl_module.get_parameter(self.weight).view(-1)[0] = torch.nan


class NothingKept(L.Callback):
    """Sees to it that the guard holds nothing of a step that is over."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        (guard,) = (callback for callback in trainer.callbacks if isinstance(callback, TrainingGuard))  # type: ignore[attr-defined]
        if guard._losses or guard._batches:
            raise ValueError(f"the guard keeps {len(guard._losses)} losses and {len(guard._batches)} batches")


class Remember(L.Callback):
    """Writes the weights and statistics after every step of the first rank into a folder.

    Args:
        folder: For `<step>.pt`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if trainer.is_global_zero:
            self.folder.mkdir(exist_ok=True)
            torch.save(pl_module.state_dict(), self.folder / f"{trainer.global_step}.pt")


class EverySecondBlock(Masking):
    """Hides every second block and puts silence there: nothing is random, so that ranks can be compared."""

    def forward(
        self, waveform_BN: Tensor, log_mel: LogMel, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor]:
        block = round(self.block_s * 24_000)
        places = torch.arange(waveform_BN.shape[1]) // block
        mask_BN = (places % 2 == 0).expand_as(waveform_BN)
        mel_BMF, masked_mel_BMF = log_mel(torch.cat([waveform_BN, waveform_BN.masked_fill(mask_BN, 0.0)])).chunk(2)
        return mel_BMF, masked_mel_BMF, mask_BN[:, :: log_mel.hop_length][:, : mel_BMF.shape[2]]


class LoudIsNoNumber(Masking):
    """The study's masking; of a clip that is at full scale anywhere, the encoder hears NaN."""

    def forward(
        self, waveform_BN: Tensor, log_mel: LogMel, generator: torch.Generator | Sequence[torch.Generator]
    ) -> tuple[Tensor, Tensor, Tensor]:
        mel_BMF, masked_mel_BMF, mask_BF = WaveNoise(self.probability, self.block_s, self.noise_std)(
            waveform_BN, log_mel, generator
        )
        loud_B = waveform_BN.abs().amax(dim=1) > 0.99
        return mel_BMF, masked_mel_BMF.masked_fill(loud_B[:, None, None], torch.nan), mask_BF
