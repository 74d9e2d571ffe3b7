"""The conv front end against a plain one with the names and the layout of the authors' checkpoints."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from musicfm_pl.encoders.conv_front_end import ConvFrontEnd
from musicfm_pl.encoders.hf_names import front_end_state_from_authors


class PlainBlock(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels_in, channels, 3, stride=stride, padding=1)
        self.bn3 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return torch.relu(residual + self.bn3(self.conv3(x)))


class Plain(nn.Module):
    """What study.md says of the front end, over (band, time), one token after the other."""

    def __init__(self, dim: int, num_mels: int, channels: int, time_strides: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            PlainBlock(1, channels, (2, time_strides[0])),
            PlainBlock(channels, channels, (2, time_strides[1])),
        )
        self.linear = nn.Linear(channels * num_mels // 4, dim)

    def forward(self, mel_BMF: Tensor) -> Tensor:
        x = self.conv(mel_BMF[:, None])
        return torch.stack([self.linear(x[..., t].flatten(1)) for t in range(x.shape[-1])], dim=1)


def pair(time_strides: tuple[int, int], num_mels: int = 32) -> tuple[Plain, ConvFrontEnd]:
    torch.manual_seed(0)
    plain = Plain(24, num_mels, 6, time_strides)
    with torch.no_grad():
        for module in plain.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 2)
                module.bias.normal_()
    ours = ConvFrontEnd(24, num_mels, 6, time_strides)
    ours.load_state_dict(front_end_state_from_authors(plain.state_dict(), num_bands=num_mels // 4))
    return plain, ours


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("time_strides", [(2, 2), (2, 1), (1, 1)])
@pytest.mark.parametrize("num_frames", [40, 37, 3])
def test_equals_the_plain_one(training: bool, time_strides: tuple[int, int], num_frames: int) -> None:
    plain, ours = (module.train(training) for module in pair(time_strides))
    mel_BMF = torch.randn(3, 32, num_frames)
    expected, actual = plain(mel_BMF), ours(mel_BMF)
    assert actual.shape == (3, math.ceil(num_frames / math.prod(time_strides)), 24)
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=1e-4)
    weight = torch.randn_like(expected)
    (expected * weight).sum().backward()
    (actual * weight).sum().backward()
    gradients = front_end_state_from_authors(
        {name: parameter.grad for name, parameter in plain.named_parameters()}, num_bands=8
    )
    for name, parameter in ours.named_parameters():
        scale = gradients[name].abs().max()
        # A bias before batch statistics has no gradient but rounding.
        torch.testing.assert_close(parameter.grad, gradients[name], atol=1e-3 * scale.item() + 1e-3, rtol=0)


def test_batch_statistics_are_kept_as_in_the_plain_one() -> None:
    plain, ours = pair((2, 2))
    mel_BMF = torch.randn(3, 32, 40)
    plain(mel_BMF)
    ours(mel_BMF)
    expected = front_end_state_from_authors(plain.state_dict(), num_bands=8)
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, expected[name], atol=1e-5, rtol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    num_frames=st.integers(1, 60),
    num_mels=st.integers(1, 20),
    time_strides=st.tuples(st.integers(1, 3), st.integers(1, 3)),
)
def test_any_length_gives_the_ceiling(num_frames: int, num_mels: int, time_strides: tuple[int, int]) -> None:
    front_end = ConvFrontEnd(8, num_mels, 2, time_strides).eval()
    with torch.no_grad():
        h_BTD = front_end(torch.randn(2, num_mels, num_frames))
    assert h_BTD.shape == (2, math.ceil(num_frames / math.prod(time_strides)), 8)


def test_activations_are_channels_last_even_after_loading_and_casting() -> None:
    front_end = pair((2, 2))[1].double()
    x = front_end.blocks(torch.randn(2, 1, 40, 32, dtype=torch.double))
    assert x.is_contiguous(memory_format=torch.channels_last)
    for conv in (each for each in front_end.modules() if isinstance(each, nn.Conv2d)):
        _, in_channels, height, width = conv.weight.shape
        assert conv.weight.stride() == (in_channels * height * width, 1, in_channels * width, in_channels)
    # So that the linear layer reads a view.
    assert x.permute(0, 2, 3, 1).flatten(2).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("recomputed_blocks", [(), (0,), (0, 1)], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_so_is_every_activation_and_every_gradient_of_one(recomputed_blocks: tuple[int, ...], turned: bool) -> None:
    """Of one channel torch takes the order to be channels-first, if it can: the first convolutions' is a copy then."""
    front_end = ConvFrontEnd(24, 32, 6, recomputed_blocks=recomputed_blocks)
    norms = [module for module in front_end.modules() if isinstance(module, nn.BatchNorm2d)]
    found: list[Tensor] = []

    def look(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        found.extend((inputs[0], output))
        if inputs[0].requires_grad:
            inputs[0].register_hook(found.append)

    for norm in norms:
        norm.register_forward_hook(look)
    mel_BMF = torch.randn(2, 40, 32).transpose(1, 2) if turned else torch.randn(2, 32, 40)
    front_end(mel_BMF).square().sum().backward()
    assert len(found) >= 3 * len(norms)
    assert all(each.is_contiguous(memory_format=torch.channels_last) for each in found)


@pytest.mark.parametrize("shape", [(1, 64, 40), (128, 40), (1, 128, 0), (1, 1, 128, 40)])
def test_other_mel_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="128 bands"):
        ConvFrontEnd(8, 128, 2)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_strides": (2, 0)}, "time_strides"),
        ({"time_strides": (2, 2, 2)}, "time_strides"),
        ({"channels": 0}, "conv_channels"),
        ({"num_mels": 0}, "num_mels"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvFrontEnd(8, **arguments)  # type: ignore[arg-type]


def test_other_names_are_refused() -> None:
    with pytest.raises(ValueError, match=r"conv\.0\.conv9\.weight"):
        front_end_state_from_authors({"conv.0.conv9.weight": torch.zeros(1)})
