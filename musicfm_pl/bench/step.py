"""One training step of the public way and of ours, from the waveform on the device to the optimiser's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import final

import torch
from torch import Tensor
from torch.optim import Optimizer

from musicfm_pl.bench.pairs import Hearing, Pair
from musicfm_pl.bench.precision import Precision, arithmetic, autocast
from musicfm_pl.guard import gradient_norm

GRADIENT_CLIP = 1.0
"""Norm of the gradient, for either way, as in `experiments/base/pretrain.yaml`."""
LEFT_OUT = "reading clips, their way to the device, Lightning's loop and logging, other callbacks, the rate's schedule"
"""What `musicfm fit` does beside the step that is measured."""


@final
class Step:
    """Forward, backward, clipping and the optimiser's step, after which no gradients stay.

    Args:
        precision: Of all of it; kept as an attribute.
        optimizer: Of all weights; steps of the same model may share it.
        loss: Of a batch.
        guarded: What looks at the loss when there are gradients.
    """

    def __init__(
        self,
        precision: Precision,
        optimizer: Optimizer,
        loss: Callable[[], Tensor],
        guarded: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.precision = precision
        self._optimizer = optimizer
        self._loss = loss
        self._guarded = guarded
        self._weights = [weight for group in optimizer.param_groups for weight in group["params"]]

    def __call__(self, keep_gradients: bool = False) -> None:
        """Takes a step.

        Args:
            keep_gradients: They stay until the forward pass of the next step is over, as in `musicfm fit`.

        Raises:
            OutOfMemoryError: It does not fit; it leaves no gradients and moments.
        """
        try:
            with arithmetic(self.precision):
                value = self._loss()
                self._optimizer.zero_grad()
                value.backward()
                if self._guarded is not None:
                    self._guarded(value)
                torch.nn.utils.clip_grad_norm_(self._weights, GRADIENT_CLIP)
                self._optimizer.step()
        except torch.OutOfMemoryError:
            self.release()
            raise
        if not keep_gradients:
            self._optimizer.zero_grad()

    def release(self) -> None:
        """Gives gradients and moments back; the next step makes them anew."""
        self._optimizer.zero_grad()
        self._optimizer.state.clear()

    def peak_bytes(self, device: torch.device) -> int:
        """What a step takes on a GPU at its peak: weights, gradients, moments, activations, and what passes by.

        It begins with the gradients of the step before it, as in `musicfm fit`. Weights of other models that lie there
        are not counted; their gradients and moments must have been released, and so must its own.
        """
        others = torch.cuda.memory_allocated(device) - sum(weight.nbytes for weight in self._weights)
        self(keep_gradients=True)
        torch.cuda.reset_peak_memory_stats(device)
        self()
        return torch.cuda.max_memory_allocated(device) - others


def public_optimizer(models: Pair) -> Optimizer:
    """Plain AdamW of the public way."""
    return torch.optim.AdamW(models.public.parameters(), lr=models.ours.learning_rate, betas=models.ours.betas)


def public_step(models: Pair, hearing: Hearing, precision: Precision, optimizer: Optimizer) -> Step:
    """A step of the public way: two mels, tokens of all frames by distances, logits of all frames.

    Mel and tokens are kept in float32, as ours are: in bfloat16 they would be other targets. The
    gradient is clipped, as ours is.
    """
    model = models.public.train()
    device = hearing.waveform_BN.device

    def loss() -> Tensor:
        with arithmetic("fp32"):
            clean_BMF, masked_BMF, mask_BT = hearing.public(model)
            targets_BT = model.tokens(clean_BMF)
        masked_P = mask_BT.flatten().nonzero().squeeze(1)
        with autocast(precision, device):
            return model.loss(masked_BMF, targets_BT.flatten()[masked_P], masked_P)

    return Step(precision, optimizer, loss)


def our_step(models: Pair, hearing: Hearing, precision: Precision, optimizer: Optimizer) -> Step:
    """A step of `musicfm fit` on one device, but for what `LEFT_OUT` names.

    Each clip's mask is drawn from its own generator, the accuracy is computed beside the loss, the guard looks at loss
    and norm before the gradient is clipped and keeps the batch statistics that a skipped step would go back to. Mel and
    tokens are kept in float32, as in the public way.
    """
    system = models.ours.train()
    device = hearing.waveform_BN.device
    statistics = list(system.encoder.buffers())
    kept = [each.clone() for each in statistics]

    def loss() -> Tensor:
        with arithmetic("fp32"):
            batch = hearing.ours()
            masked_P, num_tokens, targets_PQ = system.targets(batch)
        with autocast(precision, device):
            logits_PQK = system.logits(batch.masked_mel_BMF, masked_P, num_tokens)
            return system.measured(logits_PQK, targets_PQ)[0]

    def guarded(value: Tensor) -> None:
        torch.stack([value.detach().float(), gradient_norm(system)]).tolist()  # waits for the device
        torch._foreach_copy_(kept, statistics)

    return Step(precision, optimizer, loss, guarded)
