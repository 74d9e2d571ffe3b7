"""Training steps compared, in every precision that there is: how fast, where the time goes, how much memory."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch

from musicfm_pl.bench.counting import forward_flops
from musicfm_pl.bench.figures import Figure
from musicfm_pl.bench.kernels import kernel_times
from musicfm_pl.bench.pairs import Hearing, Pair, pair
from musicfm_pl.bench.precision import Precision, peak_tflops
from musicfm_pl.bench.sizes import RATES, Size
from musicfm_pl.bench.step import Step, our_step, public_optimizer, public_step
from musicfm_pl.bench.timing import Timed, alternate, attempt, outcomes
from musicfm_pl.costs.cards import Card
from musicfm_pl.systems.pretrain import CompileBackend

STEP = "training step"


class Training(NamedTuple):
    """What is trained.

    Attributes:
        clip_s: Length of a clip.
        rate_hz: Tokens a second.
        batches: Clips a step, one comparison each.
        compile_backend: Ours compiled by it too, which takes minutes with inductor; or None.
        precisions: Of both ways, the baseline's first; if none all for the public way, and for ours those that are
            fast on the device.
        peak_tflops: Of the device in bfloat16, to state model FLOPs utilisation of every precision against.
        card: The device, where its name is known: without `peak_tflops` the peak of each precision is its maker's.
    """

    clip_s: float
    rate_hz: int
    batches: Sequence[int]
    compile_backend: CompileBackend | None
    precisions: Sequence[Precision]
    peak_tflops: float | None
    card: Card | None = None


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
    # One set of moments for all precisions of a model.
    theirs, ours = public_optimizer(models), models.ours.optimizer()
    found = {
        f"public, {each}": public_step(models, hearing, each, theirs)
        for each in asked or (("bf16", "tf32", "fp32") if on_gpu else own)
    }
    found |= {f"ours, {each}": our_step(models, hearing, each, ours) for each in own}
    if on_gpu and "bf16" in own:
        first = fresh()
        first.encoder.front_end.blocks.to(memory_format=torch.contiguous_format)
        found["ours, bf16, channels first"] = our_step(first, hearing, "bf16", first.ours.optimizer())
    if training.compile_backend is not None:
        compiled = fresh(training.compile_backend)
        ours = compiled.ours.optimizer()
        found |= {f"ours, {each}, compiled": our_step(compiled, hearing, each, ours) for each in own}
    return found


def train(size: Size, name: str, device: torch.device, training: Training, timed: Timed) -> Iterator[Figure]:
    """Milliseconds a clip of every way, and where they go; on a GPU its peak of memory, too."""
    flops = 3 * forward_flops(size, training.clip_s, training.rate_hz)
    for batch in training.batches:
        _start_afresh(device, training)
        case = f"{name}, {training.rate_hz} Hz, {training.clip_s:g} s, batch {batch}"
        yield from _compared(size, case, batch, flops, device, training, timed)


def _start_afresh(device: torch.device, training: Training) -> None:
    """Nothing of the comparison before stays: its models, nor what is compiled of them.

    torch compiles the same code only a few times (8), unless it forgets what it compiled.
    """
    if training.compile_backend is not None:
        torch.compiler.reset()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _share(tflops: float, precision: Precision, training: Training) -> str:
    """Of the peak in the precision of the step; of that in bfloat16 where no other was given."""
    of, peak = "bf16", training.peak_tflops
    if peak is None and training.card is not None:
        of, peak = precision, peak_tflops(training.card, precision)
    return "" if peak is None else f", {tflops / peak:.1%} of the {of} peak"


def _compared(
    size: Size, case: str, batch: int, flops: int, device: torch.device, training: Training, timed: Timed
) -> Iterator[Figure]:
    clip_s = training.clip_s
    steps = ways(size, Hearing(batch, clip_s, device, RATES[training.rate_hz].hop_length), training)
    timings = alternate(steps, device, timed)
    notes = {}
    for way, timing in timings.items():
        tflops = flops * batch / timing.median_s / 1e12
        share = _share(tflops, steps[way].precision, training)
        notes[way] = f"{tflops:.3g} TFLOP/s{share}, {batch * clip_s / timing.median_s:.0f} audio s/s"
    yield from outcomes(STEP, case, steps, timings, 1e3 / batch, "ms a clip", notes)
    if device.type == "cuda":
        for step in steps.values():
            step.release()
    for way in timings:
        step = steps[way]
        if device.type == "cuda":
            # With the gradients of the step before it may not fit where it did without.
            (peak,) = attempt(partial(step.peak_bytes, device)) or (None,)
            gib, note = (None, "does not fit in memory") if peak is None else (peak / 2**30, "")
            yield Figure(f"{STEP}, peak memory", case, way, gib, "GiB", note=note)
        for part, seconds in kernel_times(step, device).items():
            yield Figure(f"{STEP}, by part", f"{case}: {way}", part, 1e3 * seconds / batch, "ms a clip")
        if device.type == "cuda":
            step.release()
