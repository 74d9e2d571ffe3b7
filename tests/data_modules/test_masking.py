"""Block masks: whole tokens at every rate, the tail left alone, noise only where masked."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data_modules.batches import masked_tokens
from data_modules.masking import Masking, MelNoise, WaveNoise
from data_modules.mel import LogMel

RATES = {25: (240, 4), 50: (240, 2), 75: (320, 1)}
"""Hop and stride of each token rate."""


class Raw(torch.nn.Module):
    """Stands for the mel, but keeps every sample: (B, hop, F)."""

    def __init__(self, hop_length: int) -> None:
        super().__init__()
        self.hop_length = hop_length

    def forward(self, waveform_BN: torch.Tensor) -> torch.Tensor:
        num_frames = waveform_BN.shape[1] // self.hop_length
        return waveform_BN[:, : num_frames * self.hop_length].unflatten(1, (num_frames, -1)).transpose(1, 2)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(batch: int, duration_s: float) -> torch.Tensor:
    # Never 0 and far from the noise, so that a sample tells whether it was replaced.
    return 3 + torch.rand(batch, round(duration_s * 24_000), generator=seeded(9))


@pytest.mark.parametrize("masking", [WaveNoise(), MelNoise()], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("duration_s", [5.0, 30.0])
@pytest.mark.parametrize("rate_hz", RATES)
def test_blocks_cover_whole_tokens(masking: Masking, duration_s: float, rate_hz: int) -> None:
    hop, stride = RATES[rate_hz]
    masking.check(hop, stride)
    _, _, mask_BF = masking(tone(4, duration_s), LogMel(hop), seeded())
    assert mask_BF.shape == (4, duration_s * 24_000 / hop)
    block = 9600 // hop
    num_blocks = round(duration_s * 10) // 4
    blocks = mask_BF[:, : num_blocks * block].unflatten(1, (num_blocks, block))
    assert torch.equal(blocks.any(dim=2), blocks.all(dim=2))
    assert not mask_BF[:, num_blocks * block :].any()
    tokens_BT = masked_tokens(mask_BF, stride)
    assert tokens_BT.sum() * stride == mask_BF.sum()
    assert tokens_BT.shape == (4, duration_s * rate_hz)
    # A block is 10 tokens at 25 Hz, 20 at 50, 30 at 75.
    assert tokens_BT.sum() == blocks.any(dim=2).sum() * (rate_hz * 2 // 5)


@pytest.mark.parametrize("masking", [WaveNoise(), MelNoise()], ids=lambda m: type(m).__name__)
def test_the_tail_of_five_seconds_is_never_masked(masking: Masking) -> None:
    generator = seeded()
    share = torch.zeros(500)
    for _ in range(10):
        share += masking(tone(40, 5.0), Raw(240), generator)[2].float().mean(dim=0) / 10
    assert share[480:].max() == 0
    # 12 blocks, each the mean of 400 draws: five standard errors.
    torch.testing.assert_close(share[:480], torch.full((480,), 0.6), atol=5 * (0.24 / 400) ** 0.5, rtol=0)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_share_of_masked_blocks(probability: float) -> None:
    mask_BF = WaveNoise(probability)(tone(100, 12.0), Raw(240), seeded())[2]
    assert mask_BF.float().mean().item() == pytest.approx(probability, abs=5 * (0.25 / 3000) ** 0.5)
    if probability in (0, 1):
        assert mask_BF.all() == mask_BF.any() == bool(probability)


def test_noise_replaces_blocks_and_nothing_else() -> None:
    waveform = tone(20, 5.0)
    before = waveform.clone()
    clean, masked, mask_BF = WaveNoise(noise_std=0.1)(waveform, Raw(240), seeded())
    assert torch.equal(waveform, before)
    assert torch.equal(clean, Raw(240)(waveform))
    mask = mask_BF[:, None].expand_as(clean)
    assert torch.equal(masked[~mask], clean[~mask])
    noise = masked[mask]
    assert (noise - clean[mask]).abs().min() > 1
    # The study: N(0, 0.1^2); more than 500 000 samples.
    assert noise.mean().abs() < 1e-3
    assert noise.std().item() == pytest.approx(0.1, rel=0.01)
    assert (noise.abs() < 0.1).float().mean().item() == pytest.approx(0.6827, abs=0.005)
    # Each clip and block has noise of its own.
    assert noise.unique().numel() > 0.9 * noise.numel()


def test_mel_noise_leaves_the_rest_of_the_mel() -> None:
    clean, masked, mask_BF = MelNoise()(tone(20, 5.0), LogMel(std=20.0), seeded())
    mask = mask_BF[:, None].expand_as(clean)
    assert torch.equal(masked[~mask], clean[~mask])
    assert masked[mask].std().item() == pytest.approx(0.1, rel=0.02)


def test_wave_noise_reaches_the_mel_only_near_blocks() -> None:
    clean, masked, mask_BF = WaveNoise()(tone(4, 5.0), LogMel(), seeded())
    differs_BF = (clean != masked).any(dim=1)
    assert differs_BF[mask_BF].all()
    # A window reaches 1024 samples, less than 5 frames of 240, to either side.
    near_BF = torch.nn.functional.max_pool1d(mask_BF.float()[:, None], 11, 1, 5)[:, 0] > 0
    assert not differs_BF[~near_BF].any()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), num_samples=st.integers(1100, 40_000))
def test_all_randomness_is_the_generators(seed: int, num_samples: int) -> None:
    waveform = tone(2, num_samples / 24_000)
    state = torch.get_rng_state()
    for masking in (WaveNoise(), MelNoise()):
        first = masking(waveform, LogMel(), seeded(seed))
        again = masking(waveform, LogMel(), seeded(seed))
        for a, b in zip(first, again, strict=True):
            assert torch.equal(a, b)
        assert first[2].shape == (2, num_samples // 240)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_generator_goes_on() -> None:
    generator = seeded()
    first, second = (WaveNoise()(tone(8, 5.0), Raw(240), generator)[2] for _ in range(2))
    assert not torch.equal(first, second)


@pytest.mark.parametrize(("hop", "stride"), RATES.values())
@pytest.mark.parametrize("block_s", [0.04, 0.12, 0.28, 0.56, 1.12])
def test_whole_tokens_pass_the_check(hop: int, stride: int, block_s: float) -> None:
    # All multiples of 40 ms, three tokens at 75 Hz; some are no whole number of samples in floating point.
    WaveNoise(block_s=block_s).check(hop, stride)


@pytest.mark.parametrize(("hop", "stride", "block_s"), [(240, 4, 0.41), (320, 4, 0.4), (240, 4, 1e-9)])
def test_blocks_that_cut_a_token_are_refused(hop: int, stride: int, block_s: float) -> None:
    with pytest.raises(ValueError, match=r"masking\.block_s.*choose a multiple of"):
        WaveNoise(block_s=block_s).check(hop, stride)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"probability": 1.1}, "probability"),
        ({"block_s": 0.0}, "block_s"),
        ({"noise_std": -1.0}, "noise_std"),
    ],
)
def test_bad_settings_are_refused(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        WaveNoise(**arguments)
