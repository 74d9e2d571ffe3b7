"""K-means tokens, as in HuBERT and MERT: the nearest of centroids that `musicfm kmeans` fitted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from data_modules import SAMPLE_RATE
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.tokenizers.base import Tokenizer
from musicfm_pl.tokenizers.centroids import Header, differing_mel, read_centroids
from musicfm_pl.tokenizers.nearest import most_similar
from musicfm_pl.tokenizers.token_features import HiddenLayer, Mfcc, StackedMel, TokenFeatures, weights_digest


@final
class KMeans(Tokenizer):
    """The nearest centroid by Euclidean distance; k, features and mel settings are those of the file.

    Checkpoints hold the centroids and the digest of their file: a run goes on with that file alone, wherever it lies
    by then. How many codes the study's k-means had is not published; `musicfm kmeans` says what it takes.

    Args:
        frame_dim: Values of the mel a token stands for; the system passes it.
        file: Centroids, written by `musicfm kmeans`.
        teacher: The encoder whose hidden layer was clustered, for a file with the features `hidden`: `Pretrained`
            with the run that the file names. It is run on every clip.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It cannot be read, is of another frame rate or of another teacher.
    """

    centroids: Tensor
    sha256: Tensor

    def __init__(self, frame_dim: int, file: Path | None = None, teacher: Encoder | None = None) -> None:
        if file is None:
            raise ValueError(
                "model.tokenizer.file: name the centroids of k-means tokens; "
                "`musicfm kmeans --root DATA --out FILE` fits them"
            )
        found = read_centroids(Path(file))
        super().__init__(frame_dim, num_codes=found.header.k)
        self.file = Path(file)
        self.header = found.header
        num_mels, stride = round(found.header.mel["num_mels"]), found.header.stride
        if frame_dim != num_mels * stride:
            raise ValueError(
                f"model.tokenizer.file: {file} is of {stride} stacked frames of {num_mels} mel bands "
                f"({_rate_hz(found.header):g} Hz), {stride * num_mels} values a token, but this model stacks "
                f"{frame_dim}; fit centroids for it with `musicfm kmeans --stride ... --num_mels ...`"
            )
        self.heard = _hearing(found.header, teacher, self.file)
        if self.heard.dim != found.centroids_KD.shape[1]:
            raise ValueError(
                f"model.tokenizer.file: the centroids of {file} have {found.centroids_KD.shape[1]} values, but "
                f"{found.header.features} has {self.heard.dim} a token; make the file anew with `musicfm kmeans`"
            )
        self.register_buffer("centroids", found.centroids_KD)
        self.register_buffer("sha256", torch.tensor(list(bytes.fromhex(found.sha256)), dtype=torch.uint8))
        self._own_sha256 = found.sha256

    def features(self, mel_BMF: Tensor, stride: int) -> Tensor:
        """See `Tokenizer.features`: D is that of the centroids."""
        if (mel_BMF.shape[1], stride) != (self.heard.num_mels, self.heard.stride):
            raise ValueError(
                f"{self.file} is of {self.heard.num_mels} mel bands, {self.heard.stride} frames a token; "
                f"this is {mel_BMF.shape[1]} bands, {stride} frames"
            )
        return self.heard(mel_BMF)

    @torch.no_grad()
    def forward(self, frames_TD: Tensor) -> Tensor:
        """See `Tokenizer.forward`."""
        if frames_TD.ndim != 2 or frames_TD.shape[1] != self.centroids.shape[1]:
            raise ValueError(
                f"the tokenizer reads features of shape (tokens, {self.centroids.shape[1]}), "
                f"got {tuple(frames_TD.shape)}"
            )
        return nearest_codes(frames_TD, self.centroids)[:, None]

    def check_mel(self, mel: Mapping[str, float]) -> None:
        """See `Tokenizer.check_mel`."""
        own = self.header.mel
        for key in differing_mel(own, mel):
            raise ValueError(
                f"model.tokenizer.file: {self.file} was fitted on mel with {key} {own[key]:g} ({self.header.corpus}), "
                f"this run's data have {mel[key]:g}; fit centroids to them: musicfm kmeans --root DATA "
                f"--hop_length {mel['hop_length']:g} --num_mels {mel['num_mels']:g} --n_fft {mel['n_fft']:g}"
            )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        before = state_dict.get(f"{prefix}sha256")
        # Before torch compares shapes: its message would not say what to do.
        if before is not None and (was := bytes(before.tolist()).hex()) != self._own_sha256:
            raise ValueError(
                f"model.tokenizer.file: the checkpoint was trained on tokens of a file with sha256 {was[:16]}..., "
                f"{self.file} has {self._own_sha256[:16]}...; name that file, or start a new run directory"
            )
        super()._load_from_state_dict(state_dict, prefix, *rest)


@torch.no_grad()
def nearest_codes(frames_TD: Tensor, centroids_KD: Tensor) -> Tensor:
    """The nearest centroid of each frame, (T,), in float32 whatever surrounds it.

    |x - c|² is least where x · c - |c|²/2 is largest: one matrix product, and nothing of size T x K x D.
    """
    with torch.autocast(frames_TD.device.type, enabled=False):
        offsets_K = centroids_KD.float().square().sum(dim=1) / 2
    return most_similar(frames_TD, centroids_KD, offsets_K)


def _hearing(header: Header, teacher: Encoder | None, file: Path) -> TokenFeatures:
    num_mels = round(header.mel["num_mels"])
    if header.features != "hidden":
        if teacher is not None:
            raise ValueError(f"model.tokenizer.teacher: {file} is of {header.features}, which needs no teacher")
        return StackedMel(num_mels, header.stride) if header.features == "logmel" else Mfcc(num_mels, header.stride)
    assert header.layer is not None
    if teacher is None:
        raise ValueError(
            f"model.tokenizer.teacher: {file} is of layer {header.layer} of the encoder in {header.teacher}; name it: "
            f"--model.tokenizer.teacher Pretrained --model.tokenizer.teacher.run {header.teacher}"
        )
    if (digest := weights_digest(teacher)) != header.teacher_digest:
        raise ValueError(
            f"model.tokenizer.teacher: its weights ({digest}) are not those that {file} was fitted on "
            f"({header.teacher_digest}, {header.teacher}); name that run, or fit centroids to this one"
        )
    return HiddenLayer(num_mels, header.stride, teacher, header.layer)


def _rate_hz(header: Header) -> float:
    return SAMPLE_RATE / (header.mel["hop_length"] * header.stride)
