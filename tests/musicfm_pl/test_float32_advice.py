"""A pretraining in float32 on a GPU is told what is faster; nothing else is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import command
import lightning as L
import pytest
import torch

from musicfm_pl import float32_advice
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.tokenizers.random_projection import RandomProjection


def test_fit_says_it_once(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(float32_advice, "has_bfloat16", lambda device: True)
    command.succeed("fit", *command.pretraining(prepared, tmp_path / "run", 1))
    said = capsys.readouterr().out
    assert said.count("trainer.precision: 32-true") == 1
    named = said.split("--config ")[1].split()[0]
    assert (command.REPOSITORY / named).is_file() and (command.REPOSITORY / named).with_name("ddp.yaml").is_file()


@pytest.mark.parametrize(
    ("device", "has_it", "precision", "pretrains", "is_said"),
    [
        ("cuda", True, "32-true", True, True),
        ("cuda", False, "32-true", True, False),
        ("cuda", True, "bf16-mixed", True, False),
        ("cuda", True, "32-true", False, False),
        ("cpu", True, "32-true", True, False),
    ],
)
def test_when_it_is_said(
    monkeypatch: pytest.MonkeyPatch, device: str, has_it: bool, precision: str, pretrains: bool, is_said: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_it and not including_emulation)
    monkeypatch.setattr(torch.cuda, "device", contextlib.nullcontext)
    with torch.device("meta"):
        model = MaskedTokenModel(Conformer(16, 1, 2, 16), RandomProjection) if pretrains else L.LightningModule()
    trainer = SimpleNamespace(precision=precision, strategy=SimpleNamespace(root_device=torch.device(device, 0)))
    said = float32_advice.float32_advice(trainer, model)  # type: ignore[arg-type]
    assert (said is not None) == is_said


def test_the_device_itself_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the one that happens to be current, in a machine of two kinds: torch asks that one."""
    current = [torch.device("cuda", 0)]

    @contextlib.contextmanager
    def entered(device: torch.device) -> Iterator[None]:
        current.append(device)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", entered)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1].index == 1)
    assert float32_advice.has_bfloat16(torch.device("cuda", 1))
    assert not float32_advice.has_bfloat16(torch.device("cuda", 0))
    assert not float32_advice.has_bfloat16(torch.device("cpu"))
