"""K-means tokens against scikit-learn and torch.cdist, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from sklearn.cluster import MiniBatchKMeans

from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.tokenizers.centroids import Header, read_centroids, write_centroids
from musicfm_pl.tokenizers.kmeans import KMeans
from musicfm_pl.tokenizers.token_features import HiddenLayer, Mfcc, StackedMel, weights_digest

MEL = {"sample_rate": 24000, "hop_length": 240, "num_mels": 16, "n_fft": 2048, "mean": 6.0, "std": 18.0}
HEADER = Header(40, "logmel", 0, 4, MEL, None, None, None, "made up", "0", {}, 1.0, (2.0, 1.0))


def frames(num_tokens: int, dim: int = 64, seed: int = 1) -> torch.Tensor:
    return torch.randn(num_tokens, dim, generator=torch.Generator().manual_seed(seed))


def written(folder: Path, centroids_KD: torch.Tensor | None = None, **changes: Any) -> Path:
    """A file with some centroids."""
    centroids_KD = frames(HEADER.k, seed=2) if centroids_KD is None else centroids_KD
    file = folder / "kmeans.safetensors"
    header = replace(HEADER, k=len(centroids_KD), **changes)
    write_centroids(file, header, centroids_KD, torch.ones(len(centroids_KD), dtype=torch.int64))
    return file


def teacher(num_layers: int = 2) -> Conformer:
    return Conformer(dim=24, num_layers=num_layers, num_heads=2, ffn_dim=16, conv_channels=2, num_mels=16)


def test_tokens_are_those_of_scikit_learn_and_of_cdist(tmp_path: Path) -> None:
    x = frames(4000)
    fitted = MiniBatchKMeans(100, random_state=0, n_init=1).fit(x.numpy())
    tokens = KMeans(64, written(tmp_path, torch.from_numpy(fitted.cluster_centers_)))(x)
    assert tokens.shape == (4000, 1) and tokens.dtype == torch.int64
    assert (tokens[:, 0].numpy() == fitted.predict(x.numpy())).mean() > 0.999
    distance = torch.cdist(x.double(), torch.from_numpy(fitted.cluster_centers_).double())
    nearest = distance.min(dim=1)
    other = tokens[:, 0] != nearest.indices
    assert other.float().mean() < 0.001, "but for ties in float32"
    chosen = distance.gather(1, tokens)[:, 0]
    torch.testing.assert_close(chosen, nearest.values, rtol=1e-6, atol=0)


def test_centroids_far_from_the_origin(tmp_path: Path) -> None:
    """Length decides, not direction alone: the one of the two that is nearer has the smaller product."""
    codes = torch.stack([torch.full((64,), 10.0), torch.full((64,), 1.0)])
    assert KMeans(64, written(tmp_path, codes))(torch.full((1, 64), 2.0)).item() == 1


def test_no_frames_have_no_tokens(tmp_path: Path) -> None:
    assert KMeans(64, written(tmp_path))(frames(0)).shape == (0, 1)


def test_checkpoints_hold_the_centroids_and_refuse_those_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    one = KMeans(64, written(tmp_path))
    other = KMeans(64, written(tmp_path / "other", frames(HEADER.k, seed=3)))
    moved = (tmp_path / "moved.safetensors").resolve()
    one.file.rename(moved)
    KMeans(64, moved).load_state_dict(one.state_dict())
    with pytest.raises(ValueError, match=r"model\.tokenizer\.file: the checkpoint was trained on tokens of"):
        other.load_state_dict(one.state_dict())
    assert set(one.state_dict()) == {"centroids", "sha256"}


def test_equal_centroids_are_equal_files(tmp_path: Path) -> None:
    first = written(tmp_path).read_bytes()
    assert written(tmp_path).read_bytes() == first
    read = read_centroids(tmp_path / "kmeans.safetensors")
    assert read.header == HEADER and torch.equal(read.centroids_KD, frames(HEADER.k, seed=2))


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "text", "foreign", "header", "shape", "nan", "version"], ids=lambda name: name
)
def test_damaged_files_are_refused_by_name(damage: str, tmp_path: Path) -> None:
    file = written(tmp_path)
    data = file.read_bytes()
    codes = frames(HEADER.k, seed=2)
    if damage == "cut":
        file.write_bytes(data[:-100])
    elif damage == "empty":
        file.write_bytes(b"")
    elif damage == "text":
        file.write_text("no centroids at all, but a text of some length")
    elif damage == "foreign":
        safetensors.torch.save_file({"weight": codes}, file)
    elif damage == "header":
        file.write_bytes(data[:8] + b"}" + data[9:])
    elif damage == "shape":
        write_centroids(file, HEADER, codes[:-1], torch.ones(HEADER.k, dtype=torch.int64))
    elif damage == "nan":
        written(tmp_path, codes.masked_fill(codes > 2, float("nan")))
    else:
        file.write_bytes(data.replace(b'\\"seed\\"', b'\\"salt\\"'))
    with pytest.raises(ValueError, match=r"model\.tokenizer\.file: .*kmeans\.safetensors.* anew with `musicfm kmeans`"):
        KMeans(64, file)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    file = written(tmp_path)
    with pytest.raises(ValueError, match="name the centroids"):
        KMeans(64)
    with pytest.raises(FileNotFoundError, match=r"no file .*gone; fit it first: musicfm kmeans"):
        KMeans(64, tmp_path / "gone")
    with pytest.raises(
        ValueError, match=r"4 stacked frames of 16 mel bands \(25 Hz\), 64 values .* this model stacks 16"
    ):
        KMeans(16, file)
    with pytest.raises(ValueError, match=r"\(tokens, 64\), got \(3, 16\)"):
        KMeans(64, file)(frames(3, 16))
    with pytest.raises(ValueError, match="16 mel bands, 4 frames a token; this is 32 bands, 2 frames"):
        KMeans(64, file).features(torch.zeros(1, 32, 40), 2)
    with pytest.raises(ValueError, match="have 64 values, but mfcc has 156"):
        KMeans(64, written(tmp_path, features="mfcc"))


@pytest.mark.parametrize(("key", "value"), [("hop_length", 320), ("num_mels", 128), ("n_fft", 1024), ("mean", 7.0)])
def test_another_mel_is_refused(key: str, value: float, tmp_path: Path) -> None:
    tokenizer = KMeans(64, written(tmp_path))
    tokenizer.check_mel(MEL | {"mean": 6.0000001})
    with pytest.raises(ValueError, match=rf"{key} {MEL[key]:g} \(made up\), this run's data have {value:g}; fit"):
        tokenizer.check_mel(MEL | {key: value})


def test_features_by_name(tmp_path: Path) -> None:
    assert isinstance(KMeans(64, written(tmp_path)).heard, StackedMel)
    assert isinstance(KMeans(64, written(tmp_path, frames(9, 156), features="mfcc")).heard, Mfcc)


def test_the_teacher_is_checked_and_kept_aside(tmp_path: Path) -> None:
    own, other = teacher(), teacher()
    of_teacher = {"features": "hidden", "layer": 1, "teacher": "runs/a", "teacher_digest": weights_digest(own)}
    file = written(tmp_path, frames(9, 24), **of_teacher)
    tokenizer = KMeans(64, file, own)
    assert isinstance(tokenizer.heard, HiddenLayer)
    assert not list(tokenizer.parameters()) and set(tokenizer.state_dict()) == {"centroids", "sha256"}
    tokenizer.train()
    assert not own.training, "dropout would change the tokens"
    mel_BMF = torch.randn(2, 16, 42)
    frames_BTD = tokenizer.features(mel_BMF, 4)
    torch.testing.assert_close(frames_BTD, own(mel_BMF, last_layer=1)[1][:, :10])
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(tokenizer.features(mel_BMF, 4), frames_BTD)
    with pytest.raises(ValueError, match=r"layer 1 of the encoder in runs/a; name it: --model\.tokenizer\.teacher"):
        KMeans(64, file)
    with pytest.raises(ValueError, match=r"its weights \(\w+\) are not those"):
        KMeans(64, file, other)
    with pytest.raises(ValueError, match="is of logmel, which needs no teacher"):
        KMeans(64, written(tmp_path), own)
