"""Twenty minutes at once: every frame is there, and memory stays within bounds."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Iterator
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile
import torch

from data_modules.mel import LogMel
from musicfm_pl.heads.beat import Beat
from musicfm_pl.systems.windows import in_batches, stitch

LENGTH_S = 20 * 60


def test_predicting_twenty_minutes(prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
    """The spectrum alone of twenty minutes would be 2 GB, and all windows of all layers held at once far more."""
    run = tmp_path / "run"
    command.succeed("fit", *command.probing("chord", prepared, run, *command.encoder("Pretrained", pretrained_run)))
    noise = np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32)
    with soundfile.SoundFile(tmp_path / "long.wav", "w", 24_000, 1) as file:
        for second in range(LENGTH_S):
            file.write(np.roll(noise, second) * np.float32(0.5 + 0.5 * np.sin(second)))
    code = (
        "import resource, sys\nimport musicfm_pl.experiment\nfrom musicfm_pl.cli import main\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "main(sys.argv[1:])\n"
        "print('KiB', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = command.python("-c", code, "predict", "--run_dir", run, "--data.files", f"[{tmp_path / 'long.wav'}]")
    assert done.returncode == 0, done.stderr
    more_mib = int(done.stdout.split("KiB")[1]) / 1024
    assert more_mib < 1200
    rows = [line.split("\t") for line in (run / "predictions" / "long.chord.lab").read_text().splitlines()]
    assert float(rows[0][0]) == 0 and float(rows[-1][1]) == pytest.approx(LENGTH_S, abs=0.1)
    for before, after in itertools.pairwise(rows):
        assert before[1] == after[0]


def test_beats_of_twenty_minutes_of_noise() -> None:
    """By the default decoder, which finds a path through all 60,000 frames at once."""
    num_frames = LENGTH_S * 50
    logits_N2 = np.random.default_rng(0).normal(0, 2, (num_frames, 2)).astype(np.float32)
    found = Beat(4).decode(logits_N2, LENGTH_S).spans
    assert len(found) > LENGTH_S * 55 / 60 * 0.9, "beats all along, at the slowest tempo or faster"
    assert 0 <= found.starts_s[0] < 3 and LENGTH_S - 3 < found.starts_s[-1] <= LENGTH_S
    assert (np.diff(found.starts_s) > 0).all()
    assert set(found.labels) <= {"1", "2", "3", "4"}


@pytest.mark.parametrize("batch_size", [1, 4])
def test_windows_are_let_go_as_soon_as_they_are_stitched(batch_size: int) -> None:
    alive: list[weakref.ref[torch.Tensor]] = []
    most = 0

    def run(part: torch.Tensor, _: int) -> torch.Tensor:
        nonlocal most
        most = max(most, sum(reference() is not None for reference in alive))
        found = part.repeat(1, 1, 3)
        alive.append(weakref.ref(found))
        return found

    def parts() -> Iterator[tuple[torch.Tensor, int]]:
        for number in range(40):
            yield torch.full((1, 10, 2), float(number)), 0

    whole = stitch(in_batches(parts(), batch_size, run), range(0, 400, 10), None, "centre", torch.float16)
    assert whole.shape == (400, 6)
    torch.testing.assert_close(whole[:, 0], torch.arange(40.0).repeat_interleave(10).half())
    assert len(alive) == 40 // batch_size
    assert most <= 2, "the batch that is being stitched, and the one that comes"


def test_parts_that_are_not_alike_do_not_run_together() -> None:
    shapes: list[tuple[tuple[int, ...], int]] = []

    def run(part: torch.Tensor, frames: int) -> torch.Tensor:
        shapes.append((tuple(part.shape), frames))
        return part

    lengths = [5, 5, 5, 3, 5, 5]
    parts = [torch.randn(1, length, 2) for length in lengths]
    frames = [1, 1, 2, 2, 2, 2]
    found = list(in_batches(zip(parts, frames, strict=True), 8, run))
    assert shapes == [((2, 5, 2), 1), ((1, 5, 2), 2), ((1, 3, 2), 2), ((2, 5, 2), 2)]
    for part, piece in zip(parts, found, strict=True):
        assert torch.equal(part[0], piece)
    assert list(in_batches([], 8, run)) == []


def test_the_mel_of_a_long_track_is_that_of_its_parts() -> None:
    """Blocks of the spectrum leave no seam."""
    waveform_BN = 0.1 * torch.randn(2, 24_000 * 65 + 17, generator=torch.Generator().manual_seed(0))
    mel = LogMel()
    whole_BMF = mel(waveform_BN)
    assert whole_BMF.shape == (2, 128, 6500)
    for first in (2900, 5950):
        part_BMF = mel(waveform_BN[:, (first - 10) * 240 : (first + 110) * 240])[..., 10:110]
        torch.testing.assert_close(whole_BMF[..., first : first + 100], part_BMF, rtol=1e-4, atol=1e-3)
