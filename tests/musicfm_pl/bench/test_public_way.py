"""The two models that are compared are one: the same weights, hidden states, tokens, loss and gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import Mock

import command
import pytest
import torch
import yaml
from torch import nn

from data_modules.batches import masked_tokens
from musicfm_pl.bench.inference import difference, evaluating, quantizer
from musicfm_pl.bench.pairs import Hearing, Pair, pair
from musicfm_pl.bench.sizes import RATES, SIZES, Size
from musicfm_pl.bench.step import GRADIENT_CLIP
from musicfm_pl.bench.timing import Timed
from musicfm_pl.config import layers
from musicfm_pl.encoders import conv_front_end, winograd
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.hf_names import conformer_state_from_hf, front_end_state_from_authors

CPU = torch.device("cpu")
TINY = Size(16, 2, 24, 3, num_layers=2)
SMALL = Size(32, 2, 48, 32, num_layers=2)
"""Has as many channels as Winograd's convolutions need once `WINOGRAD_CHANNELS` is 32."""


@torch.no_grad()
@pytest.mark.parametrize("rate_hz", RATES)
def test_hidden_states_are_the_same(rate_hz: int) -> None:
    models = evaluating(TINY, rate_hz, CPU)
    mel_BMF = Hearing(2, 1.3, CPU, models.hop_length).ours().mel_BMF
    expected = models.public.encode(mel_BMF)
    assert len(expected) == TINY.num_layers + 1
    assert difference(models.encoder(mel_BMF), expected) < 1e-5


@torch.no_grad()
def test_hidden_states_are_those_of_hf_with_every_speed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Front end included: Winograd's convolutions, BatchNorm folded into them, channels last, fused attention."""
    convolved = Mock(wraps=winograd.convolved)
    monkeypatch.setattr(conv_front_end, "WINOGRAD_CHANNELS", SMALL.conv_channels)
    monkeypatch.setattr(conv_front_end, "convolved", convolved)
    models = evaluating(SMALL, 25, CPU)
    mel_BMF = Hearing(2, 2.0, CPU, models.hop_length).ours().mel_BMF
    expected = models.public.encode(mel_BMF)
    assert not convolved.called, "the public way has none of it"
    found = models.encoder(mel_BMF)
    assert convolved.call_count == 2, "the second convolution of either block"
    assert len(found) == len(expected) == SMALL.num_layers + 1
    assert difference(found, expected) < 1e-4


EVERY_SPEED_UP = {"recomputed_layers": 1, "recomputed_blocks": (0, 1), "compile_backend": "aot_eager"}
"""Of training; the kernels of inductor are compared with eager ones in `test_pretrain_computation`."""


@torch.no_grad()
def away_from_kinks(models: Pair) -> None:
    """Half of the channels far above the kink of ReLU and half below it, in both models.

    Of some hundred thousand activations one is so near to it that rounding decides whether its gradient passes.
    """
    norms = [
        [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)] for model in (models.public, models.ours)
    ]
    for ours, theirs in zip(*norms, strict=True):
        for norm in (ours, theirs):
            norm.bias.fill_(3.0)
            norm.bias[::2] = -3.0


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (TINY, {}),
        (TINY, {"recomputed_layers": 2, "recomputed_blocks": (0, 1)}),
        (TINY, {"rate_hz": 75}),
        (SMALL, EVERY_SPEED_UP),
    ],
    ids=["plain", "recomputed", "75 Hz", "every speed-up"],
)
def test_loss_and_gradients_are_the_same(size: Size, options: dict[str, Any]) -> None:
    torch._dynamo.reset()
    models = pair(size, dropout=0.0, num_codes=32, **options)
    away_from_kinks(models)
    batch = Hearing(2, 2.0, CPU, models.hop_length).ours()
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
        # Biases before a BatchNorm have no gradient but rounding.
        assert (ours[name] - expected_gradient).norm() <= 1e-3 * expected_gradient.norm() + 3e-5, name


@torch.no_grad()
@pytest.mark.parametrize("rate_hz", RATES)
def test_both_hear_the_same_mel(rate_hz: int) -> None:
    """torchaudio's transform on one side, our own on the other."""
    models = pair(TINY, rate_hz)
    hearing = Hearing(2, 1.0, CPU, models.hop_length)
    clean_BMF, masked_BMF, mask_BT = hearing.public(models.public)
    batch = hearing.ours()
    torch.testing.assert_close(clean_BMF, batch.mel_BMF, rtol=1e-4, atol=1e-4)
    assert masked_BMF.shape == batch.masked_mel_BMF.shape
    assert mask_BT.shape == (2, rate_hz) == masked_tokens(batch.mask_BF, models.encoder.stride).shape
    # Blocks of 0.4 s, which are ten tokens at 25 Hz, and a tail that is never masked.
    block = 2 * rate_hz // 5
    whole_BT, tail_BT = mask_BT.split([2 * block, rate_hz - 2 * block], dim=1)
    assert torch.equal(whole_BT[:, ::block].repeat_interleave(block, dim=1), whole_BT) and not tail_BT.any()
    assert not torch.equal(clean_BMF, masked_BMF)


def test_ours_masks_by_the_clip_as_training_does() -> None:
    alone, beside = (Hearing(num_clips, 5.0, CPU, 240) for num_clips in (1, 2))
    first_BF, second_BF = beside.ours().mask_BF, beside.ours().mask_BF
    assert torch.equal(alone.ours().mask_BF[0], first_BF[0]), "whatever is beside it"
    drawn = {tuple(mask_F.tolist()) for mask_F in (*first_BF, *second_BF)}
    assert len(drawn) == 4, "no two clips, and no two steps, are masked alike"


@pytest.mark.parametrize("rate_hz", [25, 75])
def test_the_quantizers_agree(rate_hz: int) -> None:
    public, ours = quantizer(CPU, 1, 2.0, rate_hz, Timed(rounds=1))
    assert ours.note == f"{2 * rate_hz} of {2 * rate_hz} tokens identical"
    assert public.ratio is None and ours.ratio is not None


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_what_they_are_called(name: str) -> None:
    with torch.device("meta"):
        encoder = Conformer(**SIZES[name]._asdict())
    millions = sum(parameter.numel() for parameter in encoder.parameters()) / 1e6
    assert millions == pytest.approx(float(name.removesuffix("m")), rel=0.2)


def settings(file: str) -> dict[str, Any]:
    """Of an experiment's YAML and what it extends, by dotted name, without the levels of `init_args`."""
    found: dict[str, Any] = {}

    def walk(content: dict[str, Any], within: tuple[str, ...]) -> None:
        for key, value in content.items():
            name = within if key == "init_args" else (*within, key)
            if isinstance(value, dict):
                walk(value, name)
            else:
                found[".".join(name)] = value

    for layer in layers(command.EXPERIMENTS / file):
        walk(yaml.safe_load(Path(layer).read_text()), ())
    return found


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_those_of_the_experiments(name: str) -> None:
    encoder = {f"model.encoder.{key}": value for key, value in SIZES[name]._asdict().items()}
    axis = {key: value for key, value in settings(f"axes/size/{name}.yaml").items() if key != "extends"}
    assert axis.items() <= encoder.items()


@pytest.mark.parametrize("rate_hz", RATES)
def test_rates_are_those_of_the_experiments(rate_hz: int) -> None:
    axis = settings(f"axes/rate/{rate_hz}hz.yaml")
    rate = RATES[rate_hz]
    assert axis["model.rate_hz"] == rate_hz
    assert axis["model.encoder.time_strides"] == list(rate.time_strides)
    assert axis["data.features.hop_length"] == rate.hop_length


def test_the_study_s_large_model_is_among_the_sizes() -> None:
    assert settings("pretrain/fm8.yaml")["model.encoder.num_layers"] == SIZES["660m"].num_layers


def test_gradients_are_clipped_as_in_the_experiments() -> None:
    assert settings("base/pretrain.yaml")["trainer.gradient_clip_val"] == GRADIENT_CLIP
