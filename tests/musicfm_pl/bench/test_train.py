"""The steps that are compared: one precision throughout, what they leave, and many of them compiled in one process."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch._dynamo
from torch import Tensor

from musicfm_pl.bench import train as training_steps
from musicfm_pl.bench.pairs import Hearing, pair
from musicfm_pl.bench.precision import Precision
from musicfm_pl.bench.sizes import Size
from musicfm_pl.bench.step import Step, our_step, public_optimizer, public_step
from musicfm_pl.bench.timing import Timed, attempt
from musicfm_pl.bench.train import Training, train, ways
from musicfm_pl.costs.cards import Card

CPU = torch.device("cpu")
TINY = Size(16, 2, 24, 3, num_layers=2)
FLAGS: dict[Precision, tuple[str, bool]] = {
    "fp32": ("highest", False),
    "tf32": ("high", True),
    "bf16": ("highest", False),
}


def flags() -> tuple[str, bool]:
    return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32


class Recorder(torch.autograd.Function):
    """Passes a tensor on, and notes the flags in the forward and the backward pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, seen: list[tuple[str, bool]]) -> Tensor:
        ctx.seen = seen
        seen.append(flags())
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        ctx.seen.append(flags())
        return gradients[0], None


@pytest.mark.parametrize("precision", FLAGS)
@pytest.mark.parametrize("way", ["public", "ours"])
def test_forward_and_backward_are_of_one_precision(way: str, precision: Precision) -> None:
    models, hearing = pair(TINY, num_codes=32), Hearing(1, 1.0, CPU, 240)
    public = way == "public"
    seen: list[tuple[str, bool]] = []
    autocast: list[bool] = []

    def note(module: torch.nn.Module, inputs: Any, output: Tensor) -> Tensor:
        autocast.append(torch.is_autocast_enabled("cpu"))
        return Recorder.apply(output, seen)

    (models.public.linear if public else models.ours.prediction).register_forward_hook(note)
    optimizer = public_optimizer(models) if public else models.ours.optimizer()
    optimizer.register_step_pre_hook(lambda *_: seen.append(flags()))
    before = flags()
    (public_step if public else our_step)(models, hearing, precision, optimizer)()
    assert seen == 3 * [FLAGS[precision]], "forward, backward, and the optimiser's step"
    assert autocast == [precision == "bf16"] and flags() == before


@pytest.mark.parametrize("precision", FLAGS)
@pytest.mark.parametrize("way", ["public", "ours"])
def test_tokens_are_of_float32_in_every_precision(
    way: str, precision: Precision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other they would be other targets, and another time."""
    models, hearing = pair(TINY, num_codes=32), Hearing(1, 1.0, CPU, 240)
    seen: list[tuple[str, bool]] = []
    tokens = models.public.tokens

    def noted(mel_BMF: Tensor) -> Tensor:
        seen.append(flags())
        return tokens(mel_BMF)

    monkeypatch.setattr(models.public, "tokens", noted)
    models.ours.tokenizer.register_forward_hook(lambda *_: seen.append(flags()))
    if way == "public":
        public_step(models, hearing, precision, public_optimizer(models))()
    else:
        our_step(models, hearing, precision, models.ours.optimizer())()
    assert seen == [FLAGS["fp32"]]


def notes(training: Training) -> dict[str, str]:
    found = train(TINY._replace(num_layers=1), "tiny", CPU, training, Timed(rounds=1))
    return {figure.way: figure.note for figure in found if figure.part == "training step"}


def test_shares_are_of_the_peak_in_the_precision_of_the_step() -> None:
    """As its maker states it: products and convolutions alike, which torch leaves in TF32 and float32 by itself."""
    card = Card("slow", 1.0, 4e-3, 2e-3, 1e-3)
    said = notes(Training(0.8, 25, [1], None, ["fp32", "tf32", "bf16"], None, card))
    assert len(said) == 6
    for way, note in said.items():
        precision = way.split(", ")[1]
        reached, share = note.split(", ")[:2]
        peak = {"fp32": 1e-3, "tf32": 2e-3, "bf16": 4e-3}[precision]
        assert share.endswith(f"% of the {precision} peak")
        assert float(share.split("%")[0]) == pytest.approx(100 * float(reached.split()[0]) / peak, rel=0.02)


def test_shares_of_a_peak_that_was_given_are_of_it() -> None:
    said = notes(Training(0.8, 25, [1], None, ["fp32", "bf16"], 1e-3, Card("slow", 1.0, 4e-3, 2e-3, 1e-3)))
    for note in said.values():
        reached, share = note.split(", ")[:2]
        assert share.endswith("% of the bf16 peak")
        assert float(share.split("%")[0]) == pytest.approx(1e5 * float(reached.split()[0]), rel=0.02)
    assert all("peak" not in note for note in notes(Training(0.8, 25, [1], None, ["fp32"], None)).values())


def test_a_step_leaves_no_gradients_and_one_that_does_not_fit_no_moments() -> None:
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight])
    failing = False

    def loss() -> Tensor:
        if failing:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return weight.sum()

    step = Step("fp32", optimizer, loss)
    assert attempt(step) == (None,)
    assert weight.grad is None and optimizer.state
    step(keep_gradients=True)
    assert weight.grad is not None
    failing = True
    assert attempt(step) is None
    assert weight.grad is None and not optimizer.state


def test_a_step_clips_what_the_guard_has_seen() -> None:
    weight = torch.nn.Parameter(torch.ones(4))
    seen: list[tuple[float, float]] = []

    def guarded(value: Tensor) -> None:
        assert weight.grad is not None
        seen.append((value.item(), weight.grad.norm().item()))

    Step("fp32", torch.optim.SGD([weight], lr=1.0), lambda: 10 * weight.sum(), guarded)()
    assert seen == [(40.0, 20.0)]
    torch.testing.assert_close(weight.detach(), torch.full((4,), 0.5))


class Meter:
    """What `torch.cuda` would count, of given weights with their gradients and moments, and of activations."""

    def __init__(self, optimizers: list[torch.optim.Optimizer]) -> None:
        self.optimizers, self.activations, self.peak = optimizers, 0, 0

    def allocated(self, device: torch.device | None = None) -> int:
        found = self.activations
        for optimizer in self.optimizers:
            for weight in optimizer.param_groups[0]["params"]:
                moments = [each for each in optimizer.state.get(weight, {}).values() if each.ndim]
                found += sum(each.nbytes for each in (weight, weight.grad, *moments) if each is not None)
        return found

    def look(self) -> None:
        self.peak = max(self.peak, self.allocated())

    def reset(self, device: torch.device) -> None:
        self.peak = self.allocated()

    def highest(self, device: torch.device) -> int:
        return self.peak


def test_the_peak_is_of_one_way_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights, the gradients of the step before, and its moments: 16 bytes a weight, and what is saved."""
    weights = [torch.nn.Parameter(torch.ones(size)) for size in (100, 30)]
    meter = Meter([torch.optim.AdamW([weight]) for weight in weights])
    monkeypatch.setattr(torch.cuda, "memory_allocated", meter.allocated)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", meter.reset)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", meter.highest)

    def loss(weight: Tensor) -> Callable[[], Tensor]:
        def of_a_batch() -> Tensor:
            meter.activations = 1000
            meter.look()
            meter.activations = 0
            return weight.sum()

        return of_a_batch

    first, second = (Step("fp32", optimizer, loss(w)) for optimizer, w in zip(meter.optimizers, weights, strict=True))
    first()
    second()
    for step in (first, second):
        step.release()
    assert meter.allocated() == 4 * 130
    assert first.peak_bytes(CPU) == 16 * 100 + 1000
    first.release()
    assert second.peak_bytes(CPU) == 16 * 30 + 1000


def test_ways_on_a_cpu_compiled_too() -> None:
    training = Training(0.8, 25, [1], "aot_eager", ["bf16"], None)
    steps = ways(Size(16, 2, 24, 3, num_layers=1), Hearing(1, 0.8, CPU, 240), training)
    assert list(steps) == ["public, bf16", "ours, bf16", "ours, bf16, compiled"]
    for step in steps.values():
        step()


def test_more_models_are_compiled_than_torch_compiles_one_function_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """And each comparison begins without the models of the one before. Eight would be allowed, which takes longer."""
    built: list[weakref.ref[Any]] = []

    def ours_compiled(size: Size, hearing: Hearing, training: Training) -> dict[str, Step]:
        assert not any(ref() for ref in built), "models of an earlier comparison are still there"
        compiled = pair(size, compile_backend=training.compile_backend, num_codes=16)
        built.append(weakref.ref(compiled.ours))
        return {"ours, compiled": our_step(compiled, hearing, "fp32", compiled.ours.optimizer())}

    monkeypatch.setattr(training_steps, "ways", ours_compiled)
    with torch._dynamo.config.patch(recompile_limit=1):
        for width, batches in ((16, [1, 2]), (32, [1])):
            training = Training(0.8, 25, batches, "eager", ["fp32"], None)
            size = Size(width, 2, 16, 2, num_layers=1)
            figures = list(train(size, f"{width}", CPU, training, Timed(rounds=1)))
            compared = [each.way for each in figures if each.part == "training step"]
            assert compared == ["ours, compiled"] * len(batches)
    assert len(built) == 3
