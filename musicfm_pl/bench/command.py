"""The command that measures: `musicfm bench`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import torch
from rich.console import Console

from musicfm_pl.bench.figures import Figure, circumstances, report, write
from musicfm_pl.bench.inference import evaluating, inference, long_audio, quantizer
from musicfm_pl.bench.memory import memory
from musicfm_pl.bench.precision import Precision
from musicfm_pl.bench.sizes import RATES, SIZES
from musicfm_pl.bench.step import GRADIENT_CLIP, LEFT_OUT
from musicfm_pl.bench.timing import Timed
from musicfm_pl.bench.train import Training, train
from musicfm_pl.costs.cards import card_of_device

What = Literal["memory", "quantizer", "inference", "long_audio", "train"]
ALL: tuple[What, ...] = ("memory", "quantizer", "inference", "long_audio", "train")


def bench(
    what: What | list[What] | None = None,
    sizes: str | list[str] | None = None,
    device: str = "auto",
    batches: int | list[int] | None = None,
    clip_s: float = 30.0,
    rate_hz: int = 25,
    minutes: float = 2.0,
    layer: int = 7,
    rounds: int = 7,
    budget_s: float = 120.0,
    compiled: bool | None = None,
    precisions: Precision | list[Precision] | None = None,
    peak_tflops: float | None = None,
    out: Path = Path("runs/bench/bench.json"),
) -> None:
    """Measures our encoder against the public way of building the same model, with the same weights, in turn.

    The public way is HF transformers' Wav2Vec2ConformerEncoder behind the residual conv front end, with logits of all
    frames and a quantizer by distances. Figures are medians, with quartiles; they go to the console and to a file.
    On a GPU cuDNN chooses its algorithms by trying them, for both ways, and training has its peak of memory: that of
    "ours, bf16" is what `musicfm plan` foretells of the same size, clip and batch, without its reserve.

    Args:
        what: Of train, inference, quantizer, long_audio, memory (counted, needs no GPU); all if not given.
        sizes: Of 2m, 10m, 30m, 90m, 330m, 660m; if not given what the machine bears: all on a GPU, 330m and 660m for
            counting, up to 30m for training on CPU and up to 330m for the rest.
        device: As torch names it; auto is cuda where there is one.
        batches: Clips at a time; if not given 8, 32 and 64 for training on a GPU, else 1 for inference and 4.
        clip_s: Length of a clip.
        rate_hz: Tokens a second: 25, 50 or 75.
        minutes: Of audio, for long_audio.
        layer: The hidden state, for long_audio.
        rounds: Of each comparison, at most.
        budget_s: No round of a comparison begins after so many seconds, but there are three.
        compiled: Train ours compiled too; if not given, on a GPU.
        precisions: Of training steps, the baseline's first, such as fp32 alone where bf16 is slow; if not given fp32
            and bf16 on CPU, and tf32 too on a GPU. fp32 is as published: products and convolutions in float32; tf32
            has both in TF32. torch's own default is neither: convolutions in TF32, products in float32.
        peak_tflops: Of the device in bfloat16, to state model FLOPs utilisation of every precision against; if not
            given what the maker states for each precision, where the GPU is known.
        out: The file to write.

    Raises:
        ValueError: There is no such size or rate.
        ImportError: transformers is not installed.
    """
    what = [what] if isinstance(what, str) else what
    sizes = [sizes] if isinstance(sizes, str) else sizes
    batches = [batches] if isinstance(batches, int) else batches
    if unknown := [name for name in sizes or [] if name not in SIZES]:
        raise ValueError(f"--sizes: there is no size {', '.join(unknown)}; known are {', '.join(SIZES)}")
    if rate_hz not in RATES:
        raise ValueError(f"--rate_hz: one of {', '.join(map(str, RATES))}, got {rate_hz}")
    found = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    where, timed = torch.device(found), Timed(rounds, budget_s)
    on_gpu = where.type == "cuda"
    if on_gpu:
        torch.backends.cudnn.benchmark = True  # as in experiments/axes/hardware/: shapes are fixed
    training = Training(
        clip_s,
        rate_hz,
        batches or ([8, 32, 64] if on_gpu else [4]),
        "inductor" if (on_gpu if compiled is None else compiled) else None,
        [precisions] if isinstance(precisions, str) else precisions or [],
        peak_tflops,
        card_of_device(torch.cuda.get_device_name(where)) if on_gpu else None,
    )

    def measured(part: What) -> Iterator[Figure]:
        if part == "quantizer":
            yield from quantizer(where, 8, clip_s, rate_hz, timed)
            return
        for name in sizes or _borne(part, on_gpu):
            size = SIZES[name]
            if part == "memory":
                yield from memory(size, name, clip_s, rate_hz)
            elif part == "train":
                yield from train(size, name, where, training, timed)
            elif part == "inference":
                models = evaluating(size, rate_hz, where)
                for batch in batches or ([8, 32] if on_gpu else [1]):
                    case = f"{name}, {rate_hz} Hz, {clip_s:g} s, batch {batch}"
                    yield from inference(models, case, where, batch, clip_s, timed)
            else:
                case = f"{name}, {rate_hz} Hz, {minutes:g} min, windows of {clip_s:g} s, layer {layer}"
                yield from long_audio(evaluating(size, rate_hz, where), case, where, minutes, clip_s, layer, timed)

    figures: list[Figure] = []
    console = Console(stderr=True)
    settings = {"clip_s": clip_s, "rate_hz": rate_hz, "rounds": rounds, "budget_s": budget_s, "minutes": minutes}
    training_settings = {"gradient_clip": GRADIENT_CLIP, "left_out_of_training_steps": LEFT_OUT}
    cudnn = {"cudnn_benchmark": torch.backends.cudnn.benchmark}
    about = circumstances({**settings, **training_settings, **cudnn}, where)
    try:
        for part in what or ALL:
            for figure in measured(part):
                figures.append(figure)
                write(figures, about, out)  # after each: hours of measuring outlast what ends them
                value = "–" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
                line = f"{figure.part}: {figure.case}: {figure.way}: {value}"
                console.print(line, markup=False, highlight=False, soft_wrap=True)
    finally:
        if figures:
            report(figures, out)


def _borne(part: What, on_gpu: bool) -> list[str]:
    """The sizes that a machine of two cores, or one GPU, measures within minutes each."""
    if part == "memory":
        return ["330m", "660m"]
    if on_gpu:
        return list(SIZES)
    return ["2m", "10m", "30m"] if part == "train" else ["2m", "30m", "330m"]
