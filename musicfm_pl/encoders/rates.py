"""Tokens a second: what a hop and a stride give together, and what a rate needs."""

from __future__ import annotations

import math

from data_modules import SAMPLE_RATE


def token_rate_hz(hop_length: int, stride: int) -> float:
    """Tokens a second of an encoder that stacks `stride` mel frames of `hop_length` samples each."""
    if hop_length < 1 or stride < 1:
        raise ValueError(f"hop_length and stride must be at least 1, got {hop_length} and {stride}")
    return SAMPLE_RATE / (hop_length * stride)


def check_rate(rate_hz: float, hop_length: int, stride: int) -> None:
    """Raises ValueError unless hop and stride give exactly this token rate.

    Args:
        rate_hz: The rate that the experiment says it has, in tokens a second.
        hop_length: Samples between mel frames (`LogMel`).
        stride: Mel frames a token (the product of the encoder's `time_strides`).

    Raises:
        ValueError: Another rate, or one that no whole hop gives; the message names combinations that work.
    """
    actual_hz = token_rate_hz(hop_length, stride)
    if math.isclose(rate_hz, actual_hz, rel_tol=1e-9):
        return
    message = (
        f"model.rate_hz: {rate_hz:g} Hz asked for, but hop_length {hop_length} and stride {stride} give "
        f"{SAMPLE_RATE} / ({hop_length} x {stride}) = {actual_hz:g} Hz. "
    )
    if not (math.isfinite(rate_hz) and rate_hz > 0):
        raise ValueError(message + "A rate is a positive number.")
    same_hop = _whole(SAMPLE_RATE / (rate_hz * hop_length))
    if same_hop:
        raise ValueError(f"{message}With this hop, {rate_hz:g} Hz needs stride {same_hop}.")
    # Strides of the two conv blocks are 1 or 2 each: these are the products they can make.
    ways = [
        f"hop_length {hop} with stride {token_stride}"
        for token_stride in (1, 2, 4)
        if (hop := _whole(SAMPLE_RATE / (rate_hz * token_stride)))
    ]
    advice = f"set {' or '.join(ways)}" if ways else f"no whole hop at {SAMPLE_RATE} samples a second gives it"
    raise ValueError(f"{message}No stride reaches {rate_hz:g} Hz from hop {hop_length}: {advice}.")


def _whole(value: float) -> int:
    """The value as a whole number; 0 if it is none."""
    return round(value) if value >= 0.5 and math.isclose(value, round(value), rel_tol=1e-9) else 0
