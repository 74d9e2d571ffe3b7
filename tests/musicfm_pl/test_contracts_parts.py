"""Contracts of every encoder, tokenizer and masking, found by discovery: new ones are tested unasked."""

import importlib
import inspect
import math
import pickle
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule

import data_modules
import musicfm_pl
from data_modules.masking import Masking
from data_modules.mel import LogMel
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.tokenizers.base import Tokenizer
from musicfm_pl.tokenizers.centroids import Header, write_centroids

SMALL: dict[str, Any] = {
    "dim": 32,
    "num_layers": 2,
    "num_heads": 4,
    "ffn_dim": 48,
    "conv_channels": 4,
    "num_mels": 16,
    "frame_dim": 64,
    "num_codes": 50,
}
"""Values of arguments by name, wherever a constructor has one of that name; the rest keep their defaults."""


def walk(package: ModuleType) -> None:
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def subclasses(base: type) -> list[type]:
    found = set(base.__subclasses__())
    for child in tuple(found):
        found |= set(subclasses(child))
    return sorted(
        (c for c in found if c.__module__.split(".")[0] in ("musicfm_pl", "data_modules")),
        key=lambda c: c.__qualname__,
    )


walk(data_modules)
walk(musicfm_pl)
ENCODERS, TOKENIZERS, MASKINGS = subclasses(Encoder), subclasses(Tokenizer), subclasses(Masking)


@pytest.fixture(scope="session")
def pretraining_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the encoders that stand on a pretraining run read of it."""
    run = tmp_path_factory.mktemp("run")
    arguments = {name: SMALL[name] for name in inspect.signature(Conformer).parameters if name in SMALL}
    encoder = {"class_path": "musicfm_pl.encoders.conformer.Conformer", "init_args": arguments}
    (run / "config.yaml").write_text(yaml.safe_dump({"model": {"init_args": {"encoder": encoder}}}))
    (run / "checkpoints").mkdir()
    weights = {f"encoder.{name}": value for name, value in Conformer(**arguments).state_dict().items()}
    mel = {"hop_length": 240, "num_mels": SMALL["num_mels"], "n_fft": 2048, "mean": 0.0, "std": 1.0}
    state = {"state_dict": weights, "PretrainData": {"mel": mel}}
    torch.save(state, run / "checkpoints" / "last.ckpt")
    return run


@pytest.fixture(scope="session")
def centroids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What k-means tokens read: as many centroids as there are codes, of as many values as a token sees."""
    file, k, num_mels = tmp_path_factory.mktemp("tokens") / "kmeans.safetensors", SMALL["num_codes"], SMALL["num_mels"]
    mel = {"sample_rate": 24000, "hop_length": 240, "num_mels": num_mels, "n_fft": 2048, "mean": 0.0, "std": 1.0}
    header = Header(
        k, "logmel", 0, SMALL["frame_dim"] // num_mels, mel, None, None, None, "made up", "0", {}, 1.0, (1.0,)
    )
    codes_KD = torch.randn(k, SMALL["frame_dim"], generator=torch.Generator().manual_seed(0))
    write_centroids(file, header, codes_KD, torch.ones(k, dtype=torch.int64))
    return file


@pytest.fixture(scope="session")
def make(pretraining_run: Path, centroids: Path) -> Callable[[type], Any]:
    """Builds a small object of a class, always with the same weights."""

    def build(part: type) -> Any:
        known = SMALL | {"run": pretraining_run, "file": centroids}
        parameters = inspect.signature(part).parameters
        arguments = {name: known[name] for name in parameters if name in known}
        lacking = [n for n, p in parameters.items() if p.default is p.empty and n not in known]
        assert not lacking, f"{part.__qualname__}: give {lacking} defaults, or values in SMALL of this file"
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return part(**arguments)

    return build


def features(encoder: Encoder, num_frames: int, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(num_frames)
    if encoder.reads == "mel":
        return torch.randn(batch, encoder.num_mels, num_frames, generator=generator)
    return 0.1 * torch.randn(batch, num_frames * 240, generator=generator)


def test_all_are_found() -> None:
    assert {"Conformer", "Bert", "MelFrames"} <= {c.__name__ for c in ENCODERS}
    assert {"RandomProjection", "KMeans"} <= {c.__name__ for c in TOKENIZERS}
    assert {"WaveNoise", "MelNoise"} <= {c.__name__ for c in MASKINGS}


@pytest.mark.parametrize("part", ENCODERS + TOKENIZERS + MASKINGS, ids=lambda c: c.__qualname__)
def test_every_class_is_abstract_or_final(part: type) -> None:
    # torch makes one of each class whose weights it spreads, in whichever process has a test of that.
    ours = [each for each in part.__subclasses__() if not issubclass(each, FSDPModule)]
    assert inspect.isabstract(part) or not ours, "a concrete class has a subclass"
    parents = [c for c in part.__mro__[1:] if c in (*ENCODERS, *TOKENIZERS, *MASKINGS)]
    assert all(inspect.isabstract(parent) for parent in parents)
    assert part.__doc__


@pytest.mark.parametrize("part", ENCODERS + TOKENIZERS + MASKINGS, ids=lambda c: c.__qualname__)
def test_the_constructor_is_a_schema(part: type) -> None:
    """Every argument is typed and described, so that it reads as documentation in `--help`."""
    signature = inspect.signature(part)
    documented = "".join(inspect.getdoc(c) or "" for c in part.__mro__)
    for name, parameter in signature.parameters.items():
        assert parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL), name
        assert parameter.annotation is not parameter.empty, f"{name} has no type"
        assert f"{name}:" in documented, f"{name} is not described"


@pytest.mark.parametrize("part", ENCODERS, ids=lambda c: c.__qualname__)
class TestEncoder:
    def test_attributes(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder = make(part)
        assert encoder.reads in ("mel", "waveform")
        assert encoder.dim >= 1 and encoder.stride >= 1 and encoder.num_layers >= 0
        assert (encoder.num_mels > 0) == (encoder.reads == "mel")
        for layer in (-1, encoder.num_layers + 1):
            with pytest.raises(ValueError, match=r"model\.layer"):
                encoder(features(encoder, 40), last_layer=layer)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(num_frames=st.integers(1, 90))
    def test_shapes(self, part: type[Encoder], make: Callable[[type], Encoder], num_frames: int) -> None:
        encoder = make(part).eval()
        x = features(encoder, num_frames)
        hidden = encoder(x)
        assert isinstance(hidden, list) and len(hidden) == encoder.num_layers + 1
        for h_BTD in hidden:
            assert h_BTD.shape == (2, math.ceil(x.shape[-1] / encoder.stride), encoder.dim)
            assert h_BTD.dtype == torch.float32 and h_BTD.isfinite().all()

    def test_evaluation_is_deterministic(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder = make(part).eval()
        x = features(encoder, 57)
        before, state = x.clone(), torch.get_rng_state()
        first, again = encoder(x), encoder(x)
        assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
        assert torch.equal(x, before), "the input was overwritten"
        assert torch.equal(torch.get_rng_state(), state)

    def test_stopping_early_gives_the_same_states(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder = make(part).eval()
        x = features(encoder, 57)
        full = encoder(x)
        for layer in range(encoder.num_layers + 1):
            some = encoder(x, last_layer=layer)
            assert len(some) == layer + 1
            for a, b in zip(some, full, strict=False):
                torch.testing.assert_close(a, b)

    def test_every_parameter_gets_a_gradient(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder = make(part).train()
        h_BTD = encoder(features(encoder, 60))[-1]
        if not list(encoder.parameters()):
            assert not h_BTD.requires_grad
            return
        (h_BTD * torch.randn_like(h_BTD)).sum().backward()
        # DDP fails on a parameter that takes no part.
        assert not [name for name, p in encoder.named_parameters() if p.grad is None]
        assert all(p.grad.isfinite().all() for p in encoder.parameters())

    def test_state_dict_and_pickle(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder, other = make(part).eval(), make(part).eval()
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.add_(1)
        x = features(encoder, 41)
        other.load_state_dict(encoder.state_dict())
        for copy in (other, pickle.loads(pickle.dumps(encoder))):
            assert all(torch.equal(a, b) for a, b in zip(encoder(x), copy(x), strict=True))

    def test_half_precision_stays_near(self, part: type[Encoder], make: Callable[[type], Encoder]) -> None:
        encoder = make(part).eval()
        x = features(encoder, 57)
        with torch.autocast("cpu", torch.bfloat16):
            rough = encoder(x)[-1].float()
        exact = encoder(x)[-1]
        assert (rough - exact).norm() < 0.05 * exact.norm()


@pytest.mark.parametrize("part", TOKENIZERS, ids=lambda c: c.__qualname__)
class TestTokenizer:
    def test_tokens(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        tokenizer = make(part)
        frames_TD = torch.randn(500, SMALL["frame_dim"])
        state = torch.get_rng_state()
        tokens_TQ = tokenizer(frames_TD)
        assert torch.equal(torch.get_rng_state(), state)
        assert tokens_TQ.shape == (500, tokenizer.num_books) and tokens_TQ.dtype == torch.int64
        assert tokens_TQ.min() >= 0 and tokens_TQ.max() < tokenizer.num_codes
        assert tokens_TQ.unique().numel() > 5
        assert torch.equal(tokenizer(frames_TD), tokens_TQ)
        # Each token is of its own frame alone, up to ties in rounding.
        assert (tokenizer(frames_TD[100:200]) == tokens_TQ[100:200]).float().mean() > 0.98

    def test_float32_always(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        tokenizer, frames_TD = make(part), torch.randn(500, SMALL["frame_dim"])
        with torch.autocast("cpu", torch.bfloat16):
            inside = tokenizer(frames_TD)
        assert torch.equal(inside, tokenizer(frames_TD))

    def test_features_are_of_whole_tokens(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        tokenizer, stride = make(part), SMALL["frame_dim"] // SMALL["num_mels"]
        mel_BMF = torch.randn(2, SMALL["num_mels"], 10 * stride + 1)
        before = mel_BMF.clone()
        frames_BTD = tokenizer.features(mel_BMF, stride)
        assert frames_BTD.shape[:2] == (2, 10) and frames_BTD.dtype == torch.float32
        assert torch.equal(mel_BMF, before), "the input was overwritten"
        assert tokenizer(frames_BTD.flatten(0, 1)).shape == (20, tokenizer.num_books)
        assert not frames_BTD.requires_grad

    def test_nothing_learns(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        assert not [p for p in make(part).parameters() if p.requires_grad]

    def test_frame_dim_is_the_first_argument(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        """A YAML gives the rest; the system calls `tokenizer(frame_dim)`."""
        first = next(iter(inspect.signature(part).parameters.values()))
        assert first.name == "frame_dim" and first.default is first.empty
        tokenizer = make(part)
        assert (tokenizer.frame_dim, tokenizer.num_codes) == (SMALL["frame_dim"], SMALL["num_codes"])

    def test_state_dict_and_pickle(self, part: type[Tokenizer], make: Callable[[type], Tokenizer]) -> None:
        tokenizer, other, frames_TD = make(part), make(part), torch.randn(100, SMALL["frame_dim"])
        for buffer in other.buffers():
            buffer.zero_()
        other.load_state_dict(tokenizer.state_dict())
        for copy in (other, pickle.loads(pickle.dumps(tokenizer))):
            assert torch.equal(copy(frames_TD), tokenizer(frames_TD))


@pytest.mark.parametrize("part", MASKINGS, ids=lambda c: c.__qualname__)
class TestMasking:
    @settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(num_samples=st.integers(1100, 60_000), hop=st.sampled_from([240, 320]))
    def test_shapes(self, part: type[Masking], make: Callable[[type], Masking], num_samples: int, hop: int) -> None:
        log_mel = LogMel(hop, 16)
        waveform_BN = torch.randn(3, num_samples)
        state = torch.get_rng_state()
        clean, masked, mask_BF = make(part)(waveform_BN, log_mel, torch.Generator().manual_seed(1))
        assert torch.equal(torch.get_rng_state(), state)
        num_frames = num_samples // hop
        assert clean.shape == masked.shape == (3, 16, num_frames)
        assert clean.dtype == masked.dtype == torch.float32
        assert mask_BF.shape == (3, num_frames) and mask_BF.dtype == torch.bool
        torch.testing.assert_close(clean, log_mel(waveform_BN))
        assert (clean != masked).any(dim=1)[mask_BF].all()

    def test_the_generator_decides(self, part: type[Masking], make: Callable[[type], Masking]) -> None:
        masking, log_mel, waveform_BN = make(part), LogMel(num_mels=16), torch.randn(4, 48_000)
        outcomes = [masking(waveform_BN, log_mel, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
        assert all(torch.equal(a, b) for a, b in zip(outcomes[0], outcomes[1], strict=True))
        assert not torch.equal(outcomes[0][2], outcomes[2][2])

    def test_blocks_fit_the_rates_of_the_study(self, part: type[Masking], make: Callable[[type], Masking]) -> None:
        for hop, stride in ((240, 4), (240, 2), (320, 1)):
            make(part).check(hop, stride)
        with pytest.raises(ValueError, match=r"masking\.block_s"):
            make(part).check(241, 4)

    def test_pickles_and_has_nothing_to_save(self, part: type[Masking], make: Callable[[type], Masking]) -> None:
        masking = pickle.loads(pickle.dumps(make(part)))
        assert isinstance(masking, nn.Module) and not masking.state_dict()
