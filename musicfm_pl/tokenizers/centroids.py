"""The file of a k-means tokenizer: its centroids, and what must be known to use and to judge them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from data_modules.shards import written_aside
from musicfm_pl.tokenizers.centroids_about import KEY

FeatureName = Literal["logmel", "mfcc", "hidden"]
"""What k-means clusters: see `token_features`."""

_AGAIN = "make it anew with `musicfm kmeans`"


@dataclass(frozen=True)
class Header:
    """What the centroids are of.

    Attributes:
        k: Codes.
        features: What was clustered.
        seed: Of the fit.
        stride: Mel frames a token.
        mel: Settings and statistics of the mel that the features are made of.
        layer: Of the teacher's hidden states; None for other features.
        teacher: Its run directory; None for other features.
        teacher_digest: Changes with any weight of the teacher; None for other features.
        corpus: Name of the corpus.
        corpus_digest: Changes with any of its samples.
        fit: Settings of the fit that change its outcome.
        inertia: Mean squared distance of a frame to its centroid, over the frames that `counts_K` counts.
        inertia_by_pass: The same during the fit, over each pass, right after each batch was learnt from.
    """

    k: int
    features: FeatureName
    seed: int
    stride: int
    mel: Mapping[str, float]
    layer: int | None
    teacher: str | None
    teacher_digest: str | None
    corpus: str
    corpus_digest: str
    fit: Mapping[str, float | None]
    inertia: float
    inertia_by_pass: tuple[float, ...]


@dataclass(frozen=True)
class Centroids:
    """A fitted codebook.

    Attributes:
        header: What it is of.
        centroids_KD: The codes, float32.
        counts_K: Frames of the training split (a sample of it, if it is large) by their nearest code, int64.
        sha256: Of the file.
    """

    header: Header
    centroids_KD: Tensor
    counts_K: Tensor
    sha256: str = ""


def write_centroids(file: Path, header: Header, centroids_KD: Tensor, counts_K: Tensor) -> None:
    """Writes the file aside and renames it. The same centroids give the same bytes."""
    tensors = {"centroids": centroids_KD.contiguous(), "counts": counts_K.contiguous()}
    with written_aside(file) as opened:
        opened.write(safetensors.torch.save(tensors, {KEY: json.dumps(asdict(header), sort_keys=True)}))


def read_centroids(file: Path) -> Centroids:
    """Reads and checks such a file.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is damaged, or something else.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f"model.tokenizer.file: there is no file {file}; fit it first: musicfm kmeans --root DATA --out {file}"
        )
    data = file.read_bytes()
    try:
        tensors = safetensors.torch.load(data)
        # The library gives metadata of files that it opens itself; of bytes they are in the JSON at the beginning.
        size = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + size]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"model.tokenizer.file: {file} cannot be read ({error}); {_AGAIN}") from error
    if KEY not in metadata or tensors.keys() != {"centroids", "counts"}:
        raise ValueError(f"model.tokenizer.file: {file} holds no centroids of `musicfm kmeans`; {_AGAIN}")
    header = _header(json.loads(metadata[KEY]), file)
    centroids_KD, counts_K = tensors["centroids"], tensors["counts"]
    if centroids_KD.ndim != 2 or len(centroids_KD) != header.k or counts_K.shape != (header.k,):
        raise ValueError(
            f"model.tokenizer.file: {file} says k = {header.k}, but has centroids {tuple(centroids_KD.shape)} and "
            f"counts {tuple(counts_K.shape)}; {_AGAIN}"
        )
    if centroids_KD.dtype != torch.float32 or not centroids_KD.isfinite().all():
        raise ValueError(f"model.tokenizer.file: the centroids of {file} are no finite float32 numbers; {_AGAIN}")
    return Centroids(header, centroids_KD, counts_K, hashlib.sha256(data).hexdigest())


def _header(found: Mapping[str, object], file: Path) -> Header:
    known = {field.name for field in fields(Header)}
    if found.keys() != known:
        differing = ", ".join(sorted(found.keys() ^ known))
        raise ValueError(f"model.tokenizer.file: {file} is of another version (it differs in {differing}); {_AGAIN}")
    header = Header(**{**found, "inertia_by_pass": tuple(found["inertia_by_pass"])})  # type: ignore[arg-type]
    if header.features not in get_args(FeatureName):
        raise ValueError(f"model.tokenizer.file: {file} is of unknown features {header.features!r}; {_AGAIN}")
    return header


def differing_mel(own: Mapping[str, float], other: Mapping[str, float]) -> list[str]:
    """Keys by which two mels differ by more than the arithmetic of two machines: settings, then statistics."""
    differing = [key for key, value in own.items() if not abs(other[key] - value) <= 1e-4 * max(1.0, abs(value))]
    return sorted(differing, key=lambda key: key in ("mean", "std"))  # which differ because the settings do
