"""The checkpoint that a run goes on from: when it is saved, and when it must not be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Checkpoint


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`, where a run goes on: after every validation, every so many steps, and when training is over.

    Lightning's `save_last` follows the best checkpoint, and leaves out the steps after the last whole interval.

    Args:
        file: Path of the checkpoint.
        every_n_steps: Steps between two of them; None for validations alone.
    """

    def __init__(self, file: Path, every_n_steps: int | None) -> None:
        self.file = file
        self.every_n_steps = every_n_steps
        self._saved_step = 0
        self._due = False  # a validation fell between the batches of a step

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """When it is time; gradients that wait for more batches are not saved."""
        step = trainer.global_step
        on_time = self.every_n_steps and step % self.every_n_steps == 0 and step != self._saved_step
        if on_time or self._due:
            self.save_after_step(trainer)

    def save_after_step(self, trainer: L.Trainer) -> None:
        """Saves the run, unless gradients wait for more batches, or a validation comes first: it is saved after that.

        From a checkpoint before it Lightning goes on as if the validation had been.
        """
        fit_loop = trainer.fit_loop
        assert fit_loop._data_fetcher is not None
        if not _within_step(trainer) and not fit_loop.epoch_loop._should_check_val_fx(fit_loop._data_fetcher):
            self._save(trainer)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Once more, so that what is known of the best checkpoint is in it."""
        if trainer.state.fn == "fit" and not trainer.sanity_checking and trainer.global_step:
            if _within_step(trainer):
                self._due = True
            else:
                self._save(trainer)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The finished model."""
        if trainer.global_step != self._saved_step:
            self._save(trainer)

    def _save(self, trainer: L.Trainer) -> None:
        self._saved_step, self._due = trainer.global_step, False
        if not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.file, weights_only=False)


def _within_step(trainer: L.Trainer) -> bool:
    """Whether there are gradients that wait for more batches."""
    loop = trainer.fit_loop.epoch_loop
    return not (loop._accumulated_batches_reached() or loop._num_ready_batches_reached())
