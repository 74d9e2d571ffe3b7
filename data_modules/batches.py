"""What crosses from the data modules to `musicfm_pl`, and the legend of shape letters.

B  clips in a batch         N  samples of a waveform, or frames of a head's output
M  mel bands                F  mel frames (100 a second at hop 240)
T  tokens (encoder frames)  D  width of the encoder
L  hidden states (layers)   K  classes, or codes of a tokenizer
S  spans                    Q  codebooks of a tokenizer
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from data_modules.corpora.base import Kind
from data_modules.spans import Spans


class Origin(NamedTuple):
    """Where a clip was read.

    Attributes:
        track_id: Its track.
        start_s: Where it begins there, in seconds.
        seed: What is random about it on the device (its mask) is drawn from this.
        instead_of: Why the clips were set aside in whose place it is; most are in nobody's.
    """

    track_id: str
    start_s: float
    seed: int
    instead_of: tuple[str, ...] = ()


class PretrainBatch(NamedTuple):
    """Clips for masked token modelling, after mel and masking.

    Attributes:
        mel_BMF: Normalised log-mel of the clean audio: the tokenizer reads it.
        masked_mel_BMF: The same of the masked audio: the encoder reads it.
        mask_BF: True where a mel frame was masked.
        origins: Where each clip was read; none if they were made up.
    """

    mel_BMF: Tensor
    masked_mel_BMF: Tensor
    mask_BF: Tensor
    origins: Sequence[Origin] = ()


class TaskBatch(NamedTuple):
    """Labelled clips of one length.

    Attributes:
        features: What the data module's feature module made of the audio, one clip a row: normalised log-mel
            (B, M, F), the waveform (B, N), or cached hidden states (B, L, T, D).
        duration_s: Length of every clip in seconds.
        references: The labels of each clip by kind, in seconds from its start; a kind that the track does
            not have is absent.
        track_ids: Where each clip comes from.
    """

    features: Tensor
    duration_s: float
    references: list[Mapping[Kind, Spans]]
    track_ids: list[str]


def masked_tokens(mask_BF: Tensor, stride: int) -> Tensor:
    """The mask by token, (B, T): a token is masked when all the mel frames it stacks are.

    Args:
        mask_BF: True where a mel frame was masked.
        stride: Mel frames a token; a remainder at the end is dropped, as the tokenizer does.
    """
    num_tokens = mask_BF.shape[1] // stride
    return torch.all(mask_BF[:, : num_tokens * stride].unflatten(1, (num_tokens, stride)), dim=2)
