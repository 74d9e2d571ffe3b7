"""`musicfm kmeans`: what it fits, that it goes on where it was, and pretraining on what it made."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import command
import numpy as np
import pytest
import torch

import musicfm_pl.kmeans as module
from data_modules.clips import GridClips
from data_modules.mel import LogMel
from data_modules.shards import Prepared
from data_modules.waveforms import Samples
from musicfm_pl.tokenizers.base import stack_frames
from musicfm_pl.tokenizers.centroids import read_centroids

SMALL = ("--k", "16", "--passes", "3", "--batch_clips", "4", "--init_frames", "300", "--save_every", "1")
"""Three passes of four batches of 500 frames."""
_SLOW = """
import time
import musicfm_pl.kmeans as module
from musicfm_pl.cli import main
learn = module._learn
module._learn = lambda *given: (learn(*given), time.sleep(0.3))
main()
"""


def fit(data: Path, out: Path, *more: str | Path) -> list[str]:
    return ["kmeans", "--root", str(data), "--out", str(out), *SMALL, *map(str, more)]


@pytest.fixture(scope="module")
def whole(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fit that was never stopped."""
    out = tmp_path_factory.mktemp("kmeans") / "tokens.safetensors"
    command.succeed(*fit(prepared, out))
    return out


def pretraining(data: Path, run: Path, steps: int, file: Path, *more: str | Path) -> list[str]:
    """What follows `musicfm fit` for a small model on k-means tokens."""
    arguments = command.pretraining(data, run, steps)
    at = arguments.index("--model.tokenizer.num_codes")  # of a random projection
    del arguments[at : at + 2]
    axis = command.EXPERIMENTS / "axes" / "tokens" / "kmeans.yaml"
    return [*arguments, "--config", str(axis), "--model.tokenizer.file", str(file), *map(str, more)]


def all_frames(data: Path, mel: dict[str, float]) -> torch.Tensor:
    """Of the training split, cut end to end."""
    prepared = Prepared(data)
    clips = GridClips(prepared.split("train"), Samples(prepared), 5.0, 0)
    waveform_BN = torch.stack([clips[item].values for item in range(len(clips))]).float() / 32768.0
    log_mel = LogMel(240, 128, 2048, mel["mean"], mel["std"])
    return stack_frames(log_mel(waveform_BN), 4).flatten(0, 1)


def test_the_file_says_what_it_is_and_how_good(prepared: Path, whole: Path) -> None:
    found = read_centroids(whole)
    header = found.header
    assert (header.k, header.features, header.seed, header.stride) == (16, "logmel", 0, 4)
    assert header.corpus == "miniature" and header.corpus_digest == Prepared(prepared).digest
    assert header.mel["hop_length"] == 240 and header.mel["std"] > 0
    frames_TD = all_frames(prepared, dict(header.mel))
    squares_TK = torch.cdist(frames_TD.double(), found.centroids_KD.double()).square()
    nearest = squares_TK.min(dim=1)
    assert header.inertia == pytest.approx(nearest.values.mean().item(), rel=1e-5)
    counts_K = torch.bincount(nearest.indices, minlength=16)
    assert (counts_K - found.counts_K).abs().sum() <= 2, "but for ties"
    # It has learnt: better than the same number of frames, drawn at random.
    drawn = frames_TD[torch.randperm(len(frames_TD), generator=torch.Generator().manual_seed(0))[:16]]
    at_random = torch.cdist(frames_TD, drawn).square().min(dim=1).values.mean().item()
    assert header.inertia < 0.95 * at_random
    assert len(header.inertia_by_pass) == 3
    assert not whole.with_name(whole.name + ".state").exists()


def test_it_reports_and_does_nothing_twice(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "tokens.safetensors"
    command.succeed(*fit(prepared, out))
    told = capsys.readouterr().out
    for number in (1, 2, 3):
        assert f"pass {number} of 3: inertia " in told
    assert "codes used, perplexity" in told and "dead" in told
    before = out.stat().st_mtime_ns
    command.succeed(*fit(prepared, out))
    assert "is there already: nothing to do" in capsys.readouterr().out
    assert out.stat().st_mtime_ns == before
    code, message = command.fail(*fit(prepared, out, "--seed", "1"))
    assert code == 2 and "seed 0, not 1; name another file" in message


@pytest.mark.parametrize("batch", [0, 1, 4, 11])
def test_interrupted_anywhere(
    batch: int, prepared: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learn: Callable[..., None] = module._learn
    count = itertools.count()

    def interrupted(*given: object) -> None:
        if next(count) == batch:
            raise KeyboardInterrupt
        learn(*given)

    out = tmp_path / "tokens.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(module, "_learn", interrupted)
        assert command.fail(*fit(prepared, out))[0] == 130
    assert not out.exists()
    command.succeed(*fit(prepared, out))
    assert out.read_bytes() == whole.read_bytes()


def test_killed(prepared: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokens.safetensors"
    state = out.with_name(out.name + ".state")
    process = subprocess.Popen(
        [sys.executable, "-c", _SLOW, *fit(prepared, out)], env=command.environment(), stdout=subprocess.DEVNULL
    )
    give_up = time.monotonic() + 200
    while time.monotonic() < give_up:
        time.sleep(0.05)
        if state.exists() and torch.load(state, weights_only=True)["batches"] >= 2:
            break
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not out.exists() and 2 <= torch.load(state, weights_only=True)["batches"] < 12
    command.succeed(*fit(prepared, out))
    assert out.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob("*.state")) and not list(tmp_path.glob("*.part"))


def test_an_unfinished_fit_of_something_else_is_refused(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "tokens.safetensors"
    state = out.with_name(out.name + ".state")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_learn", stop)
        command.fail(*fit(prepared, out))
    code, message = command.fail(*fit(prepared, out, "--k", "17"))
    assert code == 2 and "begun with k 16, not 17; delete it to begin anew" in message
    state.write_bytes(state.read_bytes()[:-200])
    code, message = command.fail(*fit(prepared, out))
    assert code == 2 and f"{state} cannot be read" in message


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--k", "0"), "--k must be positive"),
        (("--k", "600"), "--init_frames: 300 frames are too few for k = 600"),
        (("--k", "600", "--init_frames", "700"), "--batch_clips: 500 frames are too few for k = 600"),
        (("--features", "hidden"), "hidden needs --teacher"),
        (("--layer", "1"), "logmel needs neither --teacher nor --layer"),
        (("--features", "mfcc", "--num_mels", "8"), "13 coefficients need as many mel bands, got 8"),
    ],
)
def test_bad_options(more: tuple[str, ...], message: str, prepared: Path, tmp_path: Path) -> None:
    code, told = command.fail(*fit(prepared, tmp_path / "x.safetensors", *more))
    assert code == 2 and message in told
    assert not list(tmp_path.iterdir())


def test_passes_of_a_part_of_the_corpus(prepared: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokens.safetensors"
    command.succeed(*fit(prepared, out, "--hours", str(6 * 5 / 3600), "--features", "mfcc"))
    found = read_centroids(out)
    assert found.centroids_KD.shape == (16, 156) and len(found.header.inertia_by_pass) == 3


def test_pretraining_on_it_goes_on_from_a_file_that_moved(prepared: Path, whole: Path, tmp_path: Path) -> None:
    run, file = tmp_path / "run", tmp_path / "tokens.safetensors"
    file.write_bytes(whole.read_bytes())
    command.succeed("fit", *pretraining(prepared, run, 2, file))
    summary = json.loads((run / "results.json").read_text())["protocols"]["musicfm"]["summary"]
    assert summary["chance_loss"] == pytest.approx(np.log(16))
    assert summary["loss_above_chance"] == pytest.approx(summary["val_loss"] - np.log(16), abs=1e-5)
    assert 1 < summary["perplexity"] <= 16 and 0 <= summary["dead_codes"] < 16
    moved = file.rename(tmp_path / "moved.safetensors")
    command.succeed("fit", *pretraining(prepared, run, 4, moved))
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4
    other = tmp_path / "other.safetensors"
    command.succeed(*fit(prepared, other, "--seed", "1"))
    code, message = command.fail("fit", *pretraining(prepared, run, 5, other))
    assert code == 2 and "the checkpoint was trained on tokens of a file with sha256" in message


def test_pretraining_on_another_mel_is_refused(prepared: Path, whole: Path, tmp_path: Path) -> None:
    code, message = command.fail("fit", *pretraining(prepared, tmp_path, 1, whole, "--data.features.n_fft", "1024"))
    assert code == 2 and "was fitted on mel with n_fft 2048 (miniature), this run's data have 1024" in message


def test_a_second_iteration(prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
    """Tokens of a hidden layer of the run before, and a run on them."""
    out, run = tmp_path / "tokens.safetensors", tmp_path / "run"
    hidden = ("--features", "hidden", "--teacher", pretrained_run, "--layer", "1")
    command.succeed(*fit(prepared, out, *hidden))
    header = read_centroids(out).header
    assert (header.layer, header.teacher) == (1, str(pretrained_run))
    code, message = command.fail(*fit(prepared, tmp_path / "x", *hidden[:-1], "3"))
    assert code == 2 and "layer 3 asked for, but the teacher has hidden states 0 to 2" in message
    teacher = ("--model.tokenizer.teacher", "Pretrained", "--model.tokenizer.teacher.run", pretrained_run)
    command.succeed("fit", *pretraining(prepared, run, 2, out, *teacher))
    command.succeed("fit", *pretraining(prepared, run, 3, out, *teacher))
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 3
    kept = {key for key in state["state_dict"] if key.startswith("tokenizer.")}
    assert kept == {"tokenizer.centroids", "tokenizer.sha256"}, "and nothing of the teacher"
