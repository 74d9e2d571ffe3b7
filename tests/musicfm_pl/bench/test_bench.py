"""`musicfm bench` as a user calls it, in small: every part writes its figures, with the machine and the versions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import command
import pytest
import torch

from musicfm_pl.bench.figures import Figure, tables
from musicfm_pl.bench.inference import evaluating, inference, long_audio
from musicfm_pl.bench.kernels import PARTS, kernel_times, part_of
from musicfm_pl.bench.pairs import pair
from musicfm_pl.bench.sizes import SIZES, Size
from musicfm_pl.bench.timing import Timed, Timing, alternate, outcomes

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def a_size_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SIZES, "tiny", Size(16, 2, 24, 3, num_layers=2))


def bench(out: Path, *options: str) -> dict[str, list[dict[str, object]]]:
    command.succeed("bench", "--sizes", "tiny", "--rounds", "1", "--device", "cpu", "--out", str(out), *options)
    record = json.loads(out.read_text())
    assert record["machine"]["cpu_count"] >= 1 and record["machine"]["processor"]
    assert torch.__version__.startswith(record["versions"]["torch"]) and record["versions"]["transformers"].startswith(
        "4."
    )
    parts: dict[str, list[dict[str, object]]] = {}
    for figure in record["figures"]:
        parts.setdefault(figure["part"], []).append(figure)
    return parts


def test_training(tmp_path: Path) -> None:
    parts = bench(tmp_path / "train.json", "--what", "train", "--clip_s", "1.2", "--batches", "2")
    ways = {figure["way"]: figure for figure in parts["training step"]}
    assert set(ways) == {"public, fp32", "public, bf16", "ours, fp32", "ours, bf16"}
    assert ways["public, fp32"]["ratio"] is None
    assert {figure["baseline"] for figure in ways.values()} == {"public, fp32"}
    for way, figure in ways.items():
        assert figure["value"] > 0 and figure["case"] == "tiny, 25 Hz, 1.2 s, batch 2"
        if way != "public, fp32":
            assert figure["ratio"] == pytest.approx(ways["public, fp32"]["value"] / figure["value"])
        shares = {each["way"]: each["value"] for each in parts["training step, by part"] if each["case"].endswith(way)}
        expected = {"3x3 convs", "depthwise convs", "attention", "BatchNorm", "linear layers", "mel"}
        assert expected | {"quantizer", "loss"} <= set(shares)
    settings = json.loads((tmp_path / "train.json").read_text())["settings"]
    assert settings["cudnn_benchmark"] is False, "on a CPU"
    assert settings["gradient_clip"] == 1.0 and "Lightning's loop" in settings["left_out_of_training_steps"]


def test_training_in_one_precision_alone(tmp_path: Path) -> None:
    options = ("--clip_s", "1.2", "--batches", "2", "--precisions", "fp32")
    parts = bench(tmp_path / "train.json", "--what", "train", *options)
    assert [figure["way"] for figure in parts["training step"]] == ["public, fp32", "ours, fp32"]


def test_memory_of_short_clips_at_a_high_rate(tmp_path: Path) -> None:
    (figures,) = bench(tmp_path / "memory.json", "--what", "memory", "--clip_s", "5", "--rate_hz", "75").values()
    assert {figure["case"] for figure in figures} == {"tiny, 75 Hz, 5 s"}
    found = {(figure["way"], figure["unit"]): figure for figure in figures}
    kept = found["ours, all recomputed", "GB saved"]
    assert kept["note"] == f"1/{1 / kept['ratio']:.3g} of the public way's"
    again = found["ours, all recomputed", "TFLOP"]
    assert again["ratio"] == pytest.approx(again["value"] / found["ours", "TFLOP"]["value"])


@pytest.mark.parametrize("rate_hz", [25, 75])
def test_inference_and_long_audio(tmp_path: Path, rate_hz: int) -> None:
    options = ("--what", "[inference, long_audio]", "--clip_s", "2.0", "--minutes", "0.1", "--layer", "1")
    parts = bench(tmp_path / "inference.json", *options, "--rate_hz", str(rate_hz))
    assert parts["inference"][0]["case"] == f"tiny, {rate_hz} Hz, 2 s, batch 1"
    assert [figure["way"] for figure in parts["inference"]] == [
        "public, fp32",
        "ours, fp32",
        "public, bf16",
        "ours, bf16",
    ]
    for figure in (parts["inference"][1], parts["long audio"][1]):
        assert figure["way"].startswith("ours")
        assert float(figure["note"].split()[2]) < 1e-5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--sizes", "[3m]"), "no size 3m; known are 2m, 10m"),
        (("--rate_hz", "60"), "--rate_hz: one of 25, 50, 75, got 60"),
    ],
)
def test_what_there_is_not_is_refused(
    options: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        command.main(["bench", *options])
    assert message in capsys.readouterr().err


def test_functions_take_turns() -> None:
    calls: list[str] = []
    found = alternate({name: lambda name=name: calls.append(name) for name in "ab"}, CPU, Timed(rounds=3))
    assert calls == ["a", "b", *"ababab"]
    low_s, high_s = found["a"].quartiles_s
    assert 0 <= low_s <= found["a"].median_s <= high_s and found["a"].rounds == 3
    calls.clear()
    alternate({name: lambda name=name: calls.append(name) for name in "ab"}, CPU, Timed(rounds=9, budget_s=0.0))
    assert len(calls) == 2 + 3 * 2, "three rounds, whatever they take"


def test_what_does_not_fit_is_left_out() -> None:
    def greedy() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    assert list(alternate({"greedy": greedy, "modest": lambda: None}, CPU, Timed(rounds=1))) == ["modest"]


def test_what_does_not_fit_in_a_later_round_is_left_out() -> None:
    calls: list[str] = []

    def grows() -> None:
        calls.append("grows")
        if len(calls) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")

    found = alternate({"grows": grows, "modest": lambda: calls.append("modest")}, CPU, Timed(rounds=4))
    assert list(found) == ["modest"] and found["modest"].rounds == 4
    assert calls == ["grows", "modest"] * 3 + ["modest"] * 2


def test_ratios_are_against_the_first_public_way_that_fits() -> None:
    timings = {way: Timing(s, (s, s), 3) for way, s in (("public, tf32", 3.0), ("public, fp32", 6.0), ("ours", 1.5))}
    found = list(outcomes("part", "case", ["public, bf16", *timings], timings, 1.0, "s", {}))
    assert [(each.value, each.ratio, each.baseline) for each in found] == [
        (None, None, None),
        (3.0, None, "public, tf32"),
        (6.0, 0.5, "public, tf32"),
        (1.5, 2.0, "public, tf32"),
    ]
    assert found[0].note == "does not fit in memory"
    assert list(tables(found)[0].columns[4].cells) == ["", "baseline", "0.5 ×", "2 ×"]
    (alone,) = outcomes("part", "case", ["ours"], {"ours": timings["ours"]}, 1.0, "s", {})
    assert alone.ratio is None and alone.baseline is None


def test_inference_without_its_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    models = evaluating(SIZES["tiny"], 25, CPU)
    whole = models.public.encode

    def encode(mel_BMF: torch.Tensor) -> Sequence[torch.Tensor]:
        if not torch.is_autocast_enabled("cpu"):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(mel_BMF)

    monkeypatch.setattr(models.public, "encode", encode)
    found = {figure.way: figure for figure in inference(models, "case", CPU, 1, 1.0, Timed(rounds=1))}
    assert found["public, fp32"].value is None and "does not fit" in found["public, fp32"].note
    assert found["ours, fp32"].baseline == found["public, bf16"].way and found["public, bf16"].ratio is None
    assert found["ours, fp32"].ratio == pytest.approx(found["public, bf16"].value / found["ours, fp32"].value)


def test_long_audio_with_a_last_window_of_its_own_length() -> None:
    """Of 2.01 s, which is no whole number of tokens longer than the others."""
    models = evaluating(SIZES["tiny"], 25, CPU)
    found = list(long_audio(models, "case", CPU, 4.05 / 60, 2.0, 1, Timed(rounds=1), at_once=8))
    assert float(found[1].note.split()[2]) < 1e-5


def test_what_was_measured_is_kept_when_measuring_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> Iterator[Figure]:
        yield Figure("inference", "case", "way", 1.0, "ms")
        raise RuntimeError("the driver is gone")

    monkeypatch.setattr("musicfm_pl.bench.command.inference", fails)
    out = tmp_path / "bench.json"
    with pytest.raises(RuntimeError, match="the driver is gone"):
        command.succeed("bench", "--what", "inference", "--sizes", "tiny", "--device", "cpu", "--out", str(out))
    assert [figure["way"] for figure in json.loads(out.read_text())["figures"]] == ["way"]


@pytest.mark.parametrize(
    ("operator", "shapes", "part"),
    [
        ("aten::cudnn_convolution", [[8, 512, 1500, 64], [512, 512, 3, 3]], "3x3 convs"),
        ("aten::convolution_backward", [[8, 9, 9, 9], [8, 512, 9, 9], [9, 512, 3, 3]], "3x3 convs"),
        ("aten::_conv_depthwise2d", [[8, 1024, 1, 750], [1024, 1, 1, 31]], "depthwise convs"),
        ("aten::mkldnn_convolution", [[8, 1024, 750], [1024, 1, 31]], "depthwise convs"),
        ("aten::_flash_attention_forward", [], "attention"),
        ("aten::_softmax", [], "attention"),
        ("aten::_log_softmax", [], "loss"),
        ("aten::_log_softmax_backward_data", [], "loss"),
        ("aten::nll_loss_forward", [], "loss"),
        ("aten::bmm", [], "attention"),
        ("aten::cudnn_batch_norm_backward", [], "BatchNorm"),
        ("aten::addmm", [], "linear layers"),
        ("aten::native_layer_norm_backward", [], "LayerNorm"),
        ("triton_poi_fused_add_3", [], "compiled element-wise and norms"),
        ("aten::_fused_adamw_", [], "optimiser"),
        ("aten::_fft_r2c", [], "mel"),
        ("aten::copy_", [], "the rest"),
    ],
)
def test_operators_belong_to_parts(operator: str, shapes: list[list[int]], part: str) -> None:
    assert part_of(operator, shapes) == part
    assert part in PARTS


def test_parts_are_the_whole() -> None:
    a = torch.randn(400, 400)
    found = kernel_times(lambda: (a @ a).sum(), CPU)
    assert found["linear layers"] > 0
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_products_of_a_quantizer_are_not_those_of_attention() -> None:
    """The public one's distances are products of batches, as those of attention are."""
    public = pair(SIZES["tiny"]).public
    mel_BMF = torch.randn(2, 128, 40)
    found = kernel_times(lambda: public.tokens(mel_BMF), CPU)
    assert found["quantizer"] > 0 and "attention" not in found and "linear layers" not in found


def test_the_table_has_a_row_for_each_figure() -> None:
    figures = [
        Figure("training step", "2m", "public", 3.0, "ms", quartiles=(2.0, 4.0)),
        Figure("training step", "2m", "ours", 1.5, "ms", 2.0, (1.0, 2.0)),
        Figure("training step", "330m", "public", None, "ms", note="does not fit in memory"),
        Figure("quantizer", "8 clips", "public", 3.0, "ms"),
    ]
    found = tables(figures)
    assert [table.row_count for table in found] == [3, 1]
    assert list(found[0].columns[4].cells) == ["", "2 ×", ""]
    assert list(found[0].columns[3].cells) == ["2 – 4", "1 – 2", ""]
