"""What a step keeps, moves and computes, counted on tensors without values: no GPU, no memory, no time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from data_modules import SAMPLE_RATE
from data_modules.masking import WaveNoise
from musicfm_pl.bench.pairs import Pair, pair
from musicfm_pl.bench.sizes import NUM_CODES, Size
from musicfm_pl.costs import flops
from musicfm_pl.costs.flops import masked_tokens, prediction_flops

Loss = Callable[[Pair, Tensor, Tensor], Tensor]
"""Of the models, the masked mel (B, M, F), and the places of the masked tokens, which stand for targets too."""


class Count(NamedTuple):
    """Of one forward and backward pass, a clip.

    Attributes:
        saved_bytes: Activations kept from the forward pass for the backward pass.
        moved_bytes: Read and written by all operators, as if each went to memory.
        flops: Of products and convolutions, but for those within attention, which torch's counter does not know for
            the kernel of the CPU (2 % of the study's model).
    """

    saved_bytes: int
    moved_bytes: int
    flops: int


class _Traffic(TorchDispatchMode):
    """Sums what operators read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.moved_bytes = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        if not (func.is_view or func.namespace == "prim" or func.name().partition(".")[0] in _FREE):
            touched = [each for each in tree_leaves((args, kwargs, out)) if isinstance(each, Tensor)]
            self.moved_bytes += sum(_extent(each) for each in touched)
        return out


_FREE = {"aten::empty", "aten::empty_like", "aten::new_empty", "aten::_unsafe_view", "aten::detach", "aten::lift_fresh"}
"""Operators beside views that touch no memory."""


def _extent(tensor: Tensor) -> int:
    """Bytes that a tensor covers: an expanded one is read once."""
    elements = math.prod(size for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride)
    return elements * tensor.element_size()


class _SiLU(torch.autograd.Function):
    """Swish, whose gradient is one operator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return torch.ops.aten.silu(x)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        # It reads two tensors and writes one, as the kernel does; nobody looks at values.
        return torch.ops.aten.sigmoid_backward(grads[0], x)


def _silu(x: Tensor, inplace: bool = False) -> Tensor:
    out: Tensor = _SiLU.apply(x)
    return out


@contextmanager
def _as_on_gpu() -> Iterator[None]:
    """What operators do on a GPU, for tensors of the CPU: the engine cannot go backward without a GPU.

    On CUDA autocast keeps norms and softmax in float32, attention drops weights without keeping them, and dropout and
    the gradient of swish are one kernel each, where tensors without values fall back on products. Functions are
    exchanged, since a mode of torch would be off while the backward pass computes parts again.
    """
    attention = F.scaled_dot_product_attention

    def kept(query: Tensor, key: Tensor, value: Tensor, dropout_p: float = 0.0) -> Tensor:
        return attention(query, key, value)

    def dropped(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        return torch.native_dropout(x, p, True)[0] if training and p > 0 else x

    def in_float32(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda x, *args, **kwargs: function(x.float(), *args, **kwargs)

    exchanged = (
        (F, "scaled_dot_product_attention", kept),
        (F, "dropout", dropped),
        (F, "silu", _silu),
        (F, "layer_norm", in_float32(F.layer_norm)),
        (F, "softmax", in_float32(F.softmax)),
        (torch, "softmax", in_float32(torch.softmax)),
    )
    originals = [(module, name, getattr(module, name)) for module, name, _ in exchanged]
    for module, name, function in exchanged:
        setattr(module, name, function)
    try:
        yield
    finally:
        for module, name, function in originals:
            setattr(module, name, function)


def _walk(build: Callable[[], Pair], loss: Loss, clip_s: float, batch: int) -> Count:
    with FakeTensorMode():
        models = build()
        models.ours.train()
        models.public.train()
        # Its own layer dropout draws a number and looks at it, which there is none to look at; its parts still train.
        models.public.conformer.training = False
        num_frames, num_masked = _lengths(models, clip_s)
        mel_BMF = torch.empty(batch, models.encoder.num_mels, num_frames)
        masked_P = torch.empty(batch * num_masked, dtype=torch.int64)
        own = {each.untyped_storage()._cdata for each in (*models.public.parameters(), *models.ours.parameters())}
        kept: dict[int, Tensor] = {}

        def keep(tensor: Tensor) -> Tensor:
            if tensor.untyped_storage()._cdata not in own:
                kept[tensor.untyped_storage()._cdata] = tensor
            return tensor

        with _as_on_gpu(), _Traffic() as traffic, FlopCounterMode(display=False) as counter:
            with torch.autocast("cpu", torch.bfloat16), saved_tensors_hooks(keep, lambda tensor: tensor):
                value = loss(models, mel_BMF, masked_P)
            saved = sum(each.untyped_storage().nbytes() for each in kept.values())
            value.backward()
        return Count(saved, traffic.moved_bytes, counter.get_total_flops())


def _lengths(models: Pair, clip_s: float) -> tuple[int, int]:
    """Mel frames of a clip, and how many of its tokens the study masks."""
    masking = WaveNoise()
    num_masked = masked_tokens(clip_s, masking.probability, masking.block_s, models.ours.rate_hz)
    return round(clip_s * SAMPLE_RATE) // models.hop_length, round(num_masked)


def count(build: Callable[[], Pair], loss: Loss, clip_s: float) -> Count:
    """Of a training step in bfloat16 autocast, by the clip.

    It is what a second clip adds to the first: weights, their casts and their gradients do not count.

    Args:
        build: Makes the models.
        loss: One of `public_loss` and `our_loss`.
        clip_s: Length of a clip.
    """
    one, two = (_walk(build, loss, clip_s, batch) for batch in (1, 2))
    return Count(*(more - less for less, more in zip(one, two, strict=True)))


def public_loss(models: Pair, mel_BMF: Tensor, masked_P: Tensor) -> Tensor:
    """Of the public way."""
    return models.public.loss(mel_BMF, masked_P, masked_P)


def our_loss(models: Pair, mel_BMF: Tensor, masked_P: Tensor) -> Tensor:
    """Of ours."""
    num_tokens = mel_BMF.shape[2] // models.encoder.stride
    return models.ours.loss(models.ours.logits(mel_BMF, masked_P, num_tokens), masked_P[:, None])


def forward_flops(size: Size, clip_s: float, rate_hz: int) -> int:
    """Of one forward pass, a clip, with logits at masked tokens, as `musicfm_pl.costs.flops` counts them."""
    with FakeTensorMode():
        models = pair(size, rate_hz)
    num_frames, num_masked = _lengths(models, clip_s)
    of_encoder = flops.forward_flops(models.encoder, num_frames)
    return of_encoder + int(prediction_flops(models.encoder.dim, NUM_CODES, num_masked))
