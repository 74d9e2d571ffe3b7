"""`musicfm plan`: what an experiment will take, in parameters, arithmetic, memory and hours, before it is begun."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jsonargparse import ArgumentParser, Namespace
from rich.console import Console

from data_modules import SAMPLE_RATE
from musicfm_pl.config import expand_extends
from musicfm_pl.costs.cards import CARDS, Card, card_named
from musicfm_pl.costs.flops import (
    TRAINING_FACTOR,
    convolution_share,
    forward_flops,
    masked_tokens,
    prediction_flops,
)
from musicfm_pl.costs.memory import Activations, Memory, largest_batch, memory, prediction_bytes, saved_activations
from musicfm_pl.costs.plan_table import show_plan
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.rates import check_rate
from musicfm_pl.experiment import fit_parser
from musicfm_pl.systems.sharding import SHARDED
from musicfm_pl.tokenizers.base import Tokenizer

ASSUMED_CODES = 500
"""Of k-means tokens before they are fitted: those of HuBERT's later iterations (arXiv 2106.07447)."""
SHARE_OF_PEAK = 0.4
"""Of what its maker states, that a card is taken to reach: half of the 790 TFLOP/s that products alone reach on an
H200 in bf16, whose data sheet has 989. Of float32 nothing was measured; the same share is assumed."""


def run_plan(arguments: Sequence[str]) -> None:
    """The command: options of its own, and all of `musicfm fit`.

    Args:
        arguments: After `plan`.

    Raises:
        ValueError: The experiment is no pretraining run, its parts do not fit together, or a card is unknown.
    """
    own = argparse.ArgumentParser(
        prog="musicfm plan",
        description="Parameters, arithmetic, memory and hours of a pretraining run. Needs neither data nor GPU.",
        epilog="All options of `musicfm fit` are taken, too: --config, --data.batch_size, --trainer.devices, ...",
        allow_abbrev=False,
    )
    own.add_argument("--card", default="h200", help=f"{', '.join(CARDS)}, or gigabytes as in 24GB (default: h200)")
    own.add_argument("--share", type=float, default=SHARE_OF_PEAK, help="of the card's stated peak that it reaches")
    own.add_argument("--json", action="store_true", help="as JSON, in bytes, operations and seconds")
    given, rest = own.parse_known_args(list(arguments))
    if not any(argument.partition("=")[0] in ("--config", "-c") for argument in rest):
        raise ValueError("name an experiment: musicfm plan --config experiments/pretrain/fm7.yaml")
    if not 0 < given.share <= 1:
        raise ValueError(f"--share: a share of the peak lies above 0 and is at most 1, got {given.share}")
    config = fit_parser().parse_args(expand_extends(settle_data_arguments(rest, record=None)))
    figures = plan(config, card_named(given.card), given.share)
    if given.json:
        json.dump(figures, sys.stdout, indent=2)
        print()
    else:
        show_plan(figures, Console())


def plan(config: Namespace, card: Card, share: float) -> dict[str, Any]:
    """All figures of an experiment, as JSON bears them.

    Args:
        config: Of `musicfm fit`, parsed.
        card: The GPU that it will run on.
        share: Of the card's stated peak, in the precision of the run, that it reaches.

    Raises:
        ValueError: It is no pretraining run, its parts do not fit together, or its precision is not counted here.
    """
    model, data = config.model.init_args, config.data.init_args
    if "tokenizer" not in model or "clip_s" not in data:
        raise ValueError(f"plan: {config.model.class_path} is not pretrained; plan is for experiments/pretrain/...")
    encoder = built_encoder(model.encoder)
    features = data.features.get("init_args", data.features) if data.features else Namespace(hop_length=240)
    check_rate(model.rate_hz, features.hop_length, encoder.stride)
    num_codes, num_books, assumed = _codes(model.tokenizer, encoder)
    num_frames = round(data.clip_s * SAMPLE_RATE) // features.hop_length
    num_tokens = num_frames // encoder.stride
    masking = data.masking.get("init_args", Namespace()) if data.masking else Namespace()
    block_s, probability = masking.get("block_s", 0.4), masking.get("probability", 0.6)
    num_masked = masked_tokens(data.clip_s, probability, block_s, model.rate_hz)
    autocast = autocast_of(config.trainer)

    parts = _parts(encoder)
    parts["prediction"] = (encoder.dim + 1) * num_codes * num_books
    num_parameters = sum(parts.values())
    encoding = forward_flops(encoder, num_frames)
    forward = encoding + prediction_flops(encoder.dim, num_codes * num_books, num_masked)
    training = TRAINING_FACTOR * forward
    peak = card.peak_flops(autocast, convolution_share(encoder, num_frames) * encoding / forward)

    devices = devices_of(config.trainer)
    shards = devices if SHARDED in str(config.trainer.strategy) else 1
    accumulate = config.trainer.accumulate_grad_batches or 1
    activations = saved_activations(encoder, num_frames, autocast)
    recomputed = _recomputed_bytes(model.encoder, activations, num_frames, autocast)
    logits = prediction_bytes(num_codes * num_books, num_masked, autocast)
    buckets = has_buckets(config.trainer)

    def needed(batch: int) -> Memory:
        return memory(num_parameters, activations, logits, batch, shards, recomputed, buckets)

    # -1 is no end; a number of epochs says nothing without the data.
    steps = config.trainer.max_steps if config.trainer.max_steps >= 0 else None
    clips = None if steps is None else steps * data.batch_size * devices * accumulate
    seconds = None if peak is None or clips is None else clips * training / (peak * share)
    missing = [
        *(["the run has no end: give --trainer.max_steps"] if steps is None else []),
        *([f"no peak is known of {card.name}: name a --card"] if peak is None else []),
    ]
    remarks = [
        *(
            []
            if autocast
            else [
                "in float32, where convolutions alone use the tensor cores (TF32); bf16: --trainer.precision "
                "bf16-mixed, or --config experiments/axes/hardware/one_gpu.yaml"
            ]
        ),
        *(
            [f"devices {config.trainer.devices} is counted as 1: give --trainer.devices N"]
            if _num_devices(config.trainer) is None
            else []
        ),
    ]
    return {
        "name": config.name,
        "parameters": {**parts, "total": num_parameters},
        "tokenizer": {"num_codes": num_codes, "num_books": num_books, "assumed": assumed},
        "clip": {
            "seconds": data.clip_s,
            "mel_frames": num_frames,
            "tokens": num_tokens,
            "tokens_masked": num_masked,
            "flops_forward": forward,
            "flops_training": training,
            "bytes_saved": activations.bytes_a_clip + logits,
        },
        "card": {"name": card.name, "memory": card.memory_gib * 2**30, "peak_flops": peak, "share_of_peak": share},
        "precision": "bf16-mixed" if autocast else "32",
        "devices": devices,
        "shards": shards,
        "batch": data.batch_size,
        "memory": {**needed(data.batch_size)._asdict(), "total": needed(data.batch_size).total},
        "largest_batch": largest_batch(lambda batch: needed(batch).total, card.memory_gib * 2**30),
        "missing": missing,
        "remarks": remarks,
        "steps": steps,
        "clips": clips,
        "audio_hours": None if clips is None else clips * data.clip_s / 3600,
        "clips_a_second": None if peak is None else peak * share / training * devices,
        "gpu_hours": None if seconds is None else seconds / 3600,
        "days": None if seconds is None else seconds / 86400 / devices,
    }


def built_encoder(settings: Namespace) -> Encoder:
    """Built on the meta device: its shapes are real, its weights take no memory."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(Encoder, "encoder")
    with torch.device("meta"):
        encoder = parser.instantiate(Namespace(encoder=settings)).encoder
    assert isinstance(encoder, Encoder)
    return encoder


def _recomputed_bytes(settings: Namespace, kept: Activations, num_frames: int, autocast: bool) -> float:
    """What the largest part that is computed again in the backward pass holds then, a clip; 0 if there is none."""
    largest = 0.0
    for name, parts in (("recomputed_blocks", 1), ("recomputed_layers", settings.init_args.get("recomputed_layers"))):
        if settings.init_args.get(name):
            without = settings.clone()
            del without.init_args[name]
            more = saved_activations(built_encoder(without), num_frames, autocast).bytes_a_clip - kept.bytes_a_clip
            largest = max(largest, more / parts)
    return largest


def _codes(settings: Namespace, encoder: Encoder) -> tuple[int, int, bool]:
    """Codes and books of a tokenizer, and whether they are assumed, of one that has them from a file."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--tokenizer", type=Callable[[int], Tokenizer])
    make = parser.instantiate(Namespace(tokenizer=settings)).tokenizer
    if "num_codes" not in settings.get("init_args", {}) and settings.init_args.get("file") is None:
        return ASSUMED_CODES, 1, True
    tokenizer = make(encoder.stride * encoder.num_mels)
    return tokenizer.num_codes, tokenizer.num_books, False


def _parts(encoder: Encoder) -> dict[str, int]:
    parts: dict[str, int] = {}
    for name, parameter in encoder.named_parameters():
        part = name.split(".")[0] if "." in name else "other"
        parts[part] = parts.get(part, 0) + parameter.numel()
    return parts


def devices_of(trainer: Namespace) -> int:
    """GPUs of all nodes; one a node where they are to be found only when the run begins."""
    return (_num_devices(trainer) or 1) * (trainer.num_nodes or 1)


def has_buckets(trainer: Namespace) -> bool:
    """Whether DDP copies gradients to average them: it is asked for, or Lightning takes it for several devices.

    With `gradient_as_bucket_view` the gradients themselves lie in its buckets.
    """
    if isinstance(trainer.strategy, Namespace):
        settings = {**vars(trainer.strategy.get("init_args", Namespace())), **trainer.strategy.get("dict_kwargs", {})}
        if settings.get("gradient_as_bucket_view"):
            return False
    strategy = str(trainer.strategy).lower()
    return "ddp" in strategy or (strategy == "auto" and devices_of(trainer) > 1)


def _num_devices(trainer: Namespace) -> int | None:
    """Of a node; None where that is known only when the run begins (auto, -1)."""
    named = trainer.devices
    return len(named) if isinstance(named, list) else int(named) if str(named).isdigit() else None


def autocast_of(trainer: Namespace) -> bool:
    """Whether a run is in bfloat16 where autocast says so; else it is in float32.

    Raises:
        ValueError: It is in neither.
    """
    precision = str(trainer.precision or "32-true")
    if precision not in ("bf16", "bf16-mixed", "32", "32-true"):
        raise ValueError(f"trainer.precision: costs are counted for bf16-mixed and 32-true, not for {precision}")
    return precision.startswith("bf16")
