"""Weights of the reference implementations under our names: HF transformers, and the authors' front end."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

_CONFORMER = {
    "ffn1_layer_norm": "ffn1_norm",
    "ffn1.intermediate_dense": "ffn1.up",
    "ffn1.output_dense": "ffn1.down",
    "self_attn_layer_norm": "attention_norm",
    "self_attn.linear_v": "attention.value",
    "self_attn.linear_out": "attention.out",
    "conv_module.layer_norm": "conv.norm",
    "conv_module.pointwise_conv1": "conv.up",
    "conv_module.depthwise_conv": "conv.depthwise",
    "conv_module.batch_norm": "conv.batch_norm",
    "conv_module.pointwise_conv2": "conv.down",
    "ffn2_layer_norm": "ffn2_norm",
    "ffn2.intermediate_dense": "ffn2.up",
    "ffn2.output_dense": "ffn2.down",
    "final_layer_norm": "norm",
}
_BERT = {
    "attention.v_proj": "attention.value",
    "attention.out_proj": "attention.out",
    "layer_norm": "attention_norm",
    "feed_forward.intermediate_dense": "ffn.up",
    "feed_forward.output_dense": "ffn.down",
    "final_layer_norm": "ffn_norm",
}
_POSITIONS = {
    "pos_conv_embed.conv.parametrizations.weight.original0": "positions.magnitude",
    "pos_conv_embed.conv.parametrizations.weight.original1": "positions.direction",
    # The same before torch 2.
    "pos_conv_embed.conv.weight_g": "positions.magnitude",
    "pos_conv_embed.conv.weight_v": "positions.direction",
    "pos_conv_embed.conv.bias": "positions.bias",
}
_FRONT_END = {
    "conv1": "conv1",
    "bn1": "norm1",
    "conv2": "conv2",
    "bn2": "norm2",
    "conv3": "shortcut",
    "bn3": "shortcut_norm",
}


def conformer_state_from_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names of the weights of HF `Wav2Vec2ConformerEncoder` with rotary positions.

    Args:
        state: Its state dict, without a prefix. `pos_conv_embed.*` and `embed_positions.*` are passed over:
            the reference does not use the former, and the latter follow from the sizes.

    Returns:
        All weights of `Conformer` but those of `front_end`.

    Raises:
        ValueError: A name that such an encoder does not have, or a projection that is missing.
    """
    return _layers(
        {key: value for key, value in state.items() if not key.startswith(("pos_conv_embed.", "embed_positions."))},
        _CONFORMER,
        ("self_attn.linear_q", "self_attn.linear_k"),
    )


def bert_state_from_hf(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our names of the weights of HF `HubertEncoder` or `HubertEncoderStableLayerNorm` (`pre_norm`).

    Args:
        state: Its state dict, without a prefix.

    Returns:
        All weights of `Bert` but those of `front_end`.

    Raises:
        ValueError: A name that such an encoder does not have, or a projection that is missing.
    """
    positions = {_POSITIONS[key]: value for key, value in state.items() if key in _POSITIONS}
    rest = {key: value for key, value in state.items() if key not in _POSITIONS}
    return positions | _layers(rest, _BERT, ("attention.q_proj", "attention.k_proj"))


def front_end_state_from_authors(state: Mapping[str, Tensor], num_bands: int = 32) -> dict[str, Tensor]:
    """Our layout of the weights of the authors' conv front end.

    Theirs runs over (band, time) and its linear layer reads channels first; ours over (time, band), bands
    first.

    Args:
        state: The part of their state dict under `conv.`: `conv.{0,1}.*` and `linear.*`.
        num_bands: Bands that the linear layer sees: a quarter of the mel bands.

    Returns:
        All weights of `ConvFrontEnd`.

    Raises:
        ValueError: A name that their front end does not have.
    """
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        if key == "linear.weight":
            ours[key] = value.unflatten(1, (-1, num_bands)).transpose(1, 2).flatten(1)
        elif key == "linear.bias":
            ours[key] = value
        else:
            parts = key.split(".")
            if len(parts) != 4 or parts[0] != "conv" or parts[2] not in _FRONT_END:
                raise ValueError(f"the authors' front end has no weight named {key!r}")
            value = value.transpose(2, 3).contiguous() if value.ndim == 4 else value
            ours[f"blocks.{parts[1]}.{_FRONT_END[parts[2]]}.{parts[3]}"] = value
    return ours


def _layers(state: Mapping[str, Tensor], names: Mapping[str, str], query_key: tuple[str, str]) -> dict[str, Tensor]:
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("layer_norm."):
            ours[f"norm.{key.removeprefix('layer_norm.')}"] = value
            continue
        prefix, number, rest = (*key.split(".", 2), "", "")[:3]
        module, _, weight = rest.rpartition(".")
        layer = f"layers.{number}"
        if prefix == "layers" and module in query_key:
            both = [f"{layer}.{name}.{weight}" for name in query_key]
            for name in both:
                if name not in state:
                    raise ValueError(f"the state dict has {key!r} but not {name!r}")
            ours[f"{layer}.attention.query_key.{weight}"] = torch.cat([state[name] for name in both])
        elif prefix == "layers" and module in names:
            # A pointwise convolution is a linear layer.
            linear = module.endswith(("pointwise_conv1", "pointwise_conv2"))
            ours[f"{layer}.{names[module]}.{weight}"] = value.squeeze(2) if linear else value
        else:
            raise ValueError(f"the state dict has {key!r}, which is no weight of this kind of encoder")
    return ours
