"""A 3 x 3 convolution with a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3), as matrix products."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

TILE = 4
"""Outputs of a tile along each axis; it reads `TILE + 2` inputs."""
TILES_AT_ONCE = 256
"""Tiles alive at once: so many that the kernels' 36 matrices are worth reading again for each lot."""

# Points 0, 1, -1, 2, -2 and infinity (arXiv 1509.09308, 4.2): of the inputs, the kernel and the products.
_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0),
    (0.0, -4.0, -4.0, 1.0, 1.0, 0.0),
    (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0),
    (0.0, 2.0, -1.0, -2.0, 1.0, 0.0),
    (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)
_KERNEL = (
    (1 / 4, 0.0, 0.0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0.0, 0.0, 1.0),
)
_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0),
    (0.0, 1.0, -1.0, 2.0, -2.0, 0.0),
    (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)


def convolved(x: Tensor, weight: Tensor, bias: Tensor, tiles_at_once: int = TILES_AT_ONCE) -> Tensor:
    """`F.conv2d(x, weight, bias, padding=1)` for a kernel of 3 x 3, to rounding.

    Along both axes at once a tile is a product with a Kronecker product, so that all the work is in library calls.

    Args:
        x: (B, C, H, W).
        weight: (K, C, 3, 3).
        bias: (K,).
        tiles_at_once: Tiles alive at once, about.

    Returns:
        (B, K, H, W), channels last in memory.
    """
    batch, channels, height, width = x.shape
    num_out = weight.shape[0]
    to_input, to_kernel, to_output = (_both_axes(matrix, x) for matrix in (_INPUT, _KERNEL, _OUTPUT))
    kernels = (to_kernel @ weight.permute(2, 3, 0, 1).reshape(9, -1)).unflatten(1, (num_out, channels))
    rows, columns = -(-height // TILE), -(-width // TILE)
    padding = (0, 0, 1, TILE * columns + 1 - width, 1, TILE * rows + 1 - height)
    padded = F.pad(x.permute(0, 2, 3, 1), padding)
    # (B, rows, columns, C, 6, 6), without a copy.
    tiles = padded.unfold(1, TILE + 2, TILE).unfold(2, TILE + 2, TILE)
    out = x.new_empty(batch, rows * TILE, columns * TILE, num_out)
    rows_at_once = max(1, tiles_at_once // columns)
    for clip in range(batch):
        for first in range(0, rows, rows_at_once):
            some = tiles[clip, first : first + rows_at_once]
            num_rows = some.shape[0]
            inputs = to_input @ some.permute(3, 4, 0, 1, 2).reshape(36, -1)
            products = torch.bmm(inputs.unflatten(1, (-1, channels)), kernels.transpose(1, 2))
            outputs = torch.addmm(bias.repeat(num_rows * columns), to_output, products.flatten(1))
            place = out[clip, first * TILE : (first + num_rows) * TILE].unflatten(0, (num_rows, TILE))
            place = place.unflatten(2, (columns, TILE))
            place.copy_(
                outputs.unflatten(1, (num_rows, columns, num_out)).unflatten(0, (TILE, TILE)).permute(2, 0, 3, 1, 4)
            )
    return out[:, :height, :width].permute(0, 3, 1, 2)


def _both_axes(matrix: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    one_axis = torch.tensor(matrix, dtype=torch.float64)
    return torch.kron(one_axis, one_axis).to(like)
