"""The peak that `throughput/mfu` is a share of; its value is tested where a run logs it (`test_guard`)."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.profilers import PassThroughProfiler

from data_modules.pretrain import PretrainData
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.throughput import Throughput
from musicfm_pl.tokenizers.random_projection import RandomProjection


@pytest.fixture(scope="module")
def fm7() -> MaskedTokenModel:
    with torch.device("meta"):
        return MaskedTokenModel(Conformer(), RandomProjection)


def peak(
    model: MaskedTokenModel, device: torch.device, precision: str = "bf16-mixed", given: float | None = None
) -> float | None:
    callback = Throughput(given)
    trainer = SimpleNamespace(
        datamodule=PretrainData(num_workers=0),
        profiler=PassThroughProfiler(),
        strategy=SimpleNamespace(root_device=device),
        precision=precision,
    )
    callback.setup(trainer, model, "fit")  # type: ignore[arg-type]
    return callback.peak_tflops


@pytest.mark.parametrize(
    ("name", "precision", "tflops"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16-mixed", 989.4),
        # Convolutions, in TF32, are 62.0 % of the encoder's arithmetic, and 61.65 % of FM7's with the prediction layer.
        ("NVIDIA H100 80GB HBM3", "32-true", 1 / (0.6165 / 494.7 + 0.3835 / 66.9)),
        ("NVIDIA H100 80GB HBM3", "64-true", None),
        ("Radeon", "bf16-mixed", None),
    ],
)
def test_it_is_of_the_precision_of_the_run(
    fm7: MaskedTokenModel, monkeypatch: pytest.MonkeyPatch, name: str, precision: str, tflops: float | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: name)
    found = peak(fm7, torch.device("cuda", 0), precision)
    assert found == (None if tflops is None else pytest.approx(tflops, rel=1e-3))
    assert peak(fm7, torch.device("cuda", 0), precision, given=100.0) == 100.0


def test_of_a_cpu_nothing_is_stated(fm7: MaskedTokenModel) -> None:
    assert peak(fm7, torch.device("cpu")) is None
    assert peak(fm7, torch.device("cpu"), given=0.5) == 0.5
