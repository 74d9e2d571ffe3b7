"""How pretraining is computed: in which precision, compiled, clipped, spread over ranks; never what it learns."""

from __future__ import annotations

import os
import shutil
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

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
from torch.nn.parallel import DistributedDataParallel

from data_modules.masking import WaveNoise
from data_modules.pretrain import PretrainData
from musicfm_pl.systems.pretrain import MaskedTokenModel
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
    assert all(torch.equal(one, other) for one, other in zip(mixed[:3], exact[:3], strict=True))
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


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def eager_and_compiled(backend: Any) -> tuple[MaskedTokenModel, MaskedTokenModel]:
    """Two models with the same weights, without dropout; the second one is compiled."""
    torch._dynamo.reset()
    eager, compiled = model((2, 2)), model((2, 2))
    compiled.load_state_dict(eager.state_dict())
    compiled.compile_backend = backend
    for system in (eager, compiled):
        for part in system.modules():
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
            if isinstance(getattr(part, "dropout", None), float):
                part.dropout = 0.0
    return eager, compiled


def trained(system: MaskedTokenModel, steps: int, within: torch.nn.Module | None = None) -> list[float]:
    """Losses of the steps; between them something is validated, on clips of other lengths."""
    optimizer, losses = system.optimizer(), []
    for seed in range(steps):
        loss = system.loss(*(within or system).train()(batch(2.0, 240, WaveNoise(), seed)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        with torch.no_grad():
            system.eval()(batch(1.0 + seed, 240, WaveNoise(), seed))
    return losses


def assert_same_training(compiled: MaskedTokenModel, eager: MaskedTokenModel, losses: list[list[float]]) -> None:
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    gradients = [torch.cat([p.grad.flatten() for p in system.parameters()]) for system in (compiled, eager)]
    assert (gradients[0] - gradients[1]).norm() < 1e-2 * gradients[1].norm()


def test_compiled_training_is_one_graph_whatever_is_masked() -> None:
    """The number of masked tokens changes from step to step, and validation comes between."""
    eager, compiled = eager_and_compiled("aot_eager")
    counters = torch._dynamo.utils.counters
    counters.clear()
    assert_same_training(compiled, eager, [trained(system, 4) for system in (compiled, eager)])
    assert counters["stats"]["unique_graphs"] == 1 and not counters["graph_break"] and not counters["recompiles"]
    assert not any("compiled" in name for name in compiled.state_dict())


CAN_COMPILE = shutil.which(os.environ.get("CXX", "g++")) and Path(sysconfig.get_path("include"), "Python.h").exists()


@pytest.mark.slow
@pytest.mark.skipif(not CAN_COMPILE, reason="needs a C++ compiler (CXX, or g++) and the headers of Python")
def test_kernels_of_inductor_train_as_without_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a GPU run is compiled by; here it writes C++, in this process and into a folder of the test's own."""
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    eager, compiled = eager_and_compiled("inductor")
    with torch._inductor.config.patch(compile_threads=1):
        losses = [trained(system, 2) for system in (compiled, eager)]
    assert any(tmp_path.rglob("*.so")), "kernels were made"
    assert_same_training(compiled, eager, losses)


def test_compiled_under_ddp_gradients_leave_in_pieces(group_of_one: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as its buckets: the small ones here stand for the 25 MB that a large model has many of."""
    pieces: list[torch.fx.GraphModule] = []

    def compiler(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> Any:
        pieces.append(graph)
        return torch._dynamo.lookup_backend("aot_eager")(graph, inputs)

    monkeypatch.setattr(dist, "_DEFAULT_FIRST_BUCKET_BYTES", 4096)
    eager, compiled = eager_and_compiled(compiler)
    spread = DistributedDataParallel(compiled, bucket_cap_mb=4096 / 2**20)
    losses = [trained(compiled, 3, within=spread), trained(eager, 3)]
    assert len(pieces) > 1
    assert_same_training(compiled, eager, losses)


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
