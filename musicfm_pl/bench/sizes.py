"""The sizes of the models that are compared."""

from __future__ import annotations

from typing import NamedTuple

NUM_CODES, HOP_LENGTH, NUM_MELS = 8192, 240, 128


class Size(NamedTuple):
    """Arguments of `Conformer`, as in `experiments/axes/size/`."""

    dim: int
    num_heads: int
    ffn_dim: int
    conv_channels: int
    num_layers: int = 12


SIZES = {
    "2m": Size(80, 4, 320, 32),
    "10m": Size(176, 4, 704, 64),
    "30m": Size(320, 8, 1280, 128),
    "90m": Size(544, 8, 2176, 256),
    "330m": Size(1024, 16, 4096, 512),
}
STRIDES = {25: (2, 2), 50: (2, 1)}
"""Of the two conv blocks over time, by tokens a second, at `HOP_LENGTH`."""
