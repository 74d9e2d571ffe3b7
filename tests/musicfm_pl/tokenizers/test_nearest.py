"""The most similar code is that of the whole matrix of similarities, which is never made."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from musicfm_pl.tokenizers import nearest
from musicfm_pl.tokenizers.nearest import most_similar


@given(
    num_frames=st.integers(0, 70),
    num_codes=st.sampled_from([1, 2, 100, 127, 128, 256, 500, 1024]),
    with_offsets=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_it_is_the_first_of_the_largest(num_frames: int, num_codes: int, with_offsets: bool, seed: int) -> None:
    """Of small whole numbers many products are equal, and all are exact."""
    generator = torch.Generator().manual_seed(seed)
    frames_TD = torch.randint(-2, 3, (num_frames, 5), generator=generator).float()
    codes_KD = torch.randint(-2, 3, (num_codes, 5), generator=generator).float()
    offsets_K = torch.randint(-2, 3, (num_codes,), generator=generator).float() if with_offsets else None
    alike_TK = frames_TD @ codes_KD.T - (0 if offsets_K is None else offsets_K)
    first_T = (alike_TK == alike_TK.amax(dim=1, keepdim=True)).int().argmax(dim=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nearest, "_CHUNK_BYTES", {"cpu": 4 * num_codes * 9})
        assert torch.equal(most_similar(frames_TD, codes_KD, offsets_K), first_T)
        patch.setattr(nearest, "_CHUNK_BYTES", {"cpu": 1})
        assert torch.equal(most_similar(frames_TD, codes_KD, offsets_K), first_T)


def test_the_matrix_is_never_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    mm = torch.mm

    def watched(one: Tensor, other: Tensor, out: Tensor) -> Tensor:
        sizes.append(out.numel() * out.element_size())
        return mm(one, other, out=out)

    monkeypatch.setattr(torch, "mm", watched)
    most_similar(torch.randn(3000, 16), torch.randn(8192, 16))
    assert len(sizes) > 1 and max(sizes) <= 2**23 and sum(sizes) == 4 * 3000 * 8192
