"""Our encoders with the weights of HF transformers' give the same hidden states and gradients."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from transformers import HubertConfig, Wav2Vec2ConformerConfig
from transformers.models.hubert.modeling_hubert import HubertEncoder, HubertEncoderStableLayerNorm
from transformers.models.wav2vec2_conformer.modeling_wav2vec2_conformer import Wav2Vec2ConformerEncoder

from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.hf_names import bert_state_from_hf, conformer_state_from_hf

SMALL = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 96, "num_hidden_layers": 3}
STUDY = {"hidden_size": 1024, "num_attention_heads": 16, "intermediate_size": 4096, "num_hidden_layers": 2}


class Given(nn.Module):
    """In the place of the front end: hands on what stands for its output."""

    def forward(self, h_BTD: Tensor) -> Tensor:
        return h_BTD


def randomise(module: nn.Module) -> None:
    """Norms and batch statistics that are not the identity, so that a wrong name shows."""
    with torch.no_grad():
        for part in module.modules():
            if isinstance(part, nn.LayerNorm | nn.BatchNorm1d):
                part.weight.uniform_(0.5, 1.5)
                part.bias.normal_(std=0.2)
            if isinstance(part, nn.BatchNorm1d):
                part.running_mean.normal_()
                part.running_var.uniform_(0.5, 2)


def install(ours: Encoder, state: dict[str, Tensor]) -> None:
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(name.startswith("front_end.") for name in missing)
    ours.front_end = Given()  # type: ignore[assignment]


def conformers(sizes: dict[str, int]) -> tuple[nn.Module, Encoder]:
    torch.manual_seed(0)
    # What `facebook/wav2vec2-conformer-rope-large-960h-ft` sets otherwise than the defaults.
    config = Wav2Vec2ConformerConfig(**sizes, position_embeddings_type="rotary", hidden_act="swish", layerdrop=0.0)
    theirs = Wav2Vec2ConformerEncoder(config)
    randomise(theirs)
    ours = Conformer(**ours_of(sizes), num_mels=8, conv_channels=2)
    install(ours, conformer_state_from_hf(theirs.state_dict()))
    return theirs, ours


def berts(sizes: dict[str, int], pre_norm: bool) -> tuple[nn.Module, Encoder]:
    torch.manual_seed(0)
    config = HubertConfig(**sizes, do_stable_layer_norm=pre_norm, layerdrop=0.0, attn_implementation="eager")
    theirs = (HubertEncoderStableLayerNorm if pre_norm else HubertEncoder)(config)
    randomise(theirs)
    with torch.no_grad():
        # As initialised the weight norm has no effect.
        theirs.pos_conv_embed.conv.parametrizations.weight.original0.mul_(1.7)
    ours = Bert(**ours_of(sizes), pre_norm=pre_norm, num_mels=8, conv_channels=2)
    install(ours, bert_state_from_hf(theirs.state_dict()))
    return theirs, ours


def ours_of(sizes: dict[str, int]) -> dict[str, int]:
    return {
        "dim": sizes["hidden_size"],
        "num_heads": sizes["num_attention_heads"],
        "ffn_dim": sizes["intermediate_size"],
        "num_layers": sizes["num_hidden_layers"],
    }


PAIRS: dict[str, Callable[[], tuple[nn.Module, Encoder]]] = {
    "conformer-small": lambda: conformers(SMALL),
    "conformer-study": lambda: conformers(STUDY),
    "bert-large-small": lambda: berts(SMALL, pre_norm=True),
    "bert-base-small": lambda: berts(SMALL, pre_norm=False),
    "bert-large-study": lambda: berts(STUDY, pre_norm=True),
}


@pytest.mark.parametrize("name", PAIRS)
def test_hidden_states_are_those_of_hf(name: str) -> None:
    theirs, ours = (module.eval() for module in PAIRS[name]())
    for num_tokens in (125, 1, 30, 63, 750):
        if num_tokens == 750 and name.endswith("study"):
            continue
        h_BTD = torch.randn(2, num_tokens, ours.dim)
        with torch.no_grad():
            expected = theirs(h_BTD.clone(), output_hidden_states=True).hidden_states
            actual = ours(h_BTD)
        assert len(actual) == len(expected) == ours.num_layers + 1
        for a, b in zip(actual, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["conformer-small", "bert-large-small", "bert-base-small"])
@pytest.mark.parametrize("training", [False, True])
def test_gradients_are_those_of_hf(name: str, training: bool) -> None:
    theirs, ours = PAIRS[name]()
    for module in (*theirs.modules(), *ours.modules()):
        module.train(training)
        # With batch statistics, but no dropout: that is random.
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
    h_BTD, weight = torch.randn(2, 40, ours.dim), torch.randn(2, 40, ours.dim)
    inputs = [h_BTD.clone().requires_grad_(), h_BTD.clone().requires_grad_()]
    (theirs(inputs[0] * 1).last_hidden_state * weight).sum().backward()
    (ours(inputs[1] * 1)[-1] * weight).sum().backward()
    close(inputs[1].grad, inputs[0].grad)
    # The two have the same names of gradients as of weights.
    rename = conformer_state_from_hf if name.startswith("conformer") else bert_state_from_hf
    expected = rename({key: value.grad for key, value in theirs.named_parameters() if value.grad is not None})
    actual = dict(ours.named_parameters())
    assert set(expected) == set(actual)
    for key, gradient in expected.items():
        close(actual[key].grad, gradient)


def close(actual: Tensor | None, expected: Tensor | None) -> None:
    assert actual is not None and expected is not None
    assert (actual - expected).norm() <= 1e-3 * expected.norm() + 1e-5


def test_dropout_works_in_training_only() -> None:
    for name in ("conformer-small", "bert-large-small"):
        ours = PAIRS[name]()[1]
        h_BTD = torch.randn(1, 20, ours.dim)
        assert not torch.equal(ours(h_BTD)[-1], ours(h_BTD)[-1])
        ours.eval()
        assert torch.equal(ours(h_BTD)[-1], ours(h_BTD)[-1])


@pytest.mark.parametrize("rename", [conformer_state_from_hf, bert_state_from_hf])
@pytest.mark.parametrize("key", ["layers.0.adapter_layer.norm.weight", "lm_head.weight", "layers.0"])
def test_other_weights_are_refused(rename: Callable[[dict[str, Tensor]], object], key: str) -> None:
    with pytest.raises(ValueError, match=key):
        rename({key: torch.zeros(1)})


def test_half_a_projection_is_refused() -> None:
    with pytest.raises(ValueError, match="linear_k"):
        conformer_state_from_hf({"layers.0.self_attn.linear_q.weight": torch.zeros(2, 2)})
    with pytest.raises(ValueError, match="q_proj"):
        bert_state_from_hf({"layers.0.attention.k_proj.weight": torch.zeros(2, 2)})
