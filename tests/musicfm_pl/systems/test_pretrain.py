"""Masked token modelling at every rate and length of the study, in small."""

from __future__ import annotations

import json
from pathlib import Path

import command
import lightning as L
import lopsided
import numpy as np
import pytest
import scipy.stats
import torch
from tiny_pretraining import batch, model

from data_modules import SAMPLE_RATE
from data_modules.batches import masked_tokens
from data_modules.masking import MelNoise, WaveNoise
from data_modules.pretrain import PretrainData
from musicfm_pl.encoders.bert import Bert
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.systems.schedule import warmup_cosine

RATES = {25: (240, (2, 2)), 50: (240, (2, 1)), 75: (320, (1, 1))}
"""Hop and strides by tokens a second."""


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("clip_s", [5, 30])
@pytest.mark.parametrize("masking", [WaveNoise, MelNoise])
@pytest.mark.parametrize("encoder", [Conformer, Bert])
def test_rates_and_lengths(
    rate_hz: int, clip_s: int, masking: type[WaveNoise] | type[MelNoise], encoder: type[Conformer] | type[Bert]
) -> None:
    hop_length, strides = RATES[rate_hz]
    system, clips = model(strides, encoder), batch(clip_s, hop_length, masking())
    assert clips.mel_BMF.shape == clips.masked_mel_BMF.shape == (2, 128, clip_s * SAMPLE_RATE // hop_length)
    mask_BT = masked_tokens(clips.mask_BF, system.encoder.stride)
    assert mask_BT.shape == (2, clip_s * rate_hz) == system.tokens(clips.mel_BMF).shape[:2]
    # Blocks of 0.4 s are whole tokens: a token is masked if any of its frames is.
    assert torch.equal(mask_BT.repeat_interleave(system.encoder.stride, dim=1), clips.mask_BF)
    block = round(0.4 * rate_hz)
    num_blocks = clip_s * rate_hz // block
    blocks = mask_BT[:, : num_blocks * block].unflatten(1, (num_blocks, block))
    assert torch.equal(blocks.all(dim=2), blocks.any(dim=2))
    assert not mask_BT[:, num_blocks * block :].any(), "the tail of 5 s is never masked"
    logits_PQK, targets_PQ = system(clips)
    assert logits_PQK.shape == (int(mask_BT.sum()), 1, 16)
    assert targets_PQ.shape == (len(logits_PQK), 1)
    assert torch.equal(targets_PQ, system.tokens(clips.mel_BMF)[mask_BT]), "targets are of the clean mel"


@pytest.mark.parametrize("samples", [24000, 24001, 24239, 24480, 25000, 31337])
@pytest.mark.parametrize("rate_hz", RATES)
def test_lengths_that_are_no_multiple_of_the_stride(samples: int, rate_hz: int) -> None:
    hop_length, strides = RATES[rate_hz]
    system = model(strides)
    logits_PQK, targets_PQ = system(batch(samples / SAMPLE_RATE, hop_length, WaveNoise(probability=1.0)))
    num_blocks = samples // 9600
    assert len(logits_PQK) == len(targets_PQ) == 2 * num_blocks * round(0.4 * rate_hz)


def test_the_loss_reaches_every_parameter_and_no_other_token() -> None:
    system = model((2, 2), num_books=3)
    clips = batch(2.0, 240, WaveNoise())
    logits_PQK, targets_PQ = system(clips)
    assert logits_PQK.shape == (*targets_PQ.shape, 16) and targets_PQ.shape[1] == 3
    torch.nn.functional.cross_entropy(logits_PQK.flatten(0, 1), targets_PQ.flatten()).backward()
    lacking = [name for name, parameter in system.named_parameters() if parameter.grad is None]
    assert not lacking
    assert not list(system.tokenizer.parameters())
    # Tokens that are not masked may say anything.
    noise_BMF = torch.randn_like(clips.mel_BMF)
    changed = clips._replace(mel_BMF=torch.where(clips.mask_BF[:, None], clips.mel_BMF, noise_BMF))
    assert torch.equal(system(changed)[1], targets_PQ)


def test_nothing_masked_is_no_crash() -> None:
    clips = batch(2.0, 240, WaveNoise(probability=0.0))
    logits_PQK, targets_PQ = model((2, 2))(clips)
    assert logits_PQK.shape == (0, 1, 16)
    assert targets_PQ.shape == (0, 1)
    system = model((2, 2))
    loss = system.training_step(clips, 0)
    loss.backward()
    assert loss == 0
    assert not [name for name, parameter in system.named_parameters() if parameter.grad is None]


def validated(prepared: Path, masking: WaveNoise) -> tuple[MaskedTokenModel, PretrainData, dict[str, torch.Tensor]]:
    """A model, its data and the figures of a validation of eight clips, three a batch."""
    system = model((2, 2), num_books=2)
    data = PretrainData(prepared, clip_s=5.0, batch_size=3, masking=masking, num_workers=0)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, max_steps=1,
    )  # fmt: skip
    trainer.validate(system, datamodule=data, verbose=False)
    return system.eval(), data, dict(trainer.callback_metrics)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*isinstance.treespec, LeafSpec.*")
def test_validation_is_a_mean_over_masked_tokens(prepared: Path) -> None:
    system, data, figures = validated(prepared, WaveNoise(probability=0.1))
    logits_PQK, targets_PQ = (
        torch.cat(parts)
        for parts in zip(*(system(data.on_after_batch_transfer(raw, 0)) for raw in data.val_dataloader()), strict=True)
    )
    assert system.num_masked == len(targets_PQ) > 0
    loss = torch.nn.functional.cross_entropy(logits_PQK.flatten(0, 1), targets_PQ.flatten())
    assert figures["val/loss"].item() == pytest.approx(loss.item(), rel=1e-4)
    accuracy = (logits_PQK.argmax(dim=2) == targets_PQ).float().mean()
    assert figures["val/masked_accuracy"].item() == pytest.approx(accuracy.item(), abs=1e-6)
    # Beside what is known of the tokens alone, mean over the two books.
    shares = [np.bincount(targets_P, minlength=16) / len(targets_P) for targets_P in targets_PQ.T.numpy()]
    entropy = np.mean([scipy.stats.entropy(share) for share in shares])
    assert figures["val/loss_above_chance"].item() == pytest.approx(loss.item() - np.log(16), abs=1e-4)
    assert figures["val/loss_above_unigram"].item() == pytest.approx(loss.item() - entropy, abs=1e-4)
    assert figures["val/dead_codes"].item() == np.mean([(share == 0).sum() for share in shares])


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*", "ignore:.*isinstance.treespec, LeafSpec.*")
def test_a_validation_that_masks_nothing_has_its_figures_all_the_same(prepared: Path) -> None:
    """A checkpoint is watched for `val/loss`, and the ranks of a run must all log it or none."""
    system, _, figures = validated(prepared, WaveNoise(probability=1e-12))
    assert system.num_masked == 0
    assert figures["val/loss"].isnan() and figures["val/masked_accuracy"].isnan()
    assert figures["val/dead_share"] == 1


def test_two_processes_of_which_one_masks_nothing(prepared: Path) -> None:
    done = command.python(Path(lopsided.__file__), prepared)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures["val/loss"] == pytest.approx(figures["expected"], rel=1e-4)


@torch.no_grad()
def test_a_validation_step_waits_for_no_other_rank() -> None:
    """It has no trainer here, and so nobody to wait for: it keeps sums, to be brought together at the end."""
    system = model((2, 2)).eval()
    for probability in (0.0, 0.5, 0.0):
        system.validation_step(batch(2.0, 240, WaveNoise(probability)), 0)
    logits_PQK, targets_PQ = system(batch(2.0, 240, WaveNoise(0.5)))
    loss = torch.nn.functional.cross_entropy(logits_PQK.flatten(0, 1), targets_PQ.flatten(), reduction="sum")
    assert system._sums[0].item() == pytest.approx(loss.item(), rel=1e-4)
    assert system._sums[2].item() == len(targets_PQ) == system._counts_QK.sum()
    system.on_validation_epoch_start()
    assert not system._sums.any() and not system._counts_QK.any()


@pytest.mark.parametrize(("num_steps", "warmup_steps"), [(1000, 100), (1000, 30_000), (10, 5), (2, 1)])
def test_the_schedule(num_steps: int, warmup_steps: int) -> None:
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=0.5)
    trainer = L.Trainer(max_steps=num_steps, accelerator="cpu", logger=False, enable_checkpointing=False)
    scheduler = warmup_cosine(optimizer, warmup_steps, trainer)["lr_scheduler"]["scheduler"]
    rates = []
    for _ in range(num_steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    warmup = max(1, min(warmup_steps, num_steps // 10))
    np.testing.assert_allclose(rates[:warmup], 0.5 * np.arange(1, warmup + 1) / warmup)
    assert max(rates) == 0.5
    assert (np.diff(rates[warmup:]) <= 0).all()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0, abs=1e-9)
    if num_steps == 1000 and warmup == 100:
        assert rates[550] == pytest.approx(0.25, abs=0.001), "half way down the cosine"


def test_a_run_without_an_end_has_no_schedule() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    for limits in ({"max_steps": -1, "max_epochs": -1}, {"max_epochs": 3}):
        trainer = L.Trainer(**limits, accelerator="cpu", logger=False, enable_checkpointing=False)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"trainer\.max_steps"):
            warmup_cosine(optimizer, 10, trainer)


def test_masks_of_validation_are_the_same_every_time(prepared: Path) -> None:
    data = PretrainData(prepared, clip_s=5.0, batch_size=3, num_workers=0)
    data.setup("validate")
    batches = [[data.on_after_batch_transfer(raw, 0) for raw in data.val_dataloader()] for _ in range(2)]
    assert len(batches[0]) == 3, "eight clips"
    for one, other in zip(*batches, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one[:3], other[:3], strict=True))
        assert one.origins == other.origins
    masks = torch.cat([clips.mask_BF for clips in batches[0]])
    assert len({tuple(mask.tolist()) for mask in masks}) == len(masks), "each clip has its own"
    few = PretrainData(prepared, clip_s=5.0, batch_size=3, num_workers=0, max_val_clips=4)
    few.setup("validate")
    assert sum(len(values) for values, *_ in few.val_dataloader()) == 4
