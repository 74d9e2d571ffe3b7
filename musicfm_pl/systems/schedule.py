"""The learning-rate schedule of both systems: linear warm-up, then cosine to zero at the end of the run."""

from __future__ import annotations

import math
from typing import Any

import lightning as L
import torch


def warmup_cosine(optimizer: torch.optim.Optimizer, warmup_steps: int, trainer: L.Trainer) -> dict[str, Any]:
    """Lightning's optimizer dictionary, with the schedule stepped once an optimizer step.

    Args:
        optimizer: Its learning rates are the peaks.
        warmup_steps: Steps of linear rise; at most a tenth of the run.
        trainer: Knows how many steps the run has.

    Raises:
        ValueError: The run is not counted in steps: epochs say only later how many, and a run without an end has
            nothing to anneal towards.
    """
    num_steps = trainer.max_steps
    if num_steps < 1 or trainer.max_epochs not in (None, -1):
        raise ValueError(
            f"trainer.max_steps: the schedule counts in steps, so set how many (got {num_steps}) "
            f"and leave trainer.max_epochs at -1 (got {trainer.max_epochs})"
        )
    warmup = max(1, min(warmup_steps, num_steps // 10))

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / max(1, num_steps - warmup))))

    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}
