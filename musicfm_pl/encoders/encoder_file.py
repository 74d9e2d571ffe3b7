"""What an `encoder.safetensors` holds: weights, and all that is needed to build the encoder and to feed it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from safetensors import SafetensorError, safe_open

from data_modules.shards import written_aside

if TYPE_CHECKING:  # tables are made from what such files say of themselves, and without torch
    from torch import Tensor

FILE = "encoder.safetensors"
"""Its name in `checkpoints/`."""


class EncoderFile(NamedTuple):
    """What such a file holds.

    Attributes:
        config: Of the run that made it.
        weights: Of the encoder, by name.
        mel: Settings and statistics of the mel that it reads.
        step: Of the training.
    """

    config: dict[str, Any]
    weights: dict[str, Tensor]
    mel: dict[str, float]
    step: int


def read_encoder(file: Path) -> EncoderFile:
    """Reads such a file; no code in it is run, since there can be none. Its configuration names classes, though.

    Raises:
        ValueError: The file is damaged, or is not one that `musicfm fit` wrote.
    """
    try:
        with safe_open(file, framework="pt") as opened:
            about = opened.metadata() or {}
            weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    except SafetensorError as error:
        raise ValueError(f"model.encoder.run: {file} cannot be read ({error})") from error
    if missing := {"config", "mel", "step"} - set(about):
        raise ValueError(f"model.encoder.run: {file} does not say its {', '.join(sorted(missing))}: no musicfm file")
    return EncoderFile(json.loads(about["config"]), weights, json.loads(about["mel"]), int(about["step"]))


def read_encoder_config(file: Path) -> dict[str, Any]:
    """The configuration of the run that made such a file, without its weights.

    Raises:
        ValueError: The file is damaged, or is not one that `musicfm fit` wrote.
    """
    try:
        with safe_open(file, framework="numpy") as opened:
            config = json.loads((opened.metadata() or {}).get("config", "null"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise ValueError(f"{file} cannot be read ({error})") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} does not say its config: no musicfm file")
    return config


def write_encoder(file: Path, found: EncoderFile) -> None:
    """Writes such a file, which is there as a whole or not at all.

    Raises:
        OSError: It cannot be written; what was there before is untouched.
    """
    from safetensors.torch import save

    about = {"config": json.dumps(found.config), "mel": json.dumps(found.mel), "step": str(found.step)}
    # In plain memory order: how the weights lie is the encoder's own affair.
    weights = {name: value.detach().cpu().contiguous() for name, value in found.weights.items()}
    try:
        with written_aside(file) as aside:
            aside.write(save(weights, metadata=about))
    except OSError as error:
        raise OSError(
            f"{file} cannot be written ({error.strerror or error}); make room and give the same command again to go on"
        ) from error
