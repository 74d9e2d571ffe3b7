"""The sizes and token rates of the models that are compared."""

from __future__ import annotations

from typing import NamedTuple

NUM_CODES, NUM_MELS = 8192, 128


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
    "660m": Size(1024, 16, 4096, 512, num_layers=26),
}


class Rate(NamedTuple):
    """What makes tokens of a rate, as in `experiments/axes/rate/`.

    Attributes:
        hop_length: Samples between mel frames.
        time_strides: Of the two conv blocks; a token stacks as many frames as their product.
    """

    hop_length: int
    time_strides: tuple[int, int]


RATES = {25: Rate(240, (2, 2)), 50: Rate(240, (2, 1)), 75: Rate(320, (1, 1))}
"""By tokens a second."""
