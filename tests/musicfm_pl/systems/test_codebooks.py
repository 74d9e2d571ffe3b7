"""The use of codebooks, against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats
import torch
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.systems.codebooks import codebook_use, loss_beside


@given(st.lists(st.integers(0, 50), min_size=2, max_size=40).filter(any))
def test_codebook_use(counts: list[int]) -> None:
    use = codebook_use(torch.tensor(counts, dtype=torch.float))
    entropy = scipy.stats.entropy(np.array(counts) / sum(counts))
    assert use["unigram_loss"] == pytest.approx(entropy, abs=1e-5)
    assert use["perplexity"] == pytest.approx(math.exp(entropy), rel=1e-4)
    assert use["dead_codes"] == counts.count(0)
    assert use["dead_share"] == pytest.approx(counts.count(0) / len(counts), abs=1e-6)
    assert use["commonest_accuracy"] == pytest.approx(max(counts) / sum(counts), abs=1e-6)
    assert use["chance_accuracy"] == 1 / len(counts)
    assert use["chance_loss"] == pytest.approx(np.log(len(counts)))


def test_at_its_ends() -> None:
    alike = codebook_use(torch.full((8,), 3.0))
    assert alike["perplexity"] == pytest.approx(8)
    assert alike["dead_share"] == alike["dead_codes"] == 0
    single = codebook_use(torch.tensor([0.0, 9.0, 0.0, 0.0]))
    assert single["perplexity"] == pytest.approx(1)
    assert single["commonest_accuracy"] == 1
    assert codebook_use(torch.zeros(4))["dead_share"] == 1


@given(st.lists(st.integers(1, 50), min_size=2, max_size=20))
def test_who_knows_nothing_is_at_zero(counts: list[int]) -> None:
    """Losses of torch: of a model that answers alike everywhere, and of one that answers with the frequencies."""
    tokens = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    use = codebook_use(torch.bincount(tokens).float())
    blind = torch.nn.functional.cross_entropy(torch.zeros(len(tokens), len(counts)), tokens).item()
    frequencies = torch.tensor(counts).float().log().expand(len(tokens), -1)
    informed = torch.nn.functional.cross_entropy(frequencies, tokens).item()
    assert loss_beside(blind, use)["loss_above_chance"] == pytest.approx(0, abs=1e-5)
    assert loss_beside(informed, use)["loss_above_unigram"] == pytest.approx(0, abs=1e-5)
    assert loss_beside(informed, use)["loss_above_chance"] <= 1e-5
