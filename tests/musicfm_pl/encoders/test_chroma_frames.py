"""Chroma as a hidden state: the right pitch classes at the right time, whatever the octave."""

import numpy as np
import pytest
import torch
from torch import Tensor

from musicfm_pl.encoders.chroma_frames import ChromaFrames

SR = 24000


def tones(*pitches: int, duration_s: float = 2.0) -> Tensor:
    """Sines at MIDI pitches, (1, N)."""
    t = torch.arange(int(duration_s * SR)) / SR
    return sum(0.2 * torch.sin(2 * torch.pi * 440.0 * 2 ** ((pitch - 69) / 12) * t) for pitch in pitches)[None]  # type: ignore[return-value]


@pytest.mark.parametrize("pitch", range(43, 95))
def test_a_tone_is_its_pitch_class_in_any_octave(pitch: int) -> None:
    (chroma_BTP,) = ChromaFrames()(tones(pitch))
    middle_P = chroma_BTP[0, 25]
    assert middle_P.argmax().item() == pitch % 12
    assert middle_P.norm().item() == pytest.approx(1.0)


def test_a_triad_has_its_three_notes() -> None:
    middle_P = ChromaFrames()(tones(48, 64, 67))[0][0, 25]
    assert set(middle_P.topk(3).indices.tolist()) == {0, 4, 7}


@pytest.mark.usefixtures("librosa_is_compiled")
def test_it_agrees_with_librosa_on_which_notes_sound() -> None:
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(0)
    for _ in range(10):
        notes = sorted(rng.choice(np.arange(50, 80), size=3, replace=False).tolist())
        waveform = tones(*notes, duration_s=4.0)
        theirs = librosa.feature.chroma_cqt(y=waveform[0].numpy(), sr=SR, tuning=0.0).mean(axis=1)
        ours = ChromaFrames()(waveform)[0][0].mean(dim=0).numpy()
        assert np.corrcoef(theirs, ours)[0, 1] > 0.8, notes


def test_frames_are_centred_on_their_tokens() -> None:
    waveform = torch.cat([tones(60), tones(66)], dim=1)
    (chroma_BTP,) = ChromaFrames()(waveform)
    assert chroma_BTP.shape == (1, 100, 12)
    changes = (chroma_BTP[0, :, 6] > chroma_BTP[0, :, 0]).int().diff().nonzero().flatten().tolist()
    assert changes in ([49], [50])  # the change falls between the two


def test_silence_is_zero_and_short_clips_work() -> None:
    assert not ChromaFrames()(torch.zeros(2, 5000))[0].any()
    assert ChromaFrames()(tones(60, duration_s=0.01))[0].shape == (1, 1, 12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, "stride"),
        ({"n_fft": 0}, "n_fft"),
        ({"compression": 0.0}, "compression"),
        ({"low_hz": 0.0}, "low_hz"),
        ({"high_hz": 20000.0}, "high_hz"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ChromaFrames(**arguments)  # type: ignore[arg-type]


def test_a_mel_is_refused() -> None:
    with pytest.raises(ValueError, match="waveform"):
        ChromaFrames()(torch.zeros(2, 128, 100))
