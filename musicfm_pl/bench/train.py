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
from musicfm_pl.bench.sizes import RATES, Size
from musicfm_pl.bench.timing import Timed, alternate, outcomes
from musicfm_pl.guard import gradient_norm
from musicfm_pl.systems.pretrain import CompileBackend

STEP = "training step"
GRADIENT_CLIP = 1.0
"""Norm of the gradient, for either way, as in `experiments/base/pretrain.yaml`."""
LEFT_OUT = "reading clips, their way to the device, Lightning's loop and logging, other callbacks, the rate's schedule"
"""What `musicfm fit` does beside the step that is measured."""
Precision = Literal["fp32", "tf32", "bf16"]
Step = Callable[[], None]


class Training(NamedTuple):
    """What is trained.

    Attributes:
        clip_s: Length of a clip.
        rate_hz: Tokens a second.
        batches: Clips a step, one comparison each.
        compiled: Ours compiled too, which takes minutes.
        precisions: Of both ways, the baseline's first; if none all for the public way, and for ours those that are
            fast on the device.
        peak_tflops: Of the device in bfloat16, to state model FLOPs utilisation against.
    """

    clip_s: float
    rate_hz: int
    batches: Sequence[int]
    compiled: bool
    precisions: Sequence[Precision]
    peak_tflops: float | None


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

    Mel and tokens are kept in float32, as ours are: in bfloat16 they would be other targets. The
    gradient is clipped, as ours is.
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
    """A step of `musicfm fit` on one device, but for what `LEFT_OUT` names.

    Each clip's mask is drawn from its own generator, the accuracy is computed beside the loss, the guard looks at loss
    and norm before the gradient is clipped and keeps the batch statistics that a skipped step would go back to.
    """
    system = models.ours.train()
    device = hearing.waveform_BN.device
    statistics = list(system.encoder.buffers())
    kept = [each.clone() for each in statistics]

    def loss() -> Tensor:
        batch = hearing.ours()
        with arithmetic(precision, device):
            return system.figures(batch)[0]

    def guarded(value: Tensor) -> None:
        torch.stack([value.detach().float(), gradient_norm(system)]).tolist()  # waits for the device
        torch._foreach_copy_(kept, statistics)

    return stepping(system.optimizer(), loss, guarded)


def stepping(optimizer: Optimizer, loss: Callable[[], Tensor], guarded: Callable[[Tensor], None] | None = None) -> Step:
    """Forward, backward, clipping and the optimiser's step.

    One that does not fit in memory leaves no gradients and moments.

    Args:
        optimizer: Of all weights.
        loss: Of a batch.
        guarded: What looks at the loss when there are gradients.
    """
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def step() -> None:
        try:
            value = loss()
            optimizer.zero_grad()
            value.backward()
            if guarded is not None:
                guarded(value)
            torch.nn.utils.clip_grad_norm_(weights, GRADIENT_CLIP)
            optimizer.step()
        except torch.OutOfMemoryError:
            optimizer.zero_grad()
            optimizer.state.clear()
            raise

    return step


def ways(size: Size, hearing: Hearing, training: Training) -> dict[str, Step]:
    """The steps that are compared, by name; the first is the baseline.

    Args:
        size: Of the model.
        hearing: Where the clips come from.
        training: What is trained.
    """
    device = hearing.waveform_BN.device

    def fresh(backend: CompileBackend | None = None) -> Pair:
        models = pair(size, training.rate_hz, compile_backend=backend)
        models.ours.to(device)
        return models

    on_gpu = device.type == "cuda"
    asked = tuple(training.precisions)
    own: tuple[Precision, ...] = asked or (("bf16",) if on_gpu else ("fp32", "bf16"))
    models = fresh()
    models.public.to(device)  # one of them is enough, beside ours in all layouts
    found = {
        f"public, {each}": public_step(models, hearing, each)
        for each in asked or (("bf16", "tf32", "fp32") if on_gpu else own)
    }
    found |= {f"ours, {each}": our_step(models, hearing, each) for each in own}
    if on_gpu and "bf16" in own:
        first = fresh()
        first.encoder.front_end.blocks.to(memory_format=torch.contiguous_format)
        found["ours, bf16, channels first"] = our_step(first, hearing, "bf16")
    if training.compiled:
        for each in own:
            found[f"ours, {each}, compiled"] = our_step(fresh("inductor"), hearing, each)
    return found


def train(size: Size, name: str, device: torch.device, training: Training, timed: Timed) -> Iterator[Figure]:
    """Milliseconds a clip of every way, and where they go."""
    clip_s, rate_hz = training.clip_s, training.rate_hz
    flops = 3 * forward_flops(size, clip_s, rate_hz)
    for batch in training.batches:
        steps = ways(size, Hearing(batch, clip_s, device, RATES[rate_hz].hop_length), training)
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
