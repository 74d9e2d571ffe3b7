"""What watches over training: losses and gradients that jump or are no numbers, and weights that must not be kept."""

from __future__ import annotations

import json
import math
import statistics
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, final, get_args

import lightning as L
import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor

from data_modules.batches import Origin, PretrainBatch
from musicfm_pl.systems.pretrain import MaskedTokenModel

OnNonfinite = Literal["skip", "stop"]
OnSpike = Literal["ignore", "record", "skip", "stop"]


class UnstableTraining(ValueError):
    """Training has come to where going on makes no sense; the message says why and what to do."""


@final
class TrainingGuard(L.Callback):
    """Looks at every step of a pretraining run before the optimizer takes it.

    A step is bad if its loss or the norm of its gradient is not finite, or if one of them has jumped above its
    median over the last steps. Bad batches are written to `bad_batches/` in the run directory, with the tracks and
    offsets that their clips were really read from, and why any is in the place of another. A step that is skipped
    leaves weights, moments and running statistics as they were; it counts, and the schedule goes on. With several
    batches a step, all of them are skipped. All ranks decide alike, from the mean loss and the norm of the common
    gradient.

    It logs `train/grad_norm` (before clipping), `train/loss_of_all` (a mean over ranks and over the batches of a
    step, where `train/loss` is of one batch of the first rank), and its counts as `stability/...`.

    A checkpoint whose weights are not finite is never written.

    Args:
        on_nonfinite: Skip such a step, or stop.
        on_spike: Nothing, write the batch down, skip the step too, or stop.
        loss_rise: A loss is a spike from so many nats above the median.
        norm_factor: The norm of a gradient is one from so many times the median.
        window: Steps of the median; before there are as many, nothing is a spike.
        max_skipped: The run stops after so many skipped steps in a row.

    Raises:
        ValueError: A setting that makes no sense.
    """

    def __init__(
        self,
        on_nonfinite: OnNonfinite = "skip",
        on_spike: OnSpike = "record",
        loss_rise: float = 1.0,
        norm_factor: float = 10.0,
        window: int = 100,
        max_skipped: int = 10,
    ) -> None:
        for name, given, choices in (
            ("on_nonfinite", on_nonfinite, get_args(OnNonfinite)),
            ("on_spike", on_spike, get_args(OnSpike)),
        ):
            if given not in choices:
                raise ValueError(f"guard.{name} must be one of {', '.join(choices)}, got {given!r}")
        if loss_rise <= 0 or norm_factor <= 1 or window < 1 or max_skipped < 1:
            raise ValueError(
                f"guard: loss_rise must be above 0, norm_factor above 1, window and max_skipped at least 1; "
                f"got {loss_rise}, {norm_factor}, {window} and {max_skipped}"
            )
        self.on_nonfinite = on_nonfinite
        self.on_spike = on_spike
        self.loss_rise = loss_rise
        self.norm_factor = norm_factor
        self.max_skipped = max_skipped
        self.counts = {"nonfinite_steps": 0, "loss_spikes": 0, "gradient_spikes": 0, "skipped_steps": 0}
        self._in_a_row = 0
        self._normal: deque[tuple[float, float]] = deque(maxlen=window)  # loss and norm of the last steps
        self._losses: list[Tensor] = []  # of the batches since the last step
        self._batches: list[tuple[int, Sequence[Origin]]] = []  # their numbers, and where their clips were read
        self._statistics: list[tuple[Tensor, Tensor]] = []  # buffers of the encoder, and what they were

    def state_dict(self) -> dict[str, Any]:
        """A run that goes on judges as if it had never stopped."""
        return {
            "counts": dict(self.counts),
            "in_a_row": self._in_a_row,
            "normal": [list(pair) for pair in self._normal],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """See `state_dict`."""
        self.counts = dict(state_dict["counts"])
        self._in_a_row = state_dict["in_a_row"]
        self._normal.clear()
        self._normal.extend((loss, norm) for loss, norm in state_dict["normal"])

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Refuses fp16, whose gradients overflow by design, and in pretraining all that would round the tokenizer.

        Raises:
            ValueError: The precision is such; the message names others.
        """
        if stage != "fit":
            return
        if trainer.precision in ("16-mixed", "16-true"):
            raise ValueError(
                f"trainer.precision: {trainer.precision} has no range for this training; choose bf16-mixed or 32-true"
            )
        exact = ("32-true", "64-true", "bf16-mixed")
        if isinstance(pl_module, MaskedTokenModel) and trainer.precision not in exact:
            raise ValueError(
                f"trainer.precision: {trainer.precision} would round the tokenizer and with it the targets, which are "
                f"made in float32; choose bf16-mixed or 32-true"
            )

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """What a skipped first step would go back to."""
        self._losses, self._batches = [], []
        self._statistics = []
        if isinstance(pl_module, MaskedTokenModel):
            self._statistics = [(buffer, buffer.detach().clone()) for buffer in pl_module.encoder.buffers()]

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Which batch it is."""
        number = trainer.fit_loop.epoch_loop.batch_progress.total.ready - 1
        self._batches.append((number, batch.origins if isinstance(batch, PretrainBatch) else ()))

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: Tensor) -> None:
        """Its loss, not yet divided by the number of batches a step."""
        self._losses.append(loss.detach() * trainer.accumulate_grad_batches)

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Judges the step; it is skipped by taking its gradients away."""
        given, batches = self._losses, self._batches
        self._losses, self._batches = [], []
        if not isinstance(pl_module, MaskedTokenModel):
            return
        losses = torch.stack([loss.float() for loss in given])
        # One exchange and one wait for the device, for both; a norm that one rank alone finds too large is all ranks'.
        both = trainer.strategy.reduce(torch.stack([losses.mean(), gradient_norm(pl_module)]), reduce_op="mean")
        assert isinstance(both, Tensor)
        loss, norm = both.tolist()
        faults = self._faults(loss, norm)
        action = "go on"
        if faults:
            action = self.on_nonfinite if "nonfinite_steps" in faults else self.on_spike
            for fault in faults:
                self.counts[fault] += 1
        if faults and action != "ignore":
            self._write(trainer, pl_module, batches, losses, faults, action, loss, norm)
        if action == "skip":
            self._skip(optimizer)
        else:
            self._in_a_row = 0
            if math.isfinite(loss) and math.isfinite(norm):
                self._normal.append((loss, norm))
            if self._statistics:
                buffers, copies = zip(*self._statistics, strict=True)
                torch._foreach_copy_(list(copies), list(buffers))
        pl_module.log_dict({"train/grad_norm": norm, "train/loss_of_all": loss})
        pl_module.log_dict({f"stability/{name}": float(count) for name, count in self.counts.items()})
        if action == "stop":
            raise UnstableTraining(
                f"step {trainer.global_step}: {_words(faults)} (loss {loss:.4g}, gradient norm {norm:.4g}), and "
                f"guard.on_{'nonfinite' if 'nonfinite_steps' in faults else 'spike'} is stop; its clips are in "
                f"{self._file(trainer)}; the last checkpoint is of before"
            )
        if self._in_a_row >= self.max_skipped:
            raise UnstableTraining(
                f"step {trainer.global_step}: {self._in_a_row} bad steps in a row, the last: {_words(faults)}; "
                f"their clips are in {self._file(trainer).parent}. Lower model.learning_rate"
            )

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Refuses weights that are no numbers; the checkpoint of before stays.

        Raises:
            UnstableTraining: There are such; the message names them.
        """
        bad = [
            name
            for name, value in checkpoint["state_dict"].items()
            if isinstance(value, Tensor) and value.is_floating_point() and not bool(_local(value).isfinite().all())
        ]
        # All ranks stop, or none: a rank may hold none of the weights.
        found = trainer.strategy.reduce(torch.tensor(float(len(bad)), device=pl_module.device), reduce_op="sum")
        if float(found):
            raise UnstableTraining(
                f"step {trainer.global_step}: no checkpoint is written, since weights are not finite "
                f"({', '.join(bad[:3]) or 'on another rank'}{', ...' * (len(bad) > 3)}); the last one is of before. "
                f"Go on from it with a lower model.learning_rate, in a new --run_dir with --ckpt_path"
            )

    def _faults(self, loss: float, norm: float) -> list[str]:
        if not math.isfinite(loss) or not math.isfinite(norm):
            return ["nonfinite_steps"]
        if len(self._normal) < (self._normal.maxlen or 1):
            return []
        faults = []
        if loss > statistics.median(pair[0] for pair in self._normal) + self.loss_rise:
            faults.append("loss_spikes")
        if norm > statistics.median(pair[1] for pair in self._normal) * self.norm_factor:
            faults.append("gradient_spikes")
        return faults

    def _skip(self, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad(set_to_none=True)  # a weight without a gradient is left alone, its moments and decay, too
        for buffer, before in self._statistics:
            buffer.copy_(before)
        self.counts["skipped_steps"] += 1
        self._in_a_row += 1

    def _file(self, trainer: L.Trainer) -> Path:
        return Path(trainer.default_root_dir) / "bad_batches" / f"step-{trainer.global_step:07}.json"

    def _write(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batches: list[tuple[int, Sequence[Origin]]],
        losses: Tensor,
        faults: list[str],
        action: str,
        loss: float,
        norm: float,
    ) -> None:
        """By the first rank: clips and losses of all are brought together."""
        gathered = trainer.strategy.all_gather(losses)
        of_ranks = gathered.reshape(-1, len(losses)).tolist()
        clips_of_ranks = _from_all_ranks([[_clip(origin) for origin in origins] for _, origins in batches])
        if not trainer.is_global_zero:
            return
        record = {
            "step": trainer.global_step,
            "faults": faults,
            "action": action,
            "seed": getattr(trainer.datamodule, "seed", None),  # type: ignore[attr-defined]
            "loss": _number(loss),
            "grad_norm": _number(norm),
            "median_loss": statistics.median(pair[0] for pair in self._normal) if self._normal else None,
            "median_grad_norm": statistics.median(pair[1] for pair in self._normal) if self._normal else None,
            "batches": [
                {"batch": batch, "rank": rank, "loss": _number(own[number]), "clips": clips[number]}
                for number, (batch, _) in enumerate(batches)
                for rank, (own, clips) in enumerate(zip(of_ranks, clips_of_ranks, strict=True))
            ],
        }
        file = self._file(trainer)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(record, indent=1) + "\n")
        trainer.print(f"step {trainer.global_step}: {_words(faults)}, {action}: {file}")


def _from_all_ranks(own: list[Any]) -> list[list[Any]]:
    if not dist.is_initialized():
        return [own]
    found: list[list[Any]] = [[]] * dist.get_world_size()
    dist.all_gather_object(found, own)
    return found


def _clip(origin: Origin) -> dict[str, Any]:
    return {**origin._asdict(), "start_s": round(origin.start_s, 4)}


def gradient_norm(module: torch.nn.Module) -> Tensor:
    """Of all gradients of a module together, in float32; the same on all ranks that share its weights."""
    gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    return (norm.full_tensor() if isinstance(norm, DTensor) else norm).float()


def _local(value: Tensor) -> Tensor:
    return value.to_local() if isinstance(value, DTensor) else value


def _number(value: float) -> float | str:
    """JSON has no NaN."""
    return value if math.isfinite(value) else str(value)


def _words(faults: list[str]) -> str:
    words = {
        "nonfinite_steps": "loss or gradient is not finite",
        "loss_spikes": "the loss jumped",
        "gradient_spikes": "the gradient jumped",
    }
    return " and ".join(words[fault] for fault in faults)
