"""The study's tokenizer: nearest random code of a random projection (BEST-RQ)."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.tokenizers.base import Tokenizer

_CHUNK_BYTES = 2**25
"""Similarities alive at once, 32 MiB: the whole matrix of a batch would be gigabytes (T x K floats)."""


@final
class RandomProjection(Tokenizer):
    """Frozen random projection, then the nearest of K random codes by cosine (arXiv 2202.01855).

    Projection and codes are drawn once from a generator of its own, so that the same seed gives the same
    tokens whatever else the run draws; they are kept in checkpoints.

    Args:
        frame_dim: Values a token sees; the system passes it.
        num_codes: K (the study: 8192; the released checkpoints: 4096).
        code_dim: Width of the projection and the codes (the study: 16).
        seed: Of the generator (the authors' code: 142).

    Raises:
        ValueError: A size that is not positive.
    """

    projection: Tensor
    codes: Tensor

    def __init__(self, frame_dim: int, num_codes: int = 8192, code_dim: int = 16, seed: int = 142) -> None:
        super().__init__(frame_dim, num_codes)
        for name, value in (("frame_dim", frame_dim), ("num_codes", num_codes), ("code_dim", code_dim)):
            if value < 1:
                raise ValueError(f"tokenizer.{name} must be at least 1, got {value}")
        generator = torch.Generator().manual_seed(seed)
        projection = torch.empty(frame_dim, code_dim)
        nn.init.xavier_normal_(projection, generator=generator)
        codes = torch.randn(num_codes, code_dim, generator=generator)
        self.register_buffer("projection", projection)
        self.register_buffer("codes", F.normalize(codes, dim=1))

    @torch.no_grad()
    def forward(self, frames_TD: Tensor) -> Tensor:
        """See `Tokenizer.forward`.

        The projected frame is not normalised: its length does not change which code is nearest.
        """
        if frames_TD.ndim != 2 or frames_TD.shape[1] != self.frame_dim:
            raise ValueError(
                f"the tokenizer reads stacked frames of shape (tokens, {self.frame_dim}), got {tuple(frames_TD.shape)}"
            )
        # In bfloat16 up to 4 % of the tokens would change.
        with torch.autocast(frames_TD.device.type, enabled=False):
            projected = frames_TD.float() @ self.projection.float()
            codes = self.codes.float().T
            rows = max(1, _CHUNK_BYTES // (4 * self.num_codes))
            chunks = [(chunk @ codes).argmax(dim=1) for chunk in projected.split(rows)]
        return torch.cat(chunks)
