"""What tells two encoders apart: their weights, and what of their settings is no weight."""

from __future__ import annotations

import hashlib
import itertools
from pathlib import Path

from musicfm_pl.encoders.base import Encoder


def encoder_digest(encoder: Encoder, settings: str) -> str:
    """16 hexadecimal digits that change with any weight or buffer, any plain attribute of any part, and `settings`.

    Buffers count whether they are saved or not: filters made of settings may be all that remains of these.

    Args:
        encoder: Attention heads, strides and kernel sizes count beside its weights.
        settings: Of what else its hidden states depend on: mel statistics, windows.
    """
    digest = hashlib.sha256(settings.encode())
    for part in encoder.modules():
        plain = {k: v for k, v in vars(part).items() if isinstance(v, int | float | str | tuple | Path)}
        plain.pop("training", None)
        digest.update(repr((type(part).__qualname__, sorted(plain.items()))).encode())
    for name, tensor in itertools.chain(encoder.named_parameters(), encoder.named_buffers()):
        digest.update(name.encode() + tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
