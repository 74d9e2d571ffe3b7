"""Hidden states of audio: from Python for waveforms of any lengths, and by `musicfm embed` for files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import Tensor

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.mel import Features, LogMel
from data_modules.shards import written_aside
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.pretrained import Pretrained
from musicfm_pl.systems.windows import Window, bounds, in_batches, plan, stitch


@torch.no_grad()
def embed(
    encoder: Encoder,
    features: Features,
    waveforms: Sequence[Tensor],
    window_s: float | None = None,
    overlap: float = 0.5,
    layer: int | None = None,
    batch_size: int = 8,
) -> list[Tensor]:
    """Hidden states of waveforms, each as if it were alone.

    Nothing is padded: what runs together is what has the same length, and that is where windows help.

    Args:
        encoder: Is put into evaluation mode.
        features: What it reads, such as `features_of(encoder)`.
        waveforms: (N,) each, at `SAMPLE_RATE`, of any lengths.
        window_s: The encoder hears windows of so many seconds, and each state is taken from the window in whose
            middle it lies; None for whole waveforms, which take memory with the square of their length.
        overlap: Share of a window that the next one repeats.
        layer: The only hidden state that is wanted; None for all.
        batch_size: Windows at a time, at most.

    Returns:
        For each waveform (L, T, D) in float32 on the CPU; L is 1 with `layer`.

    Raises:
        ValueError: The encoder reads something else, has no such layer, or a waveform is too short for one frame.
    """
    if encoder.reads != features.reads:
        raise ValueError(
            f"features: {type(features).__name__} gives {features.reads}, the encoder reads {encoder.reads}"
        )
    if layer is not None:
        encoder.check_layer(layer)
    device = next((parameter.device for parameter in encoder.parameters()), torch.device("cpu"))
    encoder.eval()
    features = features.to(device)
    hop = features.hop_length if isinstance(features, LogMel) else 1
    token_s = Fraction(encoder.stride * hop, SAMPLE_RATE)

    # By length, so that equal ones follow each other.
    order = sorted(range(len(waveforms)), key=lambda number: len(waveforms[number]))
    windows: dict[int, list[Window]] = {}
    for number in order:
        duration_s = len(waveforms[number]) / SAMPLE_RATE
        windows[number] = plan(duration_s, window_s or duration_s, token_s, overlap)

    def parts() -> Iterator[tuple[Tensor, int]]:
        for number in order:
            heard = features(waveforms[number][None].to(device).float())
            under = bounds(heard.shape[-1], windows[number], SAMPLE_RATE / hop)
            for part in encoder.local_windows(heard, under):
                yield part, 0

    pieces = in_batches(parts(), batch_size, lambda part, _: encoder.from_local(part, layer))
    found: dict[int, Tensor] = {}
    for number in order:
        firsts = [round(window.start_s / float(token_s)) for window in windows[number]]
        own = (next(pieces) for _ in firsts)
        found[number] = stitch(own, firsts, None, "centre").transpose(0, 1).contiguous()
    return [found[number] for number in range(len(waveforms))]


def features_of(encoder: Encoder) -> LogMel:
    """The mel that a pretrained encoder was trained on, with its statistics.

    Raises:
        ValueError: The encoder does not come from a pretraining run.
    """
    mel: Mapping[str, float] | None = getattr(encoder, "mel", None)
    if mel is None:
        raise ValueError(f"{type(encoder).__name__} brings no mel settings: build a LogMel for it")
    sizes = {key: int(mel[key]) for key in ("hop_length", "num_mels", "n_fft")}
    return LogMel(**sizes, mean=mel["mean"], std=mel["std"])


def embed_files(
    run: Path,
    files: list[Path],
    out: Path,
    layer: int | None = None,
    window_s: float = 30.0,
    device: str = "cpu",
) -> None:
    """Writes the hidden states of audio files: `<name>.npy` each, float32 (layers, frames, width).

    Args:
        run: A pretraining run.
        files: Audio files, of any format that libsndfile reads.
        out: The folder to write.
        layer: The only layer that is wanted, 0 for the input of the first; then the file holds (frames, width).
        window_s: Seconds that the encoder hears at once; longer files are heard in overlapped windows.
        device: As torch names it: cpu, cuda, cuda:1.

    Raises:
        FileNotFoundError: A file is not there, or the run.
        ValueError: Two files have one name, or a file cannot be read as audio.
    """
    if missing := [str(file) for file in files if not file.is_file()]:
        raise FileNotFoundError(f"--files: no such file: {', '.join(missing)}")
    stems = [file.stem for file in files]
    if twice := sorted({stem for stem in stems if stems.count(stem) > 1}):
        raise ValueError(
            f"--files: more than one file is called {', '.join(twice)}; embed them into folders of their own"
        )
    encoder = Pretrained(run).to(device)
    features = features_of(encoder)
    console = Console()
    for file in files:
        waveform_N = torch.from_numpy(read_audio(file))
        (states_LTD,) = embed(encoder, features, [waveform_N], window_s, layer=layer)
        states = states_LTD.numpy() if layer is None else states_LTD[0].numpy()
        path = out / f"{file.stem}.npy"
        with written_aside(path) as opened:
            np.save(opened, states)
        console.print(f"{file}: {path}, {' x '.join(map(str, states.shape))}", markup=False, highlight=False)
