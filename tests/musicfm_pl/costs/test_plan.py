"""What an experiment will take, against the study's arithmetic and against tensors that are really there."""

from __future__ import annotations

import json
from typing import Any

import command
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.costs.cards import CARDS, card_named, card_of_device
from musicfm_pl.costs.flops import forward_flops
from musicfm_pl.costs.memory import Activations, largest_batch, memory, saved_activations
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer

SMALL = {"dim": 32, "num_layers": 2, "num_heads": 2, "ffn_dim": 64, "conv_channels": 8}


DDP = ("--trainer.devices", "2", "--trainer.strategy", "lightning.pytorch.strategies.DDPStrategy")


def planned(capsys: pytest.CaptureFixture[str], name: str, *more: str) -> dict[str, Any]:
    command.succeed("plan", "--config", command.EXPERIMENTS / "pretrain" / f"{name}.yaml", "--json", *more)
    found = json.loads(capsys.readouterr().out)
    assert isinstance(found, dict)
    return found


def test_the_headline_model(capsys: pytest.CaptureFixture[str]) -> None:
    """3.87 TFLOP and 1.53 GB saved a clip were counted by hand for the same mathematics in bf16."""
    figures = planned(capsys, "fm7", "--trainer.precision", "bf16-mixed", "--card", "h100")
    assert figures["parameters"]["total"] == pytest.approx(330e6, rel=0.05)
    assert sum(figures["parameters"].values()) == 2 * figures["parameters"]["total"]
    clip = figures["clip"]
    assert (clip["mel_frames"], clip["tokens"], clip["tokens_masked"]) == (3000, 750, 450)
    assert clip["flops_training"] == pytest.approx(3.87e12, rel=0.005)
    assert clip["bytes_saved"] == pytest.approx(1.53e9, rel=0.03)
    assert figures["clips"] == 500_000 * 32
    # Half of what products alone reach on an H200 is 395 TFLOP/s, which is 9.8 ms a clip.
    assert 1 / figures["clips_a_second"] == pytest.approx(9.8e-3, rel=0.01)
    assert figures["gpu_hours"] == pytest.approx(figures["clips"] * 9.8e-3 / 3600, rel=0.01)
    assert figures["memory"]["total"] < 79 * 2**30
    assert figures["largest_batch"] >= 32


def test_hours_are_of_the_precision_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    """Convolutions are in TF32 unless torch is told otherwise, and products are not.

    FM7's are 62.0 % of the encoder's arithmetic, and 61.65 % of all, with the prediction layer.
    """
    one_gpu = ("--config", str(command.EXPERIMENTS / "axes" / "hardware" / "one_gpu.yaml"))
    exact, mixed = planned(capsys, "fm7"), planned(capsys, "fm7", *one_gpu)
    assert (exact["precision"], mixed["precision"]) == ("32", "bf16-mixed")
    assert mixed["card"]["peak_flops"] == 989.4e12
    assert exact["card"]["peak_flops"] == pytest.approx(1e12 / (0.6165 / 494.7 + 0.3835 / 66.9), rel=1e-3)
    for figures in (exact, mixed):
        a_clip = figures["clip"]["flops_training"] / (0.4 * figures["card"]["peak_flops"])
        assert figures["gpu_hours"] == pytest.approx(figures["clips"] * a_clip / 3600)
    assert mixed["remarks"] == []
    assert "--config experiments/axes/hardware/one_gpu.yaml" in exact["remarks"][0]


@pytest.mark.parametrize("axis", ["ddp", "fsdp2"])
def test_devices_that_are_found_later_are_said_to_count_as_one(capsys: pytest.CaptureFixture[str], axis: str) -> None:
    hardware = ("--config", str(command.EXPERIMENTS / "axes" / "hardware" / f"{axis}.yaml"))
    assert planned(capsys, "small", *hardware)["remarks"] == ["devices auto is counted as 1: give --trainer.devices N"]
    eight = planned(capsys, "small", *hardware, "--trainer.devices", "8")
    assert (eight["devices"], eight["remarks"]) == (8, [])
    assert "devices -1 is counted as 1" in planned(capsys, "small", *hardware, "--trainer.devices=-1")["remarks"][0]


def test_spread_over_gpus(capsys: pytest.CaptureFixture[str]) -> None:
    """A sixth of the clip and eight GPUs: states are an eighth, the speed is eightfold."""
    more = ("--data.clip_s", "5", "--trainer.strategy", "musicfm_pl.systems.sharding.Sharded", "--trainer.devices", "4")
    figures = planned(capsys, "fm8", *more, "--trainer.num_nodes", "2", "--card", "24GB")
    count = figures["parameters"]["total"]
    assert count == pytest.approx(660e6, rel=0.05)
    assert figures["memory"]["weights"] == figures["memory"]["gradients"] == pytest.approx(4 * count / 8)
    assert figures["memory"]["optimizer"] == pytest.approx(8 * count / 8)
    assert (figures["devices"], figures["shards"], figures["precision"]) == (8, 8, "32")
    assert figures["gpu_hours"] is None, "nothing is known of the peak of a card of so many GB"
    assert 0 < figures["largest_batch"] < 100


@pytest.mark.parametrize(
    ("trainer", "counted"),
    [
        (("--trainer.devices", "1"), False),
        (("--trainer.devices", "2"), True),
        (("--trainer.devices", "1", "--trainer.num_nodes", "2"), True),
        (("--trainer.devices", "auto", "--trainer.strategy", "ddp"), True),
        (("--trainer.devices", "2", "--trainer.strategy", "lightning.pytorch.strategies.DDPStrategy"), True),
        (("--trainer.devices", "2", "--trainer.strategy", "musicfm_pl.systems.sharding.Sharded"), False),
        ((*DDP, "--trainer.strategy.gradient_as_bucket_view", "true"), False),
        ((*DDP, "--trainer.strategy.gradient_as_bucket_view", "false"), True),
        ((*DDP, "--trainer.strategy.dict_kwargs.gradient_as_bucket_view", "true"), False),
    ],
)
def test_ddp_keeps_a_copy_of_the_gradients(
    capsys: pytest.CaptureFixture[str], trainer: tuple[str, ...], counted: bool
) -> None:
    figures = planned(capsys, "small", *trainer)
    need = figures["memory"]
    assert need["buckets"] == (4 * figures["parameters"]["total"] if counted else 0)
    assert need["total"] == pytest.approx(sum(count for part, count in need.items() if part != "total"))


def test_a_length_that_no_float_has(capsys: pytest.CaptureFixture[str]) -> None:
    """2.01 s are 48240 samples, but 2.01 * 24000 is less; blocks of 0.4 s are 5 of them whole."""
    clip = planned(capsys, "small", "--data.clip_s", "2.01")["clip"]
    assert clip["mel_frames"] == 201
    assert clip["tokens_masked"] == pytest.approx(0.6 * 5 * 10)


def test_what_is_assumed_and_what_is_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--model.tokenizer", "musicfm_pl.tokenizers.kmeans.KMeans", "--trainer.max_steps", "-1")
    figures = planned(capsys, "small", *more, "--card", "24GB")
    assert figures["tokenizer"] == {"num_codes": 500, "num_books": 1, "assumed": True}
    assert [figures[name] for name in ("steps", "clips", "audio_hours", "gpu_hours", "days")] == [None] * 5
    assert figures["missing"] == [
        "the run has no end: give --trainer.max_steps",
        "no peak is known of 24 GB: name a --card",
    ]
    command.succeed("plan", "--config", command.EXPERIMENTS / "pretrain" / "small.yaml", *more)
    said = capsys.readouterr().out
    assert "500" in said and "assumed" in said and "the run has no end" in said and "audio s/s" in said
    assert planned(capsys, "small")["tokenizer"]["assumed"] is False


def test_a_table_has_no_row_for_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """The buckets in which DDP exchanges gradients, on one GPU."""
    for devices, told in (("1", False), ("2", True)):
        command.succeed(
            "plan", "--config", command.EXPERIMENTS / "pretrain" / "small.yaml", "--trainer.devices", devices
        )
        said = capsys.readouterr().out
        assert ("buckets" in said) == told


def test_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed("plan", "--config", command.EXPERIMENTS / "pretrain" / "small.yaml")
    said = capsys.readouterr().out
    for words in ("Conformer 2M", "front_end", "largest batch", "GPU hours", "devices auto is counted as 1"):
        assert words in said
    assert "in float32, where convolutions alone use the tensor cores" in said
    command.succeed(
        "plan", "--config", command.EXPERIMENTS / "pretrain" / "small.yaml", "--trainer.precision", "bf16-mixed"
    )
    said = capsys.readouterr().out
    assert "40% of 989 TFLOP/s" in said and "bf16" in said and "float32" not in said


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--config", "pretrain/fm7.yaml", "--card", "abacus"), "'abacus' is unknown; choose one of h200"),
        (("--config", "pretrain/fm7.yaml", "--share", "2"), "--share: a share of the peak"),
        (("--config", "pretrain/fm7.yaml", "--model.rate_hz", "50"), "model.rate_hz: 50 Hz asked for"),
        (("--config", "pretrain/fm7.yaml", "--trainer.precision", "64-true"), "trainer.precision: costs are counted"),
        (
            ("--config", "tasks/key.yaml", "--model.encoder", "musicfm_pl.encoders.mel_frames.MelFrames"),
            "not pretrained",
        ),
        ((), "name an experiment"),
    ],
)
def test_what_makes_no_sense_is_said(arguments: tuple[str, ...], words: str) -> None:
    in_place = [str(command.EXPERIMENTS / word) if word.endswith(".yaml") else word for word in arguments]
    code, said = command.fail("plan", *in_place)
    assert code == 2
    assert words in said


def really_saved(encoder: Encoder, mel_BMF: torch.Tensor) -> int:
    """Bytes of the storages that autograd keeps on the CPU, in float32."""
    own = {weight.untyped_storage().data_ptr() for weight in [*encoder.parameters(), *encoder.buffers()]}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        encoder(mel_BMF)
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("kind", [Conformer, Bert])
def test_activations_against_tensors_that_are_there(kind: type[Conformer] | type[Bert]) -> None:
    """Without dropout, whose masks are bytes on a GPU and floats on a CPU; kernels keep a little more or less."""
    encoder = kind(**SMALL, dropout=0.0)  # type: ignore[arg-type]
    counted = saved_activations(encoder, 400, autocast=False)
    for clips in (1, 3):
        expected = counted.bytes_once + clips * counted.bytes_a_clip
        assert expected == pytest.approx(really_saved(encoder, torch.randn(clips, 128, 400)), rel=0.05)
    half = saved_activations(encoder, 400, autocast=True)
    assert 0.4 * counted.bytes_a_clip < half.bytes_a_clip < 0.8 * counted.bytes_a_clip
    assert not torch.is_autocast_enabled("cuda"), "as it was"


def test_arithmetic_of_a_small_encoder_by_hand() -> None:
    """A BERT of one layer, in pieces: two operations for each product of each output."""
    encoder = Bert(**(SMALL | {"num_layers": 1}), position_kernel=3)  # type: ignore[arg-type]
    places1, places2, tokens = 200 * 64, 100 * 32, 100
    front = 2 * 9 * 8 * (2 * places1 + 8 * places1 + 2 * 8 * places2 + 8 * places2) + 2 * tokens * 32 * 8 * 32
    positions = 2 * tokens * 32 * 2 * 3
    layer = 2 * tokens * (4 * 32 * 32 + 2 * 32 * 64) + 2 * 2 * tokens * tokens * 32
    assert forward_flops(encoder, 400) == front + positions + layer
    assert next(encoder.parameters()).device.type == "cpu", "as it was"


@given(st.integers(0, 10**9), st.integers(1, 10**8), st.integers(1, 10**10))
def test_the_largest_batch_is_the_last_that_fits(fixed: int, each: int, available: int) -> None:
    found = largest_batch(lambda batch: fixed + each * batch, available, limit=5000)
    assert found == 0 or fixed + each * found <= available
    assert found == 5000 or fixed + each * (found + 1) > available


def test_memory_grows_with_the_batch_alone() -> None:
    activations = Activations(bytes_a_clip=1000, bytes_once=500, largest_bytes=100)
    one, two = (memory(10, activations, 7.0, batch) for batch in (1, 2))
    assert (one.weights, one.gradients, one.optimizer) == (40, 40, 80) == (two.weights, two.gradients, two.optimizer)
    assert two.activations - one.activations == 1007
    assert one.activations == 1507
    assert two.transient == 2 * one.transient
    copied = memory(10, activations, 7.0, 1, buckets=True)
    assert (one.buckets, copied.buckets) == (0, 40) and copied.total - one.total == pytest.approx(1.05 * 40)
    assert memory(10, activations, 7.0, 2, recomputed_bytes=50).transient == two.transient + 100


@pytest.mark.parametrize(
    ("device", "tflops"),
    [("NVIDIA H200", 989.4), ("NVIDIA H100 80GB HBM3", 989.4), ("NVIDIA A100-SXM4-80GB", 312.0),
     ("NVIDIA GeForce RTX 4090", 165.2), ("Tesla T4", 65.0), ("NVIDIA T400", None), ("Radeon", None)],
)  # fmt: skip
def test_peaks_of_devices(device: str, tflops: float | None) -> None:
    card = card_of_device(device)
    assert (card and card.peak_tflops) == tflops


def test_cards() -> None:
    assert card_named("H200").memory_gib == 139
    assert card_named("24GB") == card_named("24 gb") == card_named("24")
    with pytest.raises(ValueError, match="unknown"):
        card_named("0GB")
    for card in CARDS.values():
        exact, mixed = card.peak_flops(False, 0.0), card.peak_flops(True, 0.0)
        assert exact and mixed and 1e12 < exact < mixed
        half = card.peak_flops(False, 0.5)
        assert half and exact <= half <= mixed, card.name
