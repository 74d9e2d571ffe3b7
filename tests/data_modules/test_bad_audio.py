"""What lies about in large collections, through `musicfm prepare`: set aside with a reason, or heard as it should."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile

from data_modules import SAMPLE_RATE
from data_modules.shards import Prepared

HZ = 440.0


def tone(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    time_N = np.arange(round(seconds * rate)) / rate
    return np.repeat(0.5 * np.sin(2 * np.pi * HZ * time_N)[:, None], channels, axis=1).astype(np.float32)


def cut(path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (5 * 44100, 2))
    soundfile.write(path, noise, 44100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def not_a_number(path: Path) -> None:
    samples = tone(2, 44100)
    samples[1000] = np.nan
    soundfile.write(path, samples, 44100, subtype="FLOAT")


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut/short.mp3": (cut, "cut short"),
    "cut/short.flac": (cut, "cut short"),
    "cut/short.wav": (cut, "cut short"),
    "cut/short.ogg": (cut, "cut short"),
    "other/picture.mp3": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0 JFIF" * 100), "cannot be read as audio"),
    "other/text.wav": (lambda path: path.write_text("RIFF? no"), "cannot be read as audio"),
    "empty/zero bytes.mp3": (lambda path: path.touch(), "cannot be read as audio"),
    "empty/no samples.wav": (lambda path: soundfile.write(path, np.zeros((0, 2)), 44100), "holds no samples"),
    "empty/silence.flac": (lambda path: soundfile.write(path, np.zeros(44100), 44100), "silent throughout"),
    "empty/nan.wav": (not_a_number, "not finite numbers"),
}
GOOD: dict[str, tuple[Callable[[Path], object], float]] = {
    "rates/8 kHz.wav": (lambda path: soundfile.write(path, tone(3, 8000), 8000), 3.0),
    "rates/192 kHz.flac": (lambda path: soundfile.write(path, tone(3, 192_000), 192_000), 3.0),
    "channels/eight.wav": (lambda path: soundfile.write(path, tone(3, 48_000, 8), 48_000), 3.0),
    "names/flac by content.mp3": (lambda path: soundfile.write(path, tone(3, 44_100), 44_100, format="FLAC"), 3.0),
    "names/Жар-птица — 火の鳥 🎵.ogg": (lambda path: soundfile.write(path, tone(3, 44_100), 44_100), 3.0),
    "names/e\u0301 and \u00e9/é.wav": (lambda path: soundfile.write(path, tone(3, 24_000), 24_000), 3.0),
    "names/tab\tand 'quotes' \".wav": (lambda path: soundfile.write(path, tone(3, 24_000), 24_000), 3.0),
    "long/hour.wav": (lambda path: soundfile.write(path, tone(3600, 8000), 8000, subtype="PCM_U8"), 3600.0),
}


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("bad")
    for name, (write, _) in {**BAD, **GOOD}.items():
        path = root / "music" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)
    folder = ("prepare", "--corpus", "folder", "--root", root / "music", "--out", root / "out", "--jobs", "1")
    command.succeed(*folder, "--format", "flac")
    return root / "out"


def test_what_cannot_be_used_is_set_aside_with_its_reason(out: Path) -> None:
    aside = dict(line.split("\t") for line in (out / "set_aside.tsv").read_text().splitlines())
    assert set(aside) == set(BAD)
    for name, (_, reason) in BAD.items():
        assert reason in aside[name], name


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_used_sounds_as_it_should(out: Path, name: str) -> None:
    prepared = Prepared(out)
    entry = next(entry for entry in prepared.entries if entry.track_id == name)
    assert entry.duration_s == pytest.approx(GOOD[name][1], abs=0.01)
    samples = prepared.read(entry, round(entry.num_samples * 0.6), SAMPLE_RATE).astype(float)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    assert spectrum.argmax() * SAMPLE_RATE / len(samples) == pytest.approx(HZ, abs=1)
    assert np.abs(samples).max() / 32767 == pytest.approx(0.5, abs=0.03)
