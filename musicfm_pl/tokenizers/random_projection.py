"""The study's tokenizer: nearest random code of a random projection (BEST-RQ)."""

from __future__ import annotations

from typing import final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from musicfm_pl.tokenizers.base import Tokenizer
from musicfm_pl.tokenizers.nearest import most_similar


@final
class RandomProjection(Tokenizer):
    """Frozen random projection, then the nearest of K random codes by cosine (arXiv 2202.01855).

    Projections and codes are drawn once from a generator of its own, so that the same seed gives the same
    tokens whatever else the run draws; they are kept in checkpoints. Several books, each with a projection of
    its own, see several sides of a frame (arXiv 2303.01037 has 16); the first is what one alone would be.

    Args:
        frame_dim: Values a token sees; the system passes it.
        num_codes: K (the study: 8192; the released checkpoints: 4096).
        code_dim: Width of a projection and its codes (the study: 16).
        num_books: Q, codebooks (the study: 1).
        seed: Of the generator (the authors' code: 142).

    Raises:
        ValueError: A size that is not positive.
    """

    projection: Tensor
    codes: Tensor

    def __init__(
        self, frame_dim: int, num_codes: int = 8192, code_dim: int = 16, num_books: int = 1, seed: int = 142
    ) -> None:
        super().__init__(frame_dim, num_codes, num_books)
        sizes = {"frame_dim": frame_dim, "num_codes": num_codes, "code_dim": code_dim, "num_books": num_books}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"tokenizer.{name} must be at least 1, got {value}")
        generator = torch.Generator().manual_seed(seed)
        projections, books = [], []
        for _ in range(num_books):
            projection = torch.empty(frame_dim, code_dim)
            projections.append(nn.init.xavier_normal_(projection, generator=generator))
            books.append(F.normalize(torch.randn(num_codes, code_dim, generator=generator), dim=1))
        self.register_buffer("projection", torch.stack(projections))  # (Q, frame_dim, code_dim)
        self.register_buffer("codes", torch.stack(books))  # (Q, K, code_dim)

    @torch.no_grad()
    def forward(self, frames_TD: Tensor) -> Tensor:
        """See `Tokenizer.forward`.

        The projected frame is not normalised: its length does not change which code is nearest.
        """
        if frames_TD.ndim != 2 or frames_TD.shape[1] != self.frame_dim:
            raise ValueError(
                f"the tokenizer reads stacked frames of shape (tokens, {self.frame_dim}), got {tuple(frames_TD.shape)}"
            )
        with torch.autocast(frames_TD.device.type, enabled=False):
            projected_QTC = frames_TD.float() @ self.projection.float()
        books = [most_similar(projected, codes) for projected, codes in zip(projected_QTC, self.codes, strict=True)]
        return torch.stack(books, dim=1)
