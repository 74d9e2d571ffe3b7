"""What training keeps and moves a clip, counted without a GPU: the public way, ours, and ours recomputing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from musicfm_pl.bench.counting import Count, count, forward_flops, our_loss, public_loss
from musicfm_pl.bench.figures import Figure
from musicfm_pl.bench.pairs import pair
from musicfm_pl.bench.sizes import Size

COUNTED = "training step, counted by the clip"
PUBLIC, PLAIN = "public, bf16", "ours"


def memory(size: Size, name: str, clip_s: float, rate_hz: int) -> Iterator[Figure]:
    """Saved activations, bytes moved and arithmetic of a training step in bfloat16 autocast, by the clip."""
    ways: dict[str, dict[str, Any]] = {
        PLAIN: {},
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
            ratio, note = (None, "") if way == PUBLIC else (value / base, f"1/{base / value:.3g} of the public way's")
            yield Figure(COUNTED, case, way, value * scale, unit, ratio, note=note)
    for way, found in counts.items():
        if way != PUBLIC:
            # What is recomputed, on top of three times the forward pass.
            flops = plain_flops + found.flops - counts[PLAIN].flops
            ratio, note = (None, "") if way == PLAIN else (flops / plain_flops, "of ours that recomputes nothing")
            yield Figure(COUNTED, case, way, flops * 1e-12, "TFLOP", ratio, note=note)
