"""What a pretraining in float32 leaves unused of a GPU, said before it begins."""

from __future__ import annotations

import lightning as L
import torch

from musicfm_pl.systems.pretrain import MaskedTokenModel

FASTER = "experiments/axes/hardware/one_gpu.yaml"
"""Of one GPU; those of several lie beside it."""


def float32_advice(trainer: L.Trainer, model: L.LightningModule) -> str | None:
    """One line that names the faster setting; None if there is nothing to say.

    Nothing is changed of itself: the same experiment gives the same figures on every machine.

    Args:
        trainer: Of the run, which has not begun.
        model: What it trains; of a task, which is small, nothing is said.
    """
    if not isinstance(model, MaskedTokenModel) or trainer.precision != "32-true":
        return None
    if not has_bfloat16(trainer.strategy.root_device):
        return None
    return (
        f"trainer.precision: 32-true is float32, which uses a fraction of this GPU. --config {FASTER} takes bfloat16 "
        f"and compiles the encoder (on several GPUs, ddp.yaml beside it takes bfloat16): by data sheets several times "
        f"as many products a second, and about half the memory for activations; `musicfm plan` compares them"
    )


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device is a GPU that computes in it, rather than imitating it."""
    if device.type != "cuda":
        return False
    with torch.cuda.device(device):  # torch asks the current one
        return torch.cuda.is_bf16_supported(including_emulation=False)
