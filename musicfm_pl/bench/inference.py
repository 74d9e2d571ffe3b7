"""Hidden states, tokens and embeddings of long audio: how fast, and how far from those of the public way."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction

import torch
import torch.nn.functional as F
from torch import Tensor

from data_modules import SAMPLE_RATE
from musicfm_pl.bench.figures import Figure
from musicfm_pl.bench.pairs import Hearing, Pair, pair
from musicfm_pl.bench.precision import Precision, arithmetic, autocast
from musicfm_pl.bench.sizes import NUM_CODES, Size
from musicfm_pl.bench.timing import Timed, alternate, attempt, outcomes
from musicfm_pl.embed import embed
from musicfm_pl.systems.windows import bounds, in_batches, plan, stitch


def evaluating(size: Size, rate_hz: int, device: torch.device) -> Pair:
    """Both models in evaluation, with batch statistics that are not those of an untrained model."""
    models = pair(size, rate_hz)
    generator = torch.Generator().manual_seed(1)
    for norm in models.public.modules():
        if isinstance(norm, torch.nn.modules.batchnorm._BatchNorm):
            assert norm.running_mean is not None and norm.running_var is not None
            norm.running_mean.normal_(0, 0.2, generator=generator)
            norm.running_var.uniform_(0.5, 2, generator=generator)
    models.encoder.load_state_dict(models.public.encoder_state())
    models.public.to(device).eval()
    models.ours.to(device).eval()
    return models


@torch.no_grad()
def inference(
    models: Pair, case: str, device: torch.device, batch: int, clip_s: float, timed: Timed
) -> Iterator[Figure]:
    """Mel to all hidden states, in float32 and bfloat16, against the public way in float32."""
    mel_BMF = Hearing(batch, clip_s, device, models.hop_length).ours().mel_BMF

    def way(encode: Callable[[Tensor], Sequence[Tensor]], precision: Precision) -> Callable[[], Sequence[Tensor]]:
        def run() -> Sequence[Tensor]:
            with arithmetic(precision), autocast(precision, device):
                return encode(mel_BMF)

        return run

    ways = {
        "public, fp32": way(models.public.encode, "fp32"),
        "ours, fp32": way(models.encoder, "fp32"),
        "public, bf16": way(models.public.encode, "bf16"),
        "ours, bf16": way(models.encoder, "bf16"),
    }
    notes = {}
    expected = attempt(ways["public, fp32"])
    for name in list(ways)[1:] if expected else ():
        found = attempt(ways[name])
        if expected and found:
            notes[name] = f"differs by {difference(found[0], expected[0]):.1e} at most"
        del found
    del expected
    timings = alternate(ways, device, timed)
    yield from outcomes("inference", case, ways, timings, 1e3 / batch, "ms a clip", notes)


def difference(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    """The greatest between any two values."""
    return max((a.float() - b.float()).abs().max().item() for a, b in zip(found, expected, strict=True))


@torch.no_grad()
def quantizer(device: torch.device, num_clips: int, clip_s: float, rate_hz: int, timed: Timed) -> Iterator[Figure]:
    """Tokens of clips: distances to all codes, against products and argmax.

    Raises:
        AssertionError: A token differs, and not because two codes are equally near.
    """
    models = pair(Size(16, 2, 16, 2, num_layers=1), rate_hz)
    public, ours = models.public.to(device), models.ours.to(device)
    mel_BMF = Hearing(num_clips, clip_s, device, models.hop_length).ours().mel_BMF
    ways = {"public": lambda: public.tokens(mel_BMF), "ours": lambda: ours.tokens(mel_BMF)[..., 0]}
    expected_BT, actual_BT = (run() for run in ways.values())
    worse = _worse_cosine(models, mel_BMF, actual_BT, expected_BT)
    if worse > 1e-6:
        raise AssertionError(f"bench: a token is of a code that is further by a cosine of {worse:.1e}")
    same = int((actual_BT == expected_BT).sum())
    note = f"{same} of {actual_BT.numel()} tokens identical"
    timings = alternate(ways, device, timed)
    case = f"{num_clips} clips of {clip_s:g} s, {rate_hz} Hz, {NUM_CODES} codes"
    yield from outcomes("quantizer", case, ways, timings, 1e3, "ms", {"ours": note})


def _worse_cosine(models: Pair, mel_BMF: Tensor, actual_BT: Tensor, expected_BT: Tensor) -> float:
    """By how much a token's code is less like its frame, in float64, than the code that was expected."""
    other_BT = actual_BT != expected_BT
    if not other_BT.any():
        return 0.0
    stride = models.encoder.stride
    frames_BTD = mel_BMF[:, :, : other_BT.shape[1] * stride].transpose(1, 2).reshape(*other_BT.shape, -1)
    seen_PD = F.normalize(frames_BTD[other_BT].double() @ models.public.projection.double(), dim=1)
    actual, expected = (
        (seen_PD * models.public.codes.double()[tokens_BT[other_BT]]).sum(1) for tokens_BT in (actual_BT, expected_BT)
    )
    return (expected - actual).max().item()


@torch.no_grad()
def long_audio(
    models: Pair,
    case: str,
    device: torch.device,
    minutes: float,
    clip_s: float,
    layer: int,
    timed: Timed,
    at_once: int | None = None,
) -> Iterator[Figure]:
    """Waveform to one hidden state, from windows that overlap by half.

    The public way runs every window through all of the model. Both take so many windows at once: 8 on a GPU, else 1,
    if not given.
    """
    hearing = Hearing(1, 60 * minutes, device, models.hop_length)
    waveform_1N = hearing.waveform_BN
    together = at_once or (8 if device.type == "cuda" else 1)
    token_s = Fraction(models.encoder.stride * models.hop_length, SAMPLE_RATE)
    windows = plan(60 * minutes, clip_s, token_s, 0.5)
    firsts = [round(window.start_s / float(token_s)) for window in windows]

    def public() -> Tensor:
        with arithmetic("fp32"):
            mel_1MF = hearing.normalised(waveform_1N)
            under = bounds(mel_1MF.shape[2], windows, SAMPLE_RATE / models.hop_length)
            parts = ((mel_1MF[:, :, first:last], 0) for first, last in under)
            pieces = in_batches(parts, together, lambda part, _: models.public.encode(part)[layer])
            return stitch(pieces, firsts, None, "centre")

    def ours() -> Tensor:
        with arithmetic("fp32"):
            return embed(models.encoder, hearing.log_mel, [waveform_1N[0]], clip_s, 0.5, layer, together)[0][0]

    ways = {"public": public, "ours": ours}
    expected, found = (attempt(way) for way in ways.values())
    note = f"differs by {difference(found, expected):.1e} at most" if expected and found else ""
    timings = alternate(ways, device, timed)
    yield from outcomes("long audio", case, ways, timings, 1 / minutes, "s a minute", {"ours": note})
