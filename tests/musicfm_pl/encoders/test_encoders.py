"""What is particular to each encoder: sizes, positions, and settings that do not fit."""

import math

import pytest
import torch

from musicfm_pl.encoders import conformer
from musicfm_pl.encoders.attention import rotary_table, rotate
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.mel_frames import MelFrames

SMALL = {"dim": 32, "num_layers": 2, "num_heads": 4, "ffn_dim": 64, "num_mels": 16, "conv_channels": 4}


@pytest.mark.parametrize(
    ("encoder", "num_layers", "millions"), [(Conformer, 12, 330), (Conformer, 24, 660), (Bert, 24, 330)]
)
def test_number_of_parameters_is_the_study_s(encoder: type[Conformer | Bert], num_layers: int, millions: float) -> None:
    with torch.device("meta"):
        model = encoder(num_layers=num_layers)
    count = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    # The study rounds, and may count its prediction layer (8192 codes: 8 M). Twice the layers are not twice
    # the front end, so that "660 M" is 606 M.
    assert count == pytest.approx(millions, rel=0.05 if millions < 600 else 0.09)


def test_rotary_products_depend_on_distance_alone() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 16)
    table = rotary_table(40, 16, torch.device("cpu"))
    turned_q, turned_k = (rotate(x.expand(1, 40, 16), table)[0] for x in (q, k))
    scores = turned_q @ turned_k.T
    for distance in (0, 1, 7, -13):
        diagonal = scores.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned_q.norm(dim=1), q.norm().expand(40))
    assert torch.equal(turned_q[0], q)
    # The slowest pair turns by 10000^(-14/16) radians a token.
    expected = math.cos(1e4 ** (-14 / 16) * 39)
    assert table[0, 39, 7].item() == pytest.approx(expected) == table[0, 39, 15].item()


def test_one_rotary_table_serves_all_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(num_tokens: int, head_dim: int, device: torch.device) -> torch.Tensor:
        made.append(num_tokens)
        return rotary_table(num_tokens, head_dim, device)

    monkeypatch.setattr(conformer, "rotary_table", counted)
    model = Conformer(**{**SMALL, "num_layers": 3}).eval()
    model(torch.randn(2, 16, 40))
    assert made == [40 // model.stride]


@pytest.mark.parametrize("encoder", [Conformer, Bert])
def test_order_matters(encoder: type[Conformer | Bert]) -> None:
    """Without positions, tokens in another order would give the same states in that order."""
    torch.manual_seed(0)
    # The kernels of the convolutions over time would see order too: here they see one token.
    alone = {"kernel_size": 1} if encoder is Conformer else {"position_kernel": 3}
    model = encoder(**SMALL, **alone).eval()
    model.front_end = torch.nn.Identity()  # type: ignore[assignment]
    h_BTD = torch.randn(1, 9, 32)
    order = torch.randperm(9)
    assert not torch.allclose(model(h_BTD)[-1][:, order], model(h_BTD[:, order])[-1], atol=1e-3)


def test_one_clip_does_not_hear_another() -> None:
    for model in (Conformer(**SMALL).eval(), Bert(**SMALL).eval()):
        mel_BMF = torch.randn(3, 16, 50)
        alone = model(mel_BMF[1:2])[-1]
        torch.testing.assert_close(model(mel_BMF)[-1][1:2], alone, atol=1e-5, rtol=1e-5)


def test_mel_frames_are_the_mel() -> None:
    mel_BMF = torch.randn(2, 8, 10)
    (h_BTD,) = MelFrames(4, 8)(mel_BMF)
    assert h_BTD.shape == (2, 3, 32)
    assert torch.equal(h_BTD[1, 1, 8:16], mel_BMF[1, :, 5])
    assert torch.equal(h_BTD[1, 2, :16], mel_BMF[1, :, 8:10].T.flatten())
    assert not h_BTD[:, 2, 16:].any()


@pytest.mark.parametrize(
    ("encoder", "arguments", "message"),
    [
        (Conformer, {"num_heads": 5}, "num_heads"),
        (Conformer, {"num_heads": 32}, "pairs"),
        (Conformer, {"num_heads": 0}, "num_heads"),
        (Conformer, {"kernel_size": 30}, "odd"),
        (Conformer, {"num_layers": 0}, "num_layers"),
        (Conformer, {"ffn_dim": 0}, "ffn_dim"),
        (Conformer, {"time_strides": (0, 2)}, "time_strides"),
        (Conformer, {"dropout": 1.5}, "dropout"),
        (Bert, {"num_heads": 5}, "num_heads"),
        (Bert, {"position_groups": 5}, "position_groups"),
        (Bert, {"position_kernel": 0}, "position_kernel"),
        (Bert, {"num_layers": 0}, "num_layers"),
        (Bert, {"dim": 0}, "dim"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    encoder: type[Conformer | Bert], arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encoder(**(SMALL | arguments))  # type: ignore[arg-type]


def test_mel_frames_refuse_bad_settings_and_other_mel() -> None:
    with pytest.raises(ValueError, match="stride"):
        MelFrames(0)
    with pytest.raises(ValueError, match="8 bands"):
        MelFrames(4, 8)(torch.zeros(1, 9, 10))
