"""What BatchNorm has to do with speed: folded into the convolution before it, and left alone while recomputing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def folded(conv: nn.Conv1d | nn.Conv2d, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight and bias of the one convolution that does what `conv` and then `norm` do in evaluation.

    Made anew in each call: that costs a pass over the weights, which are far fewer than the activations, and leaves
    no second copy to go stale, to be saved or to be sharded.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    # Running statistics of a model in half precision are too coarse to be divided by.
    precision = torch.promote_types(norm.running_var.dtype, torch.float32)
    scale = norm.weight.to(precision) * torch.rsqrt(norm.running_var.to(precision) + norm.eps)
    bias = norm.bias.to(precision) - norm.running_mean.to(precision) * scale
    if conv.bias is not None:
        bias = bias + conv.bias.to(precision) * scale
    weight = conv.weight.to(precision) * scale.reshape(-1, *(1,) * (conv.weight.dim() - 1))
    return weight.to(conv.weight.dtype), bias.to(conv.weight.dtype)


def layers_to_recompute(count: int, num_layers: int) -> range:
    """The numbers of the layers that `recomputed_layers` asks for.

    A range and no number, since plain attributes tell encoders apart, and this one changes no hidden state.

    Raises:
        ValueError: There are not so many.
    """
    if not 0 <= count <= num_layers:
        raise ValueError(f"encoder.recomputed_layers: there are {num_layers} layers, got {count}")
    return range(count)


def recomputed(function: Callable[..., Tensor], part: nn.Module, *inputs: Tensor) -> Tensor:
    """`function(*inputs)` that keeps only its inputs for the backward pass and is computed again there.

    Args:
        function: Of `part` and the inputs alone.
        part: What it computes with. The second time its BatchNorms leave their running statistics as they are:
            they have seen the batch already.
        inputs: Tensors.
    """
    if not torch.is_grad_enabled():
        return function(*inputs)
    if torch.compiler.is_compiling():
        # The compiler recomputes what the backward pass needs, and no statistic is needed there.
        return checkpoint(function, *inputs, use_reentrant=False)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), _statistics_kept(part)

    return checkpoint(function, *inputs, use_reentrant=False, context_fn=contexts)


@contextmanager
def _statistics_kept(part: nn.Module) -> Iterator[None]:
    # They go on copies: what is kept for the backward pass must be as many tensors as the first time.
    norms = [each for each in part.modules() if isinstance(each, _BatchNorm)]
    buffers = [(norm, name, buffer) for norm in norms for name, buffer in norm.named_buffers()]
    for norm, name, buffer in buffers:
        setattr(norm, name, buffer.clone())
    try:
        yield
    finally:
        for norm, name, buffer in buffers:
            setattr(norm, name, buffer)
