"""Models that no single GPU holds: weights, gradients and moments spread over all of them (FSDP2)."""

from __future__ import annotations

from typing import final

from lightning.pytorch.strategies import ModelParallelStrategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard

from musicfm_pl.encoders.base import Encoder

SHARDED = "sharding.Sharded"
"""How the strategy below is named in a configuration, whatever stands before it."""


@final
class Sharded(ModelParallelStrategy):
    """Lightning's `ModelParallelStrategy` with all GPUs in one data-parallel group, and none of them for tensors.

    Checkpoints are whole, written by the first rank: they load on any number of GPUs, and wherever a run's
    checkpoint is read.

    Args:
        process_group_backend: nccl or gloo; by default what fits the devices.
    """

    def __init__(self, process_group_backend: str | None = None) -> None:
        super().__init__(
            tensor_parallel_size=1, save_distributed_checkpoint=False, process_group_backend=process_group_backend
        )

    def setup_environment(self) -> None:
        """How many GPUs there are is only known here."""
        self._data_parallel_size = self.num_nodes * self.num_processes
        super().setup_environment()


def parallelize(encoder: Encoder, prediction: nn.Module, mesh: DeviceMesh) -> None:
    """Spreads an encoder and its prediction layer over the ranks of a mesh, layer by layer, in place.

    A layer's weights are gathered when it is called and given back after it, so that a rank holds those of one
    layer at a time beside its own share. The prediction layer is a unit of its own.

    Args:
        encoder: Its front end and every item of its module lists (its layers) are units, what is left another.
        prediction: Called after it.
        mesh: Of one dimension.
    """
    for parameter in encoder.parameters():
        parameter.data = parameter.data.contiguous()  # FSDP2 takes no weights in channels-last order
    for name, module in list(encoder.named_children()):
        for unit in module if isinstance(module, nn.ModuleList) else [module] * (name == "front_end"):
            fully_shard(unit, mesh=mesh)
    fully_shard(encoder, mesh=mesh)
    fully_shard(prediction, mesh=mesh)
