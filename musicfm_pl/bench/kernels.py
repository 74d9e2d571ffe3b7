"""Where the time of a step goes: kernels by the part of the model that they belong to, through torch.profiler."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from musicfm_pl.systems.pretrain import QUANTIZER

PARTS = (
    QUANTIZER,
    "3x3 convs",
    "depthwise convs",
    "attention",
    "BatchNorm",
    "linear layers",
    "loss",
    "LayerNorm",
    "dropout",
    "mel",
    "optimiser",
    "compiled element-wise and norms",
    "the rest",
)

_BY_NAME = (
    ("loss", re.compile(r"log_softmax|nll_loss|cross_entropy")),
    ("attention", re.compile(r"attention|flash|softmax|::bmm|baddbmm")),
    ("BatchNorm", re.compile(r"batch_norm")),
    ("linear layers", re.compile(r"::(add)?mm$|linear")),
    ("LayerNorm", re.compile(r"layer_norm")),
    ("dropout", re.compile(r"dropout|bernoulli")),
    ("mel", re.compile(r"fft|stft")),
    ("optimiser", re.compile(r"adam|_foreach|optimizer", re.IGNORECASE)),
    ("compiled element-wise and norms", re.compile(r"^(triton|cpp_fused|graph_)|CompiledFunction|Inductor")),
)


def part_of(operator: str, shapes: Sequence[Sequence[int]]) -> str:
    """The part of the model that an operator belongs to, one of `PARTS`.

    Args:
        operator: As the profiler names it.
        shapes: Of its inputs. A convolution of clips by channels, time and band is one of the front end, of clips by
            channels and time a depthwise one; some libraries are given a fourth axis of 1 for the latter.
    """
    if "conv" in operator:
        kernels = [shape for shape in shapes if len(shape) == 4 and tuple(shape[2:]) == (3, 3)]
        return "3x3 convs" if kernels else "depthwise convs"
    return next((part for part, pattern in _BY_NAME if pattern.search(operator)), "the rest")


def kernel_times(step: Callable[[], None], device: torch.device) -> dict[str, float]:
    """Seconds that one step spends in each part, without what is 0, longest first.

    Args:
        step: It has run before.
        device: Of a GPU the kernels' time is counted, which the step overlaps with that of the CPU.
    """
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities, record_shapes=True, acc_events=True) as profiled:
        step()
        if on_gpu:
            torch.cuda.synchronize(device)
    seconds = dict.fromkeys(PARTS, 0.0)
    for event in profiled.events():
        if on_gpu and event.device_type != torch.autograd.DeviceType.CPU:
            continue  # the kernel itself: the operator that launched it has its time
        spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
        part = QUANTIZER if _in_quantizer(event) else part_of(event.name, event.input_shapes or ())
        seconds[part] += spent / 1e6
    return {part: spent for part, spent in sorted(seconds.items(), key=lambda item: -item[1]) if spent > 0}


def _in_quantizer(event: FunctionEvent | None) -> bool:
    """Whether it is called where tokens are made, whose products are neither the model's nor attention."""
    while event is not None:
        if event.name == QUANTIZER:
            return True
        event = event.cpu_parent
    return False
