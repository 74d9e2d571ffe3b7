"""A pretrained encoder as one file, and files that try to run code when they are read."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import command
import pytest
import safetensors.torch
import torch

from musicfm_pl.encoders.encoder_file import read_encoder, write_encoder
from musicfm_pl.encoders.pretrained import Pretrained, Untrained


def same(one: Pretrained, other: Pretrained) -> bool:
    ours, theirs = one.inner.state_dict(), other.inner.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_it_is_what_the_checkpoint_holds(pretrained_run: Path, tmp_path: Path) -> None:
    by_default, of_checkpoint = Pretrained(pretrained_run), Pretrained(pretrained_run, checkpoint="last.ckpt")
    assert same(by_default, of_checkpoint)
    assert by_default.mel == of_checkpoint.mel
    assert by_default.name == of_checkpoint.name == "Conformer 2M, pretrained"
    # By itself, wherever it lies: it says how it is built.
    alone = tmp_path / "elsewhere.safetensors"
    shutil.copy(pretrained_run / "checkpoints" / "encoder.safetensors", alone)
    assert same(Pretrained(alone), by_default)
    mel_BMF = torch.randn(1, 128, 100)
    with torch.no_grad():
        one, other = Pretrained(alone).eval()(mel_BMF)[-1], of_checkpoint.eval()(mel_BMF)[-1]
    assert torch.equal(one, other)
    assert Untrained(alone).mel == by_default.mel


def test_the_default_is_the_safe_file(pretrained_run: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(pretrained_run, run)
    (run / "checkpoints" / "last.ckpt").unlink()
    assert same(Pretrained(run), Pretrained(pretrained_run))
    (run / "checkpoints" / "encoder.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=r"encoder\.safetensors cannot be read"):
        Pretrained(run)


def test_a_file_of_others_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, file)
    with pytest.raises(ValueError, match="does not say its config, mel, step"):
        Pretrained(file)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def test_checkpoints_run_no_code(prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
    """However a checkpoint comes to be read: as an encoder, to go on from, to be validated, to be named."""
    run, trace = tmp_path / "run", tmp_path / "trace"
    shutil.copytree(pretrained_run, run)
    (run / "checkpoints" / "encoder.safetensors").unlink()
    last = run / "checkpoints" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    torch.save({**state, "evil": Evil(trace)}, last)
    with pytest.raises(ValueError, match="cannot be read"):
        Pretrained(run)
    arguments = command.pretraining(prepared, run, 6)
    for words in (("fit", *arguments), ("validate", *arguments), ("fit", *arguments, "--ckpt_path", last)):
        with pytest.raises(Exception, match=r"(?i)weights.only"):
            command.succeed(*words)
    assert not trace.exists()
    torch.load(last, weights_only=False)
    assert trace.exists(), "it would have"


MINE = """from pathlib import Path
from musicfm_pl.encoders.base import Encoder
Path(__file__).with_name("trace").touch()
class Mine(Encoder):
    def __init__(self) -> None:
        super().__init__()
        self.num_mels, self.dim, self.stride, self.num_layers = 128, 1, 1, 1
    def forward(self, features, last_layer=None):
        return [features]
"""


@pytest.mark.parametrize("how", ["as a class", "as a name", "within another"])
def test_a_file_imports_nothing_on_its_own_word(
    pretrained_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """The weights are safe to read, but the class that they are for would be imported."""
    (tmp_path / "module_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "module_of_mine", raising=False)
    found = read_encoder(pretrained_run / "checkpoints" / "encoder.safetensors")
    mine: Any = {"class_path": "module_of_mine.Mine"}
    ours = {"class_path": "musicfm_pl.encoders.conformer.Conformer", "init_args": {"dim": [mine]}}
    encoder = {"as a class": mine, "as a name": "module_of_mine.Mine", "within another": ours}[how]
    config = {"model": {"init_args": {"encoder": encoder}}}
    file = tmp_path / "mine.safetensors"
    write_encoder(file, found._replace(config=config, weights={"none": torch.zeros(1)}))
    with pytest.raises(ValueError, match=r"names module_of_mine\.Mine.*import module_of_mine first if you trust it"):
        Pretrained(file)
    assert not (tmp_path / "trace").exists()
    if encoder is mine:
        importlib.import_module("module_of_mine")
        assert type(Untrained(file).inner).__name__ == "Mine"
        assert (tmp_path / "trace").exists(), "it would have"
