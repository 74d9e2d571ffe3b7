"""The training step, from the waveform on the device to the optimiser's step, in every precision that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from musicfm_pl.bench.counting import forward_flops
from musicfm_pl.bench.figures import Figure
from musicfm_pl.bench.kernels import kernel_times
from musicfm_pl.bench.pairs import Hearing, Pair, pair
from musicfm_pl.bench.sizes import Size
from musicfm_pl.bench.timing import Timed, alternate, outcomes
from musicfm_pl.systems.pretrain import CompileBackend

STEP = "training step"
Precision = Literal["fp32", "tf32", "bf16"]
Step = Callable[[], None]


@contextmanager
def arithmetic(precision: Precision, device: torch.device) -> Iterator[None]:
    """Products in this precision: TF32 on tensor cores, or bfloat16 by autocast."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    try:
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def public_step(models: Pair, hearing: Hearing, precision: Precision) -> Step:
    """A step of the public way: two mels, tokens of all frames by distances, logits of all frames, plain AdamW.

    Mel and tokens are kept in float32, as ours are: in bfloat16 they would be other targets.
    """
    model = models.public.train()
    device = hearing.waveform_BN.device
    optimizer = torch.optim.AdamW(model.parameters(), lr=models.ours.learning_rate, betas=models.ours.betas)

    def loss() -> Tensor:
        with arithmetic("fp32", device):
            clean_BMF, masked_BMF, mask_BT = hearing.public(model)
            targets_BT = model.tokens(clean_BMF)
        masked_P = mask_BT.flatten().nonzero().squeeze(1)
        with arithmetic(precision, device):
            return model.loss(masked_BMF, targets_BT.flatten()[masked_P], masked_P)

    return stepping(optimizer, loss)


def our_step(models: Pair, hearing: Hearing, precision: Precision) -> Step:
    """A step as Lightning takes it, without Lightning."""
    system = models.ours.train()
    device = hearing.waveform_BN.device
    optimizer = system.optimizer()

    def loss() -> Tensor:
        with arithmetic(precision, device):
            logits_PQK, targets_PQ = system(hearing.ours())
            return system.loss(logits_PQK, targets_PQ)

    return stepping(optimizer, loss)


def stepping(optimizer: Optimizer, loss: Callable[[], Tensor]) -> Step:
    """Forward, backward and the optimiser's step. One that does not fit in memory leaves no gradients and moments."""

    def step() -> None:
        try:
            value = loss()
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
        except torch.OutOfMemoryError:
            optimizer.zero_grad()
            optimizer.state.clear()
            raise

    return step


def ways(size: Size, hearing: Hearing, rate_hz: int, compiled: bool) -> dict[str, Step]:
    """The steps that are compared, by name; the first is the baseline.

    Args:
        size: Of the model.
        hearing: Where the clips come from.
        rate_hz: Tokens a second.
        compiled: Ours compiled too, which takes minutes.
    """
    device = hearing.waveform_BN.device

    def fresh(backend: CompileBackend | None = None) -> Pair:
        models = pair(size, rate_hz, compile_backend=backend)
        models.public.to(device)
        models.ours.to(device)
        return models

    precisions: tuple[Precision, ...] = ("bf16", "tf32", "fp32") if device.type == "cuda" else ("fp32", "bf16")
    own: tuple[Precision, ...] = ("bf16",) if device.type == "cuda" else precisions
    models = fresh()
    found = {f"public, {each}": public_step(models, hearing, each) for each in precisions}
    found |= {f"ours, {each}": our_step(models, hearing, each) for each in own}
    if device.type == "cuda":
        first = fresh()
        first.encoder.front_end.blocks.to(memory_format=torch.contiguous_format)
        found["ours, bf16, channels first"] = our_step(first, hearing, "bf16")
    if compiled:
        for each in own:
            found[f"ours, {each}, compiled"] = our_step(fresh("inductor"), hearing, each)
    return found


class Training(NamedTuple):
    """What is trained.

    Attributes:
        clip_s: Length of a clip.
        rate_hz: Tokens a second.
        batches: Clips a step, one comparison each.
        compiled: Ours compiled too.
        peak_tflops: Of the device in bfloat16, to state model FLOPs utilisation against.
    """

    clip_s: float
    rate_hz: int
    batches: Sequence[int]
    compiled: bool
    peak_tflops: float | None


def train(size: Size, name: str, device: torch.device, training: Training, timed: Timed) -> Iterator[Figure]:
    """Milliseconds a clip of every way, and where they go."""
    clip_s, rate_hz = training.clip_s, training.rate_hz
    flops = 3 * forward_flops(size, clip_s, rate_hz)
    for batch in training.batches:
        steps = ways(size, Hearing(batch, clip_s, device), rate_hz, training.compiled)
        case = f"{name}, {rate_hz} Hz, {clip_s:g} s, batch {batch}"
        timings = alternate(steps, device, timed)
        notes = {}
        for way, timing in timings.items():
            tflops = flops * batch / timing.median_s / 1e12
            share = "" if training.peak_tflops is None else f", {tflops / training.peak_tflops:.1%} of peak"
            notes[way] = f"{tflops:.3g} TFLOP/s{share}, {batch * clip_s / timing.median_s:.0f} audio s/s"
        yield from outcomes(STEP, case, steps, timings, 1e3 / batch, "ms a clip", notes)
        for way in timings:
            for part, seconds in kernel_times(steps[way], device).items():
                yield Figure(f"{STEP}, by part", f"{case}: {way}", part, 1e3 * seconds / batch, "ms a clip")
