"""Hidden states of a waveform are those that it has alone, whatever runs beside it."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from data_modules import SAMPLE_RATE
from data_modules.mel import LogMel, Waveform
from musicfm_pl.embed import embed, features_of
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.encoders.mel_frames import MelFrames
from musicfm_pl.encoders.pretrained import Pretrained
from musicfm_pl.systems.windows import cut, plan, stitch

LENGTHS_S = (2.0, 0.31, 7.43, 2.0, 3.171, 5.0, 7.43)
SMALL = {"dim": 32, "num_layers": 2, "num_heads": 2, "ffn_dim": 48, "conv_channels": 4}


@pytest.fixture(scope="module", params=[Conformer, Bert, MelFrames], ids=lambda each: each.__name__)
def encoder(request: pytest.FixtureRequest) -> Encoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        found: Encoder = request.param(**({} if request.param is MelFrames else SMALL))
    return found


@pytest.fixture(scope="module")
def waveforms() -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [0.1 * torch.randn(round(length_s * SAMPLE_RATE), generator=generator) for length_s in LENGTHS_S]


@pytest.mark.parametrize("window_s", [None, 2.5])
@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_a_batch_gives_what_each_gives_alone(
    encoder: Encoder, waveforms: list[Tensor], window_s: float | None, batch_size: int
) -> None:
    mel = LogMel(mean=-20.0, std=15.0)
    together = embed(encoder, mel, waveforms, window_s, batch_size=batch_size)
    assert len(together) == len(waveforms)
    for waveform_N, found_LTD in zip(waveforms, together, strict=True):
        (alone_LTD,) = embed(encoder, mel, [waveform_N], window_s, batch_size=1)
        assert found_LTD.dtype == torch.float32
        assert found_LTD.shape == (encoder.num_layers + 1, -(-(len(waveform_N) // 240) // 4), encoder.dim)
        torch.testing.assert_close(found_LTD, alone_LTD, rtol=1e-5, atol=1e-5)


def test_a_whole_waveform_gives_what_the_encoder_gives(encoder: Encoder, waveforms: list[Tensor]) -> None:
    """Against the encoder itself; and padding, as batches are often made, would not."""
    mel = LogMel(mean=-20.0, std=15.0)
    longest = max(waveforms, key=len)
    for waveform_N, found_LTD in zip(waveforms, embed(encoder, mel, waveforms), strict=True):
        with torch.no_grad():
            expected_LTD = torch.cat(encoder.eval()(mel(waveform_N[None])))
            padded_N = torch.nn.functional.pad(waveform_N, (0, len(longest) - len(waveform_N)))
            padded_LTD = torch.cat(encoder(mel(padded_N[None])))[:, : expected_LTD.shape[1]]
        torch.testing.assert_close(found_LTD, expected_LTD, rtol=1e-5, atol=1e-5)
        if len(waveform_N) < len(longest) and not isinstance(encoder, MelFrames):
            assert (padded_LTD - expected_LTD).abs().max() > 1e-3


@torch.no_grad()
def test_windows_give_what_each_gives_alone(encoder: Encoder, waveforms: list[Tensor]) -> None:
    """They share their front end, and still each state is that of its own window, padded where that ends."""
    mel = LogMel(mean=-20.0, std=15.0)
    encoder.eval()
    for waveform_N in waveforms:
        heard, duration_s = mel(waveform_N[None]), len(waveform_N) / SAMPLE_RATE
        windows = plan(duration_s, 2.4, Fraction(1, 25), 0.5)
        pieces = [torch.cat(encoder(part)).transpose(0, 1) for part in cut(heard, 2, windows, 100)]
        expected_TLD = stitch(pieces, [round(25 * window.start_s) for window in windows], None, "centre")
        (found_LTD,) = embed(encoder, mel, [waveform_N], 2.4)
        torch.testing.assert_close(found_LTD, expected_TLD.transpose(0, 1), rtol=1e-5, atol=1e-5)


def test_a_layer_is_that_layer_of_all(encoder: Encoder, waveforms: list[Tensor]) -> None:
    mel = LogMel()
    for layer in range(encoder.num_layers + 1):
        for one_LTD, all_LTD in zip(
            embed(encoder, mel, waveforms[:2], 1.5, layer=layer), embed(encoder, mel, waveforms[:2], 1.5), strict=True
        ):
            torch.testing.assert_close(one_LTD, all_LTD[layer : layer + 1], rtol=0, atol=0)
    with pytest.raises(ValueError, match=r"model\.layer: 9 asked for"):
        embed(encoder, mel, waveforms, layer=9)


def test_the_encoder_is_in_evaluation_mode_and_no_graph_is_kept(waveforms: list[Tensor]) -> None:
    encoder = Conformer(**SMALL, dropout=0.5).train()
    first, second = (embed(encoder, LogMel(), waveforms[:1])[0] for _ in range(2))
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    assert not first.requires_grad


def test_what_does_not_fit_is_refused(waveforms: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="Waveform gives waveform, the encoder reads mel"):
        embed(MelFrames(), Waveform(), waveforms)
    with pytest.raises(ValueError, match="MelFrames brings no mel settings"):
        features_of(MelFrames())
    assert embed(MelFrames(), LogMel(), []) == []


def test_files(pretrained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    for name, length_s in (("a.wav", 3.3), ("b.flac", 12.0)):
        soundfile.write(tmp_path / name, rng.normal(0, 0.1, round(SAMPLE_RATE * length_s)), SAMPLE_RATE)
    files = f"[{tmp_path / 'a.wav'}, {tmp_path / 'b.flac'}]"
    given = ("embed", "--run", pretrained_run, "--files", files, "--window_s", "5")
    command.succeed(*given, "--out", tmp_path / "all")
    command.succeed(*given, "--out", tmp_path / "last", "--layer", "2")
    assert "b.npy, 3 x 300 x 32" in capsys.readouterr().out
    encoder = Pretrained(pretrained_run)
    for name, suffix in (("a", "wav"), ("b", "flac")):
        samples, _ = soundfile.read(tmp_path / f"{name}.{suffix}", dtype="float32")
        (expected,) = embed(encoder, features_of(encoder), [torch.from_numpy(samples)], 5.0)
        np.testing.assert_allclose(np.load(tmp_path / "all" / f"{name}.npy"), expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(np.load(tmp_path / "last" / f"{name}.npy"), expected[2], rtol=1e-5, atol=1e-5)
    (tmp_path / "more").mkdir()
    soundfile.write(tmp_path / "more" / "a.wav", rng.normal(0, 0.1, 9000), SAMPLE_RATE)
    for bad, message in (
        (f"[{tmp_path / 'a.wav'}, {tmp_path / 'more' / 'a.wav'}]", "more than one file is called a"),
        (f"[{tmp_path / 'absent.wav'}]", "absent.wav"),
    ):
        code, said = command.fail("embed", "--run", pretrained_run, "--files", bad, "--out", tmp_path / "bad")
        assert code == 2
        assert message in said
    assert not (tmp_path / "bad").exists()
