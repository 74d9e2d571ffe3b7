"""How pretraining is computed: in which precision, compiled, clipped, spread over ranks; never what it learns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import command
import lightning as L
import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from curves import scalars
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from tiny_pretraining import batch, model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule

from data_modules.masking import WaveNoise
from data_modules.pretrain import PretrainData
from musicfm_pl.systems.sharding import Sharded
from musicfm_pl.tokenizers.random_projection import RandomProjection


@pytest.mark.parametrize("num_books", [1, 4])
def test_mel_and_tokens_are_the_same_in_mixed_precision(num_books: int) -> None:
    """All of them: in bfloat16 up to four in a hundred would change."""
    system, masking = model((2, 2), num_books=num_books), WaveNoise()
    exact = batch(5.0, 240, masking)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = batch(5.0, 240, masking)
        tokens = system.tokens(mixed.mel_BMF)
        assert system(mixed)[0].dtype == torch.bfloat16, "the model itself does change"
    assert mixed.mel_BMF.dtype == torch.float32
    assert all(torch.equal(one, other) for one, other in zip(mixed, exact, strict=True))
    assert torch.equal(tokens, system.tokens(exact.mel_BMF))
    frames_TD = F.normalize(torch.randn(200, 512, generator=torch.Generator().manual_seed(0)))
    tokenizer = RandomProjection(512, num_books=num_books)
    with torch.autocast("cpu", torch.bfloat16):
        mixed_tokens = tokenizer(frames_TD)
    assert torch.equal(mixed_tokens, tokenizer(frames_TD))
    assert not torch.equal(tokenizer(frames_TD.bfloat16()), mixed_tokens), "rounding would show"


def test_a_run_in_mixed_precision(prepared: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    command.succeed(
        "fit", *command.pretraining(prepared, tmp_path, 2, "--trainer.precision", "bf16-mixed"),
        *("--throughput.warmup_batches", "0"),
    )  # fmt: skip
    # Four clips of 5 s, in less time than all of this took.
    took_s = time.perf_counter() - began
    speeds = scalars(tmp_path)["throughput/audio_s_per_s"]
    assert sorted(speeds) == [1, 2] and all(speed > 4 * 5 / took_s for speed in speeds.values())
    weights = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert {value.dtype for value in weights.values() if value.is_floating_point()} == {torch.float32}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*isinstance.treespec, LeafSpec.*")
def test_gradients_are_clipped_in_any_precision_with_the_fused_optimizer(prepared: Path, precision: str) -> None:
    """Lightning refuses to, if an optimizer says that it unscales gradients itself."""
    system = model((2, 2))
    data = PretrainData(prepared, clip_s=5.0, batch_size=3, num_workers=0)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, max_steps=2, limit_val_batches=0, gradient_clip_val=1e-3, precision=precision,
        use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(system, datamodule=data)
    assert trainer.optimizers[0].param_groups[0]["fused"]
    norms = [parameter.grad.norm() for parameter in system.parameters()]
    assert torch.stack(norms).norm() <= 1.001e-3


def test_compiled_training_is_one_graph_whatever_is_masked() -> None:
    """The number of masked tokens changes from step to step, and validation comes between."""
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    eager, compiled = model((2, 2)), model((2, 2))
    compiled.load_state_dict(eager.state_dict())
    compiled.compile_backend = "aot_eager"
    for system in (eager, compiled):
        for part in system.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
            if isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0
    losses: dict[str, list[float]] = {"eager": [], "compiled": []}
    for name, system in (("eager", eager), ("compiled", compiled)):
        optimizer = system.optimizer()
        for seed in range(4):
            loss = system.loss(*system.train()(batch(2.0, 240, WaveNoise(), seed)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[name].append(loss.item())
            with torch.no_grad():
                system.eval()(batch(1.0 + seed, 240, WaveNoise(), seed))
    np.testing.assert_allclose(losses["compiled"], losses["eager"], rtol=1e-4)
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"] and not counters["recompiles"]
    assert not any("compiled" in name for name in compiled.state_dict())


@pytest.mark.parametrize(
    ("strategy", "sync_batchnorm", "said"),
    [
        ("ddp", True, "trainer.sync_batchnorm on several devices break into pieces; set sync_batchnorm to false"),
        (Sharded(process_group_backend="gloo"), False, "weights spread over the GPUs break into pieces; take strategy"),
    ],
)
def test_what_cannot_be_one_graph_is_refused(strategy: str | Sharded, sync_batchnorm: bool, said: str) -> None:
    """Exchanges between ranks within the encoder, which the compiler does not take into a graph."""
    system = model((2, 2))
    system.trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy=strategy, sync_batchnorm=sync_batchnorm, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    system.compile_backend = "eager"
    with pytest.raises(ValueError, match=f"model.compile_backend: .*{said}"):
        system.setup("fit")


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_a_model_is_spread_once(group_of_one: None) -> None:
    """A validation after the training asks again, when its parts must stay the ones that were trained."""
    system = model((2, 2))
    strategy = Sharded()
    strategy._layer_sync = TorchSyncBatchNorm()
    system.trainer = SimpleNamespace(strategy=strategy)  # type: ignore[assignment]
    system._device_mesh = init_device_mesh("cpu", (1, 1), mesh_dim_names=("data_parallel", "tensor_parallel"))
    system.configure_model()
    before = [*system.modules()]
    assert any(isinstance(module, torch.nn.SyncBatchNorm) for module in before)
    assert isinstance(system.encoder, FSDPModule)
    system.configure_model()
    after = [*system.modules()]
    assert len(after) == len(before) and all(one is other for one, other in zip(after, before, strict=True))
