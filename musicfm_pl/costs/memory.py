"""How much memory a training step takes on a GPU, counted on tensors without values: no GPU is needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from musicfm_pl.costs.flops import shells
from musicfm_pl.encoders.base import Encoder

STATE_BYTES = 16
"""Of a parameter, all in float32: itself, its gradient, and AdamW's two moments."""
_TRANSIENT = 3
"""Tensors as large as the largest activation that a backward pass holds beside what was saved: the gradient that
comes, the one that goes, and the workspace of a convolution. An estimate."""
_CONTEXT_BYTES = 0.6 * 2**30
"""Of CUDA itself with cuDNN and cuBLAS, about."""
_FRAGMENTS = 0.05
"""Share of what the allocator holds that it cannot give away. An estimate."""


class Activations(NamedTuple):
    """What a forward pass of an encoder keeps for its backward pass.

    Attributes:
        bytes_a_clip: Grows with the batch.
        bytes_once: Does not: the weights as autocast has cast them.
        largest_bytes: Of one clip's share in the largest tensor.
    """

    bytes_a_clip: int
    bytes_once: int
    largest_bytes: int


class Memory(NamedTuple):
    """Bytes on one GPU while it trains, by what they are for."""

    weights: float
    gradients: float
    buckets: float
    optimizer: float
    activations: float
    transient: float
    reserve: float

    @property
    def total(self) -> float:
        """Of all."""
        return sum(self)


def saved_activations(encoder: Encoder, num_frames: int, autocast: bool) -> Activations:
    """Counts the tensors that autograd keeps, each storage once, as eager operations on a GPU keep them.

    Args:
        encoder: Its weights are not looked at; it counts as it is set, to train, with its own checkpointing.
        num_frames: Mel frames F of a clip.
        autocast: In bfloat16 where autocast says so; else all in float32.
    """
    one, largest = _saved_bytes(encoder, 1, num_frames, autocast)
    two, _ = _saved_bytes(encoder, 2, num_frames, autocast)
    return Activations(two - one, max(0, 2 * one - two), largest)


def prediction_bytes(num_classes: int, num_tokens: float, autocast: bool) -> float:
    """Of the logits of so many masked tokens: as they are, in float32, and their logarithmic softmax."""
    return num_classes * num_tokens * (2 + 4 + 4 if autocast else 4 + 4)


def memory(
    num_parameters: int,
    activations: Activations,
    logits_bytes: float,
    batch: int,
    shards: int = 1,
    recomputed_bytes: float = 0.0,
    buckets: bool = False,
) -> Memory:
    """What one GPU holds at the peak, which is taken to be when the backward pass begins.

    Args:
        num_parameters: That learn.
        activations: Of the encoder.
        logits_bytes: Of the prediction layer, a clip.
        batch: Clips.
        shards: GPUs over which weights, gradients and moments are spread.
        recomputed_bytes: Of the largest part whose activations are computed again, a clip.
        buckets: Gradients are copied into those in which DDP exchanges them (Lightning makes them no views of these).
    """
    weights = gradients = 4 * num_parameters / shards
    copies = 4.0 * num_parameters if buckets else 0.0
    kept = activations.bytes_once + batch * (activations.bytes_a_clip + logits_bytes)
    transient = batch * (_TRANSIENT * activations.largest_bytes + recomputed_bytes)
    optimizer = (STATE_BYTES - 8) * num_parameters / shards
    reserve = _CONTEXT_BYTES + _FRAGMENTS * (weights + gradients + copies + optimizer + kept + transient)
    return Memory(weights, gradients, copies, optimizer, kept, transient, reserve)


def largest_batch(needed: Callable[[int], float], available: float, limit: int = 1 << 16) -> int:
    """The largest batch whose memory is available, 0 if there is none.

    Args:
        needed: Bytes for a batch; more for a larger one.
        available: Bytes.
        limit: No batch is larger.
    """
    fits, too_many = 0, limit + 1
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if needed(middle) <= available else (fits, middle)
    return fits


def _saved_bytes(encoder: Encoder, clips: int, num_frames: int, autocast: bool) -> tuple[int, int]:
    sizes: dict[int, int] = {}
    held: list[Any] = []  # a storage that is gone could lend its address to another
    with FakeTensorMode():
        weights = shells(encoder, "cuda")
        own = {_address(weight) for weight in weights.values()}

        def keep(tensor: Tensor) -> Tensor:
            if (address := _address(tensor)) not in own:
                held.append(tensor)
                sizes[address] = tensor.untyped_storage().nbytes()
            return tensor

        mel_BMF = torch.empty(clips, encoder.num_mels, num_frames, device="cuda")
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            _autocast_without_gpu(autocast),
            _FlashAttention(),
        ):
            held.append(functional_call(encoder, weights, (mel_BMF,))[-1])
    return sum(sizes.values()), max(sizes.values()) // clips


def _address(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)


@contextmanager
def _autocast_without_gpu(enabled: bool) -> Iterator[None]:
    """`torch.autocast` switches itself off where there is no GPU; this is what it would do where there is one."""
    before = torch.is_autocast_enabled("cuda"), torch.get_autocast_dtype("cuda")
    torch.set_autocast_enabled("cuda", enabled)
    torch.set_autocast_dtype("cuda", torch.bfloat16)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        if torch.autocast_decrement_nesting() == 0:
            torch.clear_autocast_cache()
        torch.set_autocast_enabled("cuda", before[0])
        torch.set_autocast_dtype("cuda", before[1])


class _FlashAttention(TorchFunctionMode):
    """Attention as a GPU computes it: without one, torch would choose the way that keeps T x T weights."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        dropout = kwargs.get("dropout_p", 0.0)
        if torch.is_autocast_enabled("cuda"):
            query, key, value = (tensor.to(torch.bfloat16) for tensor in args[:3])
            return torch.ops.aten._scaled_dot_product_flash_attention(query, key, value, dropout)[0]
        return torch.ops.aten._scaled_dot_product_efficient_attention(*args[:3], None, True, dropout)[0]
