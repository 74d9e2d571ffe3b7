"""Context is an argument of every head that has frames, and reaches as far as it says."""

import pytest
import torch

from musicfm_pl.heads.base import Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure

HEADS = pytest.mark.parametrize("head", [Beat, Chord, Key, Structure])


def frames_that_differ(head: Head) -> list[int]:
    """Frames of output that change with frame 32 of 64 of the hidden state."""
    head.eval()
    h_BTD = torch.randn(1, 64, head.dim)
    changed = h_BTD.clone()
    changed[0, 32] += 5.0
    with torch.no_grad():
        return (head(h_BTD, 64) != head(changed, 64)).any(dim=-1)[0].nonzero().flatten().tolist()


@HEADS
def test_it_reaches_as_far_as_it_says(head: type[Head]):
    torch.manual_seed(0)
    with_context = frames_that_differ(head(6, hidden_dim=8, context_layers=4))  # type: ignore[call-arg]
    assert (with_context[0], with_context[-1]) == (32 - 15, 32 + 15)
    assert frames_that_differ(head(6, hidden_dim=8)) == [32]  # type: ignore[call-arg]


@HEADS
@pytest.mark.parametrize("arguments", [{"context_layers": -1}, {"context_layers": 2, "hidden_dim": 0}])
def test_what_cannot_be_is_refused(head: type[Head], arguments: dict[str, int]):
    with pytest.raises(ValueError, match=r"head\.context_layers"):
        head(4, **arguments)  # type: ignore[arg-type]
