"""Log-mel against torchaudio, which the authors' code calls."""

import math
import pickle

import pytest
import torch
import torchaudio
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.mel import LogMel, Waveform


def noise(num_samples: int, batch: int = 2) -> torch.Tensor:
    return 0.1 * torch.randn(batch, num_samples, generator=torch.Generator().manual_seed(0))


def reference(waveform: torch.Tensor, hop: int, num_mels: int) -> torch.Tensor:
    mel = torchaudio.transforms.MelSpectrogram(24000, n_fft=2048, hop_length=hop, n_mels=num_mels)
    return torchaudio.transforms.AmplitudeToDB()(mel(waveform))[..., :-1]


@pytest.mark.parametrize(("hop", "num_mels", "num_samples"), [(240, 128, 120_000), (320, 128, 24_123), (240, 64, 1025)])
def test_equals_torchaudio(hop: int, num_mels: int, num_samples: int) -> None:
    waveform = noise(num_samples)
    mel = LogMel(hop, num_mels)
    expected = reference(waveform, hop, num_mels)
    torch.testing.assert_close(mel(waveform), expected, atol=1e-3, rtol=0)
    # The figures of the authors for the Million Song Dataset.
    normalised = LogMel(hop, num_mels, mean=6.768444971712967, std=18.417922652295623)(waveform)
    torch.testing.assert_close(normalised, (expected - 6.768444971712967) / 18.417922652295623, atol=1e-4, rtol=0)


def test_a_tone_lies_in_the_band_of_its_frequency() -> None:
    time_s = torch.arange(48_000) / 24_000
    mel_BMF = LogMel()(torch.sin(2 * math.pi * 1000 * time_s)[None])
    top_mel = 2595 * math.log10(1 + 12_000 / 700)
    band = 2595 * math.log10(1 + 1000 / 700) / top_mel * 129 - 1
    assert abs(int(mel_BMF[0, :, 100].argmax()) - band) <= 1


def test_silence_is_finite_and_at_the_floor() -> None:
    torch.testing.assert_close(LogMel()(torch.zeros(1, 4800)), torch.full((1, 128, 20), -100.0))


@settings(max_examples=25, deadline=None)
@given(num_samples=st.integers(1025, 6000), hop=st.sampled_from([240, 320, 441]))
def test_number_of_frames(num_samples: int, hop: int) -> None:
    mel = LogMel(hop)
    assert mel(noise(num_samples, 1)).shape == (1, 128, num_samples // hop)
    assert mel.frames(num_samples) == num_samples // hop


def test_is_float32_under_autocast_and_in_half_precision_models() -> None:
    waveform = noise(24_000)
    expected = LogMel()(waveform)
    with torch.autocast("cpu", torch.bfloat16):
        mel = LogMel()(waveform)
    assert mel.dtype == torch.float32
    torch.testing.assert_close(mel, expected, atol=0, rtol=0)
    assert LogMel()(waveform.double()).dtype == torch.float32


def test_has_nothing_to_save_but_moves_with_the_module() -> None:
    mel = LogMel()
    assert not mel.state_dict()
    assert {buffer.device.type for buffer in mel.to("meta").buffers()} == {"meta"}
    copy = pickle.loads(pickle.dumps(LogMel(mean=1.0, std=2.0)))
    assert torch.equal(copy(noise(4800)), LogMel(mean=1.0, std=2.0)(noise(4800)))


def test_settings_leave_out_the_statistics() -> None:
    settings = {"sample_rate": 24_000, "n_fft": 2048, "hop_length": 320, "num_mels": 64}
    assert LogMel(320, 64, mean=3.0, std=2.0).settings() == settings
    assert LogMel(320).rate_hz == 75


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hop_length": 0}, "hop_length"),
        ({"num_mels": 0}, "num_mels"),
        ({"std": 0.0}, "std"),
        ({"std": math.nan}, "std"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LogMel(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(1, 1024), (24_000,), (1, 0)])
def test_a_waveform_that_is_too_short_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="more than 1024 samples"):
        LogMel()(torch.zeros(shape))


def test_waveform_passes_unchanged() -> None:
    waveform = noise(100)
    assert Waveform()(waveform) is waveform
    assert Waveform().settings() == {"sample_rate": 24_000}
    assert (LogMel.reads, Waveform.reads) == ("mel", "waveform")
