"""The code that a frame is most similar to: one matrix product and an argmax, in pieces that stay small."""

from __future__ import annotations

import torch
from torch import Tensor

_CHUNK_BYTES = {"cpu": 2**23, "other": 2**25}
"""Similarities alive at once, by device: what a cache holds, or what keeps a GPU busy. The whole matrix of a batch
would be gigabytes (T x K floats)."""
_BLOCK = 128
"""Of so many similarities a CPU first finds the largest: many times faster than where it is."""


@torch.no_grad()
def most_similar(frames_TD: Tensor, codes_KD: Tensor, offsets_K: Tensor | None = None) -> Tensor:
    """The code with the largest product with each frame, (T,), int64; of several the first. Always in float32.

    Args:
        frames_TD: Frames.
        codes_KD: Codes.
        offsets_K: What is taken off the products with each code.
    """
    chunk_bytes = _CHUNK_BYTES["cpu" if frames_TD.device.type == "cpu" else "other"]
    rows = max(1, chunk_bytes // (4 * len(codes_KD)))
    # In bfloat16 up to 4 % of the tokens would change.
    with torch.autocast(frames_TD.device.type, enabled=False):
        codes_DK = codes_KD.float().T
        chunks = frames_TD.float().split(rows)
        # One piece of memory for all: to get it anew costs a CPU more than the product.
        alike_RK = frames_TD.new_empty(len(chunks[0]), len(codes_KD), dtype=torch.float32)
        found = []
        for chunk_RD in chunks:
            out = alike_RK[: len(chunk_RD)]
            if offsets_K is None:
                torch.mm(chunk_RD, codes_DK, out=out)
            else:
                torch.addmm(offsets_K, chunk_RD, codes_DK, beta=-1, out=out)
            found.append(_argmax(out))
        return torch.cat(found)


def _argmax(alike_RK: Tensor) -> Tensor:
    num_codes = alike_RK.shape[1]
    if alike_RK.device.type != "cpu" or num_codes % _BLOCK:
        return alike_RK.argmax(dim=1)
    blocks_RNB = alike_RK.unflatten(1, (-1, _BLOCK))
    block_R = blocks_RNB.amax(dim=2).argmax(dim=1)
    within_R = blocks_RNB[torch.arange(len(block_R)), block_R].argmax(dim=1)
    return block_R * _BLOCK + within_R
