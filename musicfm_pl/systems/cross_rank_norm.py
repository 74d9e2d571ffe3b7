"""BatchNorm over the clips of all ranks on CPUs, where torch has none: for runs there, and to test what GPUs do."""

from __future__ import annotations

from typing import Any, final

import torch
import torch.distributed as dist
from lightning.pytorch.plugins.layer_sync import TorchSyncBatchNorm
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@final
class CrossRankNorm(TorchSyncBatchNorm):
    """What `trainer.sync_batchnorm` does on CPUs: torch's own SyncBatchNorm, and DDP with it, refuse them."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Every BatchNorm of the model looks at all ranks from here on; its weights stay the same objects."""
        for module in model.modules():
            if isinstance(module, _BatchNorm) and not isinstance(module, _OverRanks):
                module._alone = type(module)  # type: ignore[assignment]
                module.__class__ = _OverRanks
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Every one is what it was."""
        for module in model.modules():
            if isinstance(module, _OverRanks):
                module.__class__ = module._alone  # type: ignore[assignment]
        return model


class _OverRanks(_BatchNorm):
    def _check_input_dim(self, input: Tensor) -> None:
        """Any, as in torch's SyncBatchNorm."""

    def forward(self, input: Tensor) -> Tensor:
        """Mean and variance of each channel over all ranks, while training."""
        if not self.training or not dist.is_initialized():
            return super().forward(input)
        values, input = input.dtype, input.to(torch.promote_types(input.dtype, torch.float32))
        others = [dim for dim in range(input.ndim) if dim != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        count = torch.tensor(float(input.numel() // input.shape[1]))
        dist.all_reduce(count)
        # In two passes: a mean of squares less the square of a mean cancels.
        mean_C = _Sum.apply(input.sum(others)) / count
        centred = input - mean_C.view(shape)
        variance_C = _Sum.apply(centred.square().sum(others)) / count
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            with torch.no_grad():
                self.num_batches_tracked.add_(1)
                share = self.momentum if self.momentum is not None else 1.0 / float(self.num_batches_tracked)
                self.running_mean.lerp_(mean_C, share)
                self.running_var.lerp_(variance_C * (count / (count - 1)), share)
        normal = centred * torch.rsqrt(variance_C + self.eps).view(shape)
        return (normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal).to(values)


class _Sum(torch.autograd.Function):
    """Sum over ranks; its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total
