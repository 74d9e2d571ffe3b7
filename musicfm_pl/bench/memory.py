"""What training keeps and moves a clip, counted without a GPU: the public way, ours, and ours recomputing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from musicfm_pl.bench.counting import Count, count, forward_flops, our_loss, public_loss
from musicfm_pl.bench.figures import Figure
from musicfm_pl.bench.pairs import pair
from musicfm_pl.bench.sizes import Size

PUBLIC = "public, bf16"


def memory(size: Size, name: str, clip_s: float, rate_hz: int) -> Iterator[Figure]:
    """Saved activations, bytes moved and arithmetic of a training step in bfloat16 autocast, by the clip."""
    ways: dict[str, dict[str, Any]] = {
        "ours": {},
        "ours, layers recomputed": {"recomputed_layers": size.num_layers},
        "ours, all recomputed": {"recomputed_layers": size.num_layers, "recomputed_blocks": (0, 1)},
    }
    counts = {PUBLIC: count(lambda: pair(size, rate_hz), public_loss, clip_s)}
    for way, options in ways.items():
        counts[way] = count(partial(pair, size, rate_hz, **options), our_loss, clip_s)
    yield from _figures(f"{name}, {rate_hz} Hz, {clip_s:g} s", counts, 3 * forward_flops(size, clip_s, rate_hz))


def _figures(case: str, counts: dict[str, Count], plain_flops: int) -> Iterator[Figure]:
    public = counts[PUBLIC]
    for field, unit, scale in (("saved_bytes", "GB saved", 1e-9), ("moved_bytes", "GB moved", 1e-9)):
        for way, found in counts.items():
            value, base = getattr(found, field), getattr(public, field)
            ratio = None if way == PUBLIC else value / base
            yield Figure("training step, counted by the clip", case, way, value * scale, unit, ratio)
    for way, found in counts.items():
        if way != PUBLIC:
            # What is recomputed, on top of three times the forward pass.
            flops = plain_flops + found.flops - counts["ours"].flops
            ratio = flops / plain_flops
            yield Figure("training step, counted by the clip", case, way, flops * 1e-12, "TFLOP", ratio)
