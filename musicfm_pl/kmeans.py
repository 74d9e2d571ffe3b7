"""`musicfm kmeans`: centroids for k-means tokens, by streaming mini-batch k-means over a training split."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from data_modules import SAMPLE_RATE
from data_modules.damage import Damage
from data_modules.mel import LogMel
from data_modules.shards import Prepared
from data_modules.statistics import mel_statistics
from musicfm_pl.encoders.pretrained import Pretrained
from musicfm_pl.kmeans_frames import Frames
from musicfm_pl.kmeans_state import FitState, load_state, save_state
from musicfm_pl.systems.codebooks import codebook_use
from musicfm_pl.tokenizers.centroids import FeatureName, Header, differing_mel, read_centroids, write_centroids
from musicfm_pl.tokenizers.kmeans import nearest_codes
from musicfm_pl.tokenizers.token_features import HiddenLayer, Mfcc, StackedMel, TokenFeatures, weights_digest

_LINE_S = 10.0
"""Seconds between two lines of progress."""


def kmeans(
    root: Path,
    out: Path,
    k: int = 500,
    features: FeatureName = "logmel",
    seed: int = 0,
    hop_length: int | None = None,
    num_mels: int | None = None,
    n_fft: int | None = None,
    stride: int | None = None,
    teacher: Path | None = None,
    layer: int | None = None,
    passes: int = 5,
    hours: float | None = None,
    clip_s: float = 5.0,
    batch_clips: int = 32,
    init_frames: int = 20_000,
    reassignment_ratio: float = 0.01,
    save_every: int = 20,
    device: str = "cpu",
    max_damaged: float = 0.01,
) -> None:
    """Fits the centroids of k-means tokens to the training split of a prepared folder, and reports on their use.

    scikit-learn's MiniBatchKMeans learns from one batch of clips after another, so that a corpus of any size fits in
    memory. Stopped at any time and started again with the same options, it goes on and ends with the same centroids
    as if it had never stopped; finished, it does nothing. The study does not say how many codes it had: HuBERT has 100
    on MFCC and 500 on hidden layers.

    Args:
        root: A folder that `musicfm prepare` wrote.
        out: The file to write; `model.tokenizer.file` of a pretraining run names it. Beside it, until it is done,
            lies a `.state` file.
        k: Codes.
        features: `logmel`: the stacked mel frames of a token; `mfcc`: 13 coefficients with first and second
            differences, stacked likewise; `hidden`: a hidden layer of an earlier pretraining run.
        seed: Of the first centroids, of clips and their order.
        hop_length: Samples between mel frames: that of the run to come, 240 by default, or the teacher's.
        num_mels: Mel bands, 128 by default, or the teacher's.
        n_fft: Samples of a window, 2048 by default, or the teacher's.
        stride: Mel frames a token, as the encoder's time strides multiply: 4 by default (25 Hz with hop 240), or the
            teacher's.
        teacher: For `hidden`: the run directory of the earlier pretraining.
        layer: For `hidden`: which of its hidden states, 0 for the input of the first layer.
        passes: Times that the training split is gone through.
        hours: Audio of one pass at most; each pass draws other clips. All of it by default.
        clip_s: Length of the clips in seconds; a teacher hears no more at once.
        batch_clips: Clips a batch; it must have k frames or more.
        init_frames: Frames among which k-means++ chooses the first centroids.
        reassignment_ratio: A code with less than this share of the frames of the commonest is placed anew.
        save_every: Batches between two saved states.
        device: Where features are computed, as torch names it: cpu, cuda.
        max_damaged: Share of the clips that may lie in damaged records, each of which is named and counted; another
            clip takes its place.

    Raises:
        FileNotFoundError: There is no such folder or teacher.
        ValueError: Settings do not fit together, `out` is of other settings, or more is damaged than may be.
    """
    sizes = {"k": k, "passes": passes, "batch_clips": batch_clips, "init_frames": init_frames}
    for name, value in {**sizes, "save_every": save_every, "clip_s": clip_s}.items():
        if value <= 0:
            raise ValueError(f"--{name} must be positive, got {value}")
    prepared = Prepared(root)
    encoder = _encoder(features, teacher, layer)
    own = getattr(encoder, "mel", {})
    mel_sizes = {
        "hop_length": hop_length or int(own.get("hop_length", 240)),
        "num_mels": num_mels or int(own.get("num_mels", 128)),
        "n_fft": n_fft or int(own.get("n_fft", 2048)),
    }
    stride = stride or (encoder.stride if encoder else 4)
    heard = _heard(features, mel_sizes["num_mels"], stride, encoder, layer)
    damage = Damage(max_damaged, "--max_damaged")
    statistics = mel_statistics(prepared, **mel_sizes, damage=damage)
    log_mel = LogMel(**mel_sizes, mean=statistics.mean, std=statistics.std)
    mel: dict[str, float] = {**log_mel.settings(), "mean": log_mel.mean, "std": log_mel.std}
    for key in differing_mel(own, mel):
        raise ValueError(
            f"--teacher: {teacher} was trained on mel with {key} {own[key]:g}, here it is {mel[key]:g}; "
            f"leave the mel settings to the teacher, and fit on the corpus that it was trained on"
        )
    header = {
        "k": k,
        "features": features,
        "seed": seed,
        "stride": stride,
        "mel": mel,
        "layer": layer,
        "teacher": None if teacher is None else str(teacher),
        "teacher_digest": weights_digest(encoder) if encoder else None,
        "corpus": prepared.card["corpus"],
        "corpus_digest": prepared.digest,
        "fit": {
            "passes": passes,
            "hours": hours,
            "clip_s": clip_s,
            "batch_clips": batch_clips,
            "init_frames": init_frames,
            "reassignment_ratio": reassignment_ratio,
        },
    }
    console = Console(highlight=False, soft_wrap=True)
    if out.exists():
        _check_same(out, header)
        console.print(f"{out} is there already: nothing to do", markup=False)
        return
    frames = Frames(prepared, log_mel, heard, clip_s, batch_clips, hours, seed, device, damage)
    try:
        _fit(frames, header, out, save_every, console)
    except KeyboardInterrupt:
        console.print("\ninterrupted; the same command goes on where it was saved last")
        raise SystemExit(130) from None
    finally:
        damage.summary()


def _encoder(features: FeatureName, teacher: Path | None, layer: int | None) -> Pretrained | None:
    if features != "hidden":
        if teacher is not None or layer is not None:
            raise ValueError(f"--features: {features} needs neither --teacher nor --layer; did you mean hidden?")
        return None
    if teacher is None or layer is None:
        raise ValueError("--features: hidden needs --teacher, an earlier pretraining run, and --layer")
    return Pretrained(teacher)


def _heard(
    features: FeatureName, num_mels: int, stride: int, encoder: Pretrained | None, layer: int | None
) -> TokenFeatures:
    if encoder is not None and layer is not None:
        return HiddenLayer(num_mels, stride, encoder, layer)
    return StackedMel(num_mels, stride) if features == "logmel" else Mfcc(num_mels, stride)


def _check_same(out: Path, header: Mapping[str, Any]) -> None:
    there = read_centroids(out).header
    if differing := [key for key, value in header.items() if key != "teacher" and getattr(there, key) != value]:
        told = ", ".join(f"{key} {getattr(there, key)}, not {header[key]}" for key in differing)
        raise ValueError(f"--out: {out} is of {told}; name another file, or delete that one")


def _fit(frames: Frames, header: Mapping[str, Any], out: Path, save_every: int, console: Console) -> None:
    import sklearn  # type: ignore[import-untyped]

    # Another version need not go on with the state of this one.
    settings = {**header, "scikit-learn": sklearn.__version__}
    state_file = out.with_name(out.name + ".state")
    passes, k = header["fit"]["passes"], header["k"]
    rate_hz = SAMPLE_RATE / (header["mel"]["hop_length"] * header["stride"])
    console.print(
        f"k-means: {k} codes of {header['features']}, {frames.heard.dim} values a frame, {rate_hz:g} Hz, "
        f"{passes} passes of {frames.batches_a_pass} batches"
    )
    if state_file.exists():
        state = load_state(state_file, settings)
        console.print(f"going on after {state.batches} batches")
    else:
        state = _begin(frames, header, console)
        save_state(state_file, state, settings)
    total = passes * frames.batches_a_pass
    said_s = time.monotonic()
    while state.batches < total:
        _learn(state, frames.batch(state.batches))
        if state.batches % frames.batches_a_pass == 0:
            inertia = state.squares / int(state.counts_K.sum())
            state.inertia_by_pass.append(inertia)
            use = _use(torch.from_numpy(state.counts_K))
            console.print(f"pass {len(state.inertia_by_pass)} of {passes}: inertia {inertia:.4f} a frame, {use}")
            state.squares, state.counts_K = 0.0, np.zeros_like(state.counts_K)
        elif time.monotonic() - said_s > _LINE_S:
            said_s = time.monotonic()
            console.print(f"batch {state.batches} of {total}")
        if state.batches % save_every == 0 or state.batches == total:
            save_state(state_file, state, settings)
    centroids_KD = torch.from_numpy(state.estimator.cluster_centers_.astype(np.float32))
    inertia, counts_K = _counted(frames, centroids_KD)
    found = Header(**header, inertia=inertia, inertia_by_pass=tuple(state.inertia_by_pass))
    write_centroids(out, found, centroids_KD, counts_K)
    state_file.unlink()
    console.print(f"{out}: inertia {inertia:.4f} a frame, {_use(counts_K)} (of {counts_K.sum()} frames)", markup=False)


def _begin(frames: Frames, header: Mapping[str, Any], console: Console) -> FitState:
    """The first centroids by k-means++, and an estimator that begins with them."""
    from sklearn.cluster import MiniBatchKMeans, kmeans_plusplus  # type: ignore[import-untyped]

    k, seed, fit = header["k"], header["seed"], header["fit"]
    sample_TD, first_TD = frames.first(fit["init_frames"]), frames.batch(0)
    for name, found in (("init_frames", len(sample_TD)), ("batch_clips", len(first_TD))):
        if found < k:
            raise ValueError(f"--{name}: {found} frames are too few for k = {k} codes; raise it, or lower k")
    console.print(f"first centroids by k-means++ from {len(sample_TD)} frames")
    centroids_KD, _ = kmeans_plusplus(sample_TD, k, random_state=seed)
    estimator = MiniBatchKMeans(
        k,
        init=centroids_KD,
        n_init=1,
        batch_size=len(first_TD),
        random_state=seed,
        reassignment_ratio=fit["reassignment_ratio"],
    )
    return FitState(estimator, 0, 0.0, np.zeros(k, dtype=np.int64))


def _learn(state: FitState, frames_TD: np.ndarray) -> None:
    estimator = state.estimator.partial_fit(frames_TD)
    # Not its own inertia, whose last bits depend on how threads share the sum.
    state.squares += float(np.square(frames_TD - estimator.cluster_centers_[estimator.labels_], dtype=np.float64).sum())
    state.counts_K = state.counts_K + np.bincount(estimator.labels_, minlength=len(state.counts_K))
    state.batches += 1


def _counted(frames: Frames, centroids_KD: Tensor) -> tuple[float, Tensor]:
    """Inertia a frame and frames by code, with centroids that stand still."""
    squares, counts_K = 0.0, torch.zeros(len(centroids_KD), dtype=torch.int64)
    for frames_TD in frames.counted():
        codes_T = nearest_codes(frames_TD, centroids_KD)
        squares += (frames_TD - centroids_KD[codes_T]).double().square().sum().item()
        counts_K += torch.bincount(codes_T, minlength=len(counts_K))
    return squares / int(counts_K.sum()), counts_K


def _use(counts_K: Tensor) -> str:
    use = codebook_use(counts_K.double())
    dead = round(use["dead_codes"])
    return (
        f"{len(counts_K) - dead} of {len(counts_K)} codes used, perplexity {use['perplexity']:.1f}, "
        f"commonest {use['commonest_accuracy']:.1%}, {dead} dead"
    )
