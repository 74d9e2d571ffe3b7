"""The two models that are compared are one: the same weights, hidden states, tokens, loss and gradients."""

from __future__ import annotations

import pytest
import torch

from data_modules.batches import masked_tokens
from musicfm_pl.bench.inference import difference, evaluating, quantizer
from musicfm_pl.bench.pairs import Hearing, pair
from musicfm_pl.bench.sizes import SIZES, Size
from musicfm_pl.bench.timing import Timed
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.hf_names import conformer_state_from_hf, front_end_state_from_authors

CPU = torch.device("cpu")
TINY = Size(16, 2, 24, 3, num_layers=2)


@torch.no_grad()
@pytest.mark.parametrize("rate_hz", [25, 50])
def test_hidden_states_are_the_same(rate_hz: int) -> None:
    models = evaluating(TINY, rate_hz, CPU)
    mel_BMF = Hearing(2, 1.3, CPU).ours().mel_BMF
    expected = models.public.encode(mel_BMF)
    assert len(expected) == TINY.num_layers + 1
    assert difference(models.encoder(mel_BMF), expected) < 1e-5


@pytest.mark.parametrize("options", [{}, {"recomputed_layers": 2, "recomputed_blocks": (0, 1)}])
def test_loss_and_gradients_are_the_same(options: dict[str, object]) -> None:
    models = pair(TINY, dropout=0.0, num_codes=32, **options)
    batch = Hearing(2, 2.0, CPU).ours()
    mask_BT = masked_tokens(batch.mask_BF, models.encoder.stride)
    masked_P = mask_BT.flatten().nonzero().squeeze(1)
    targets_P = models.public.tokens(batch.mel_BMF)[mask_BT]
    expected = models.public.train().loss(batch.masked_mel_BMF, targets_P, masked_P)
    logits_PQK, targets_PQ = models.ours.train()(batch)
    assert torch.equal(targets_PQ[:, 0], targets_P)
    found = models.ours.loss(logits_PQK, targets_PQ)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    expected.backward()
    found.backward()
    theirs = {name: each.grad for name, each in models.public.named_parameters() if each.grad is not None}
    front_end = {name.removeprefix("front_end."): each for name, each in theirs.items() if name.startswith("front_end")}
    layers = {name.removeprefix("conformer."): each for name, each in theirs.items() if name.startswith("conformer")}
    renamed = {
        **{f"encoder.front_end.{name}": each for name, each in front_end_state_from_authors(front_end).items()},
        **{f"encoder.{name}": each for name, each in conformer_state_from_hf(layers).items()},
        "prediction.weight": theirs["linear.weight"],
        "prediction.bias": theirs["linear.bias"],
    }
    ours = {name: each.grad for name, each in models.ours.named_parameters()}
    assert ours.keys() == renamed.keys()
    for name, expected_gradient in renamed.items():
        assert (ours[name] - expected_gradient).norm() <= 1e-3 * expected_gradient.norm() + 1e-5, name


@torch.no_grad()
def test_both_hear_the_same_mel() -> None:
    """torchaudio's transform on one side, our own on the other."""
    models, hearing = pair(TINY), Hearing(2, 1.0, CPU)
    clean_BMF, masked_BMF, mask_BT = hearing.public(models.public)
    batch = hearing.ours()
    torch.testing.assert_close(clean_BMF, batch.mel_BMF, rtol=1e-4, atol=1e-4)
    assert masked_BMF.shape == batch.masked_mel_BMF.shape
    assert mask_BT.shape == (2, 25) == masked_tokens(batch.mask_BF, 4).shape
    # Blocks of ten tokens, and a tail that is never masked.
    assert torch.equal(mask_BT[:, :20:10].repeat_interleave(10, dim=1), mask_BT[:, :20]) and not mask_BT[:, 20:].any()
    assert not torch.equal(clean_BMF, masked_BMF)


def test_the_quantizers_agree() -> None:
    public, ours = quantizer(CPU, 1, 2.0, Timed(rounds=1))
    assert ours.note == "50 of 50 tokens identical"
    assert public.ratio is None and ours.ratio is not None


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_what_they_are_called(name: str) -> None:
    with torch.device("meta"):
        encoder = Conformer(**SIZES[name]._asdict())
    millions = sum(parameter.numel() for parameter in encoder.parameters()) / 1e6
    assert millions == pytest.approx(float(name.removesuffix("m")), rel=0.2)
