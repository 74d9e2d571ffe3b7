"""GPUs by name: their memory, and the products a second that their makers state for each precision."""

from __future__ import annotations

import re
from typing import NamedTuple


class Card(NamedTuple):
    """One GPU.

    Attributes:
        name: What it is called.
        memory_gib: What programs see of its memory, in GiB.
        peak_tflops: Dense bf16 (V100: fp16) products with float32 sums, 10^12 operations a second, as its maker
            states it; None where that is not known.
        tf32_tflops: The same in TF32; cards before Ampere have none, and their float32 stands here.
        fp32_tflops: The same in float32, without tensor cores.
    """

    name: str
    memory_gib: float
    peak_tflops: float | None
    tf32_tflops: float | None = None
    fp32_tflops: float | None = None

    def peak_flops(self, autocast: bool, convolutions: float) -> float | None:
        """Operations a second that its maker states for what a run does; None where that is not known.

        Args:
            autocast: In bf16; else as torch computes float32 unless it is told otherwise: convolutions in TF32
                (`torch.backends.cudnn.allow_tf32`), all other products in float32.
            convolutions: Share of the arithmetic that is in convolutions, from 0 to 1.
        """
        if self.peak_tflops is None or self.tf32_tflops is None or self.fp32_tflops is None:
            return None
        if autocast:
            return self.peak_tflops * 1e12
        return 1e12 / (convolutions / self.tf32_tflops + (1 - convolutions) / self.fp32_tflops)


# NVIDIA's data sheets, of RTX cards its white papers on Ampere GA102, Ada and Blackwell; without sparsity, and with SXM
# where there are several. Memory as `torch.cuda.get_device_properties` gives it, about.
CARDS = {
    "h200": Card("H200", 139.0, 989.4, 494.7, 66.9),
    "h100": Card("H100", 79.0, 989.4, 494.7, 66.9),
    "a100-80": Card("A100 80 GB", 79.0, 312.0, 156.0, 19.5),
    "a100-40": Card("A100 40 GB", 39.4, 312.0, 156.0, 19.5),
    "l40s": Card("L40S", 44.4, 362.0, 183.0, 91.6),
    "rtx5090": Card("RTX 5090", 31.4, 209.5, 104.8, 104.8),
    "rtx4090": Card("RTX 4090", 23.5, 165.2, 82.6, 82.6),
    "rtx3090": Card("RTX 3090", 23.5, 71.2, 35.6, 35.6),
    "v100-32": Card("V100 32 GB", 31.7, 125.0, 15.7, 15.7),
    "t4": Card("T4", 14.6, 65.0, 8.1, 8.1),
}
_OF_DEVICE = {
    "H200": "h200",
    "H100": "h100",
    "A100": "a100-80",
    "L40S": "l40s",
    "5090": "rtx5090",
    "4090": "rtx4090",
    "3090": "rtx3090",
    "V100": "v100-32",
    "T4": "t4",
}
"""Cards by what stands in the names that CUDA gives them. Variants with fewer watts or cores reach less."""


def card_named(text: str) -> Card:
    """The card of that name, or one of so many gigabytes: `h200`, `24GB`, `24`.

    Raises:
        ValueError: It is neither.
    """
    if text.lower() in CARDS:
        return CARDS[text.lower()]
    size = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(?:GB|GiB)?", text, re.IGNORECASE)
    if size is None or float(size[1]) <= 0:
        raise ValueError(
            f"--card: {text!r} is unknown; choose one of {', '.join(CARDS)}, or say how many GB, as in 24GB"
        )
    return Card(f"{float(size[1]):g} GB", float(size[1]), None)


def card_of_device(name: str) -> Card | None:
    """The card that a device is; None if its name is not known.

    Args:
        name: As `torch.cuda.get_device_name` gives it.
    """
    words = re.split(r"[^A-Za-z0-9]+", name)
    return next((CARDS[card] for known, card in _OF_DEVICE.items() if known in words), None)
