import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.base import BadTrack


def tone(rate: int, seconds: float = 1.5, channels: int = 1) -> np.ndarray:
    times_s = np.arange(round(rate * seconds)) / rate
    one = 0.4 * np.sin(2 * np.pi * 440 * times_s)
    return np.repeat(one[:, None], channels, axis=1).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int, container: str, coding: str) -> Path:
    with soundfile.SoundFile(path, "w", rate, samples.shape[1], format=container, subtype=coding) as file:
        # A long OGG in one call can crash libsndfile.
        for start in range(0, len(samples), 16384):
            file.write(samples[start : start + 16384])
    return path


def frequency_hz(waveform_N: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(waveform_N * np.hanning(len(waveform_N))))
    return float(np.argmax(spectrum)) * SAMPLE_RATE / len(waveform_N)


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 48000, 192000])
@pytest.mark.parametrize(("channels", "coding"), [(1, "PCM_16"), (2, "FLOAT"), (8, "PCM_24")])
def test_wav_of_any_rate_and_channels(tmp_path: Path, rate: int, channels: int, coding: str) -> None:
    waveform_N = read_audio(write(tmp_path / "a.wav", tone(rate, channels=channels), rate, "WAV", coding))
    assert waveform_N.dtype == np.float32
    assert abs(len(waveform_N) - 1.5 * SAMPLE_RATE) <= 1
    assert frequency_hz(waveform_N) == pytest.approx(440, abs=1)
    assert np.abs(waveform_N[2000:-2000]).max() == pytest.approx(0.4, abs=0.01)


FORMATS = [
    ("a.flac", "FLAC", "PCM_16", 44100),
    ("a.mp3", "MP3", "MPEG_LAYER_III", 44100),
    ("a.ogg", "OGG", "VORBIS", 44100),
    ("a.opus", "OGG", "OPUS", 48000),
    ("a.aiff", "AIFF", "PCM_16", 44100),
]


@pytest.mark.parametrize(("name", "container", "coding", "rate"), FORMATS)
def test_other_formats(tmp_path: Path, name: str, container: str, coding: str, rate: int) -> None:
    waveform_N = read_audio(write(tmp_path / name, tone(rate, channels=2), rate, container, coding))
    assert len(waveform_N) == pytest.approx(1.5 * SAMPLE_RATE, abs=0.05 * SAMPLE_RATE)
    assert frequency_hz(waveform_N) == pytest.approx(440, abs=1)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
@pytest.mark.parametrize(("name", "container", "coding", "rate"), [("a.wav", "WAV", "PCM_16", 44100), *FORMATS])
def test_cut_file_is_refused_by_name(
    tmp_path: Path, name: str, container: str, coding: str, rate: int, share: float
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (6 * rate, 1)).astype(np.float32)
    path = write(tmp_path / name, noise, rate, container, coding)
    data = path.read_bytes()
    path.write_bytes(data[: round(share * len(data))])
    with pytest.raises(BadTrack, match=rf"{name}.*cut short"):
        read_audio(path)


def test_streamed_wav_without_a_length_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "pipe.wav", tone(24000), 24000, "WAV", "PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    assert len(read_audio(path)) == 36000


def test_longer_than_a_block_equals_resampling_at_once(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (16000 * 65, 2)).astype(np.float32)
    path = write(tmp_path / "long.wav", noise, 16000, "WAV", "FLOAT")
    oracle = soxr.resample(noise.mean(axis=1), 16000, SAMPLE_RATE, quality="HQ")
    np.testing.assert_allclose(read_audio(path), oracle, atol=1e-5)


def test_over_full_scale_is_scaled_not_clipped(tmp_path: Path) -> None:
    path = write(tmp_path / "loud.wav", 10 * tone(24000), 24000, "WAV", "FLOAT")
    waveform_N = read_audio(path)
    assert np.abs(waveform_N).max() == pytest.approx(1)
    np.testing.assert_allclose(waveform_N, tone(24000)[:, 0] / 0.4, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 3000), st.integers(1, 4), st.sampled_from([8000, 24000, 44100]))
def test_short_files(tmp_path_factory: pytest.TempPathFactory, length: int, channels: int, rate: int) -> None:
    samples = np.full((length, channels), 0.25, dtype=np.float32)
    waveform_N = read_audio(write(tmp_path_factory.mktemp("s") / "s.wav", samples, rate, "WAV", "FLOAT"))
    assert abs(len(waveform_N) - length * SAMPLE_RATE / rate) <= 1
    assert np.isfinite(waveform_N).all()
    assert np.abs(waveform_N).max() <= 1


def test_bad_files_are_named(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("not audio at all, whatever the name says\n" * 20)
    with pytest.raises(BadTrack, match=r"text\.wav: cannot be read"):
        read_audio(text)
    empty = tmp_path / "empty.wav"
    empty.touch()
    with pytest.raises(BadTrack, match=r"empty\.wav: cannot be read"):
        read_audio(empty)
    with pytest.raises(BadTrack, match=r"absent\.wav: cannot be read"):
        read_audio(tmp_path / "absent.wav")
    no_samples = write(tmp_path / "none.wav", np.zeros((0, 1), dtype=np.float32), 24000, "WAV", "FLOAT")
    with pytest.raises(BadTrack, match=r"none\.wav: holds no samples"):
        read_audio(no_samples)
    silent = write(tmp_path / "silent.wav", np.zeros((24000, 2), dtype=np.float32), 24000, "WAV", "PCM_16")
    with pytest.raises(BadTrack, match=r"silent\.wav: silent throughout"):
        read_audio(silent)
    broken = tone(24000)
    broken[100] = np.nan
    with pytest.raises(BadTrack, match=r"nan\.wav: samples that are not finite"):
        read_audio(write(tmp_path / "nan.wav", broken, 24000, "WAV", "FLOAT"))


@pytest.mark.parametrize("content", [b"no music, " * 500, b"ID3\x04\0\0\0\0\0\0" + b"\xff\xfb\x90\x64" + b"junk" * 900])
def test_decoders_keep_their_own_messages(tmp_path: Path, capfd: pytest.CaptureFixture[str], content: bytes) -> None:
    path = tmp_path / "fake.mp3"
    path.write_bytes(content)
    with pytest.raises(BadTrack, match=r"fake\.mp3"):
        read_audio(path)
    assert capfd.readouterr().err == ""
    os.write(2, b"after it")
    assert capfd.readouterr().err == "after it"
