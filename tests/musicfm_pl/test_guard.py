"""Bad steps are skipped, written down, or stop the run; weights that are no numbers are never kept."""

from __future__ import annotations

import json
import math
from pathlib import Path

import command
import pytest
import torch
from curves import scalars

from data_modules import SAMPLE_RATE
from data_modules.pretrain import PretrainData
from data_modules.shards import Prepared
from musicfm_pl.encoders.encoder_file import read_encoder
from musicfm_pl.guard import TrainingGuard
from musicfm_pl.results import read_result

OFTEN = ("--checkpoint.every_n_train_steps", "1")


def spoiled(batch: int) -> tuple[str, ...]:
    return ("--trainer.callbacks+=poison.Spoil", "--trainer.callbacks.batch", str(batch))


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_a_bad_batch_is_skipped_and_named(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, states = tmp_path / "run", tmp_path / "states"
    arguments = command.pretraining(prepared, run, 5, *spoiled(2), *OFTEN)
    command.succeed(
        "fit",
        *arguments,
        *("--trainer.callbacks+=poison.Remember", "--trainer.callbacks.folder", states),
        *("--throughput.peak_tflops", "0.5", "--throughput.warmup_batches", "2"),
    )
    after = {step: torch.load(states / f"{step}.pt", weights_only=True) for step in (1, 2, 3, 4)}
    assert same(after[2], after[3]), "weights and running statistics are as they were"
    assert not same(after[1], after[2]) and not same(after[3], after[4])
    assert all(value.isfinite().all() for value in after[4].values())

    (file,) = (run / "bad_batches").iterdir()
    assert file.name == "step-0000002.json"
    record = json.loads(file.read_text())
    assert (record["step"], record["action"], record["faults"]) == (2, "skip", ["nonfinite_steps"])
    assert (record["loss"], record["grad_norm"], record["seed"]) == ("nan", "nan", 0)
    (batch,) = record["batches"]
    assert (batch["batch"], batch["rank"], len(batch["clips"])) == (2, 0, 4)
    known = {entry.track_id for entry in _data(prepared).prepared.split("train")}
    assert {clip["track_id"] for clip in batch["clips"]} <= known

    summary = read_result(run).summary
    assert (summary["skipped_steps"], summary["nonfinite_steps"], summary["loss_spikes"]) == (1, 1, 0)
    curves = scalars(run)
    assert curves["stability/skipped_steps"] == {0: 0, 1: 0, 2: 1, 3: 1, 4: 1}
    assert all(0 < curves["train/grad_norm"][step] < math.inf for step in (0, 1, 3, 4))
    assert curves["train/loss_of_all"][4] == curves["train/loss"][4]
    # Throughput: two batches of warm-up, then every step.
    speed, tokens = curves["throughput/audio_s_per_s"], curves["throughput/tokens_per_s"]
    assert sorted(speed) == [3, 4, 5]
    assert all(tokens[step] == pytest.approx(25 * speed[step], rel=1e-5) for step in speed), "25 Hz"
    capsys.readouterr()
    command.succeed("plan", *arguments, "--json")
    flops_a_second_of_audio = json.loads(capsys.readouterr().out)["clip"]["flops_training"] / 5.0
    ratios = [curves["throughput/mfu"][step] / speed[step] for step in speed]
    assert ratios == pytest.approx([flops_a_second_of_audio / 0.5e12] * 3, rel=1e-4)
    assert all(0 <= share < 1 for share in curves["throughput/data_wait"].values())


def _data(prepared: Path) -> PretrainData:
    data = PretrainData(prepared, clip_s=5.0, batch_size=4, num_workers=0)
    data.setup("fit")
    return data


class _FitLoop:
    """What the data ask of a trainer."""

    def __init__(self, rank: int, world_size: int) -> None:
        self.global_rank, self.world_size = rank, world_size
        self.fit_loop = self.epoch_loop = self.batch_progress = self.total = self
        self.ready = 0


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The miniature corpus in which no record of song1 is sound, and song2 is at full scale."""
    folder = tmp_path_factory.mktemp("damaged") / "data"
    loud = ("--corpus", "miniature.Miniature", "--corpus.loud", "song2")
    command.succeed("prepare", *loud, "--out", folder, "--jobs", "1")
    entry = next(entry for entry in Prepared(folder).entries if entry.track_id == "song1")
    path = folder / "shards" / entry.shard
    content = bytearray(path.read_bytes())
    for second in range(0, int(entry.duration_s), 5):  # at least one in every block, whose checksum then does not fit
        content[entry.first_byte + 2 * SAMPLE_RATE * second] ^= 1
    path.write_bytes(content)
    return folder


@pytest.mark.parametrize("world_size", [1, 2])
def test_a_batch_says_where_its_clips_were_read(damaged: Path, world_size: int) -> None:
    for rank in range(world_size):
        data = PretrainData(damaged, clip_s=5.0, batch_size=2, num_workers=0, max_damaged=1.0)
        data.setup("fit")
        data.trainer = _FitLoop(rank, world_size)  # type: ignore[assignment]
        entries = {entry.track_id: entry for entry in data.prepared.entries}
        in_place_of_others = 0
        for raw in data.train_dataloader():
            origins = data.on_after_batch_transfer(raw, 0).origins
            assert len(origins) == len(raw.samples_BN) == 2
            for samples_N, origin in zip(raw.samples_BN, origins, strict=True):
                first = round(origin.start_s * SAMPLE_RATE)
                there = data.prepared.read(entries[origin.track_id], first, len(samples_N))
                assert samples_N.tolist() == there.tolist()
                assert all("song1" in reason for reason in origin.instead_of)
                in_place_of_others += bool(origin.instead_of)
        assert in_place_of_others


def test_a_clip_in_the_place_of_a_damaged_one_is_named(damaged: Path, tmp_path: Path) -> None:
    """What makes NaN is named, though the schedule has a damaged clip there that nobody heard."""
    run = tmp_path / "run"
    masking = ("--data.masking", "poison.LoudIsNoNumber", "--data.max_damaged", "1", "--guard.max_skipped", "99")
    # By this seed the one loud clip of the second batch is in the place of a damaged one.
    command.succeed("fit", *command.pretraining(damaged, run, 2, *masking, "--seed_everything", "0"))
    records = [json.loads(file.read_text()) for file in sorted((run / "bad_batches").iterdir())]
    batches = [batch["clips"] for record in records for batch in record["batches"]]
    assert batches
    guilty = [[clip for clip in clips if clip["track_id"] == "song2"] for clips in batches]
    assert all(guilty) and not any(clip["track_id"] == "song1" for clips in batches for clip in clips)
    assert any(all(clip["instead_of"] for clip in clips) for clips in guilty), "one that the schedule does not name"
    reasons = {reason for clips in batches for clip in clips for reason in clip["instead_of"]}
    assert all("song1" in reason and "checksum" in reason for reason in reasons)


def test_a_run_stops_if_it_is_told_to_and_keeps_what_was_good(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    arguments = command.pretraining(prepared, run, 5, *spoiled(2), *OFTEN, "--guard.on_nonfinite", "stop")
    code, said = command.fail("fit", *arguments)
    assert code == 2
    assert "step 2: loss or gradient is not finite" in said and "step-0000002.json" in said
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert all(value.isfinite().all() for value in saved["state_dict"].values())


def test_one_batch_of_several_spoils_the_step(prepared: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    several = ("--trainer.accumulate_grad_batches", "2", "--guard.max_skipped", "1")
    code, said = command.fail("fit", *command.pretraining(prepared, run, 3, *spoiled(2), *several, *OFTEN))
    assert code == 2 and "1 bad steps in a row" in said
    record = json.loads((run / "bad_batches" / "step-0000001.json").read_text())
    assert [(batch["batch"], batch["loss"] == "nan") for batch in record["batches"]] == [(2, True), (3, False)]


@pytest.mark.parametrize("weight", ["prediction.weight", "encoder.norm.weight"])
def test_weights_that_are_no_numbers_are_refused(prepared: Path, tmp_path: Path, weight: str) -> None:
    run = tmp_path / "run"
    spoil = ("--trainer.callbacks+=poison.SpoilWeights", "--trainer.callbacks.step", "3")
    arguments = command.pretraining(prepared, run, 5, *spoil, "--trainer.callbacks.weight", weight, *OFTEN)
    code, said = command.fail("fit", *arguments)
    assert code == 2
    assert "no checkpoint is written" in said and weight in said
    saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert all(value.isfinite().all() for value in saved["state_dict"].values())
    alone = read_encoder(run / "checkpoints" / "encoder.safetensors")
    assert alone.step == 2
    assert all(value.isfinite().all() for value in alone.weights.values())
    assert not (run / "results.json").exists()


def test_checkpoints_that_nothing_looks_at_are_refused(prepared: Path, tmp_path: Path) -> None:
    """Lightning asks no callback before it saves weights alone."""
    run = tmp_path / "run"
    arguments = command.pretraining(prepared, run, 2, "--checkpoint.save_weights_only", "true")
    code, said = command.fail("fit", *arguments)
    assert code == 2
    assert "--checkpoint.save_weights_only" in said and "leave it false" in said
    assert not run.exists()


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_precisions_that_spoil_the_targets_or_overflow(prepared: Path, tmp_path: Path, precision: str) -> None:
    arguments = command.pretraining(prepared, tmp_path / "run", 2, "--trainer.precision", precision)
    code, said = command.fail("fit", *arguments)
    assert code == 2
    assert f"trainer.precision: {precision}" in said and "choose bf16-mixed or 32-true" in said


def test_a_task_is_not_judged_and_nothing_piles_up(prepared: Path, tmp_path: Path) -> None:
    arguments = command.probing("key", prepared, tmp_path / "run", *command.encoder("MelFrames"))
    command.succeed("fit", *arguments, "--trainer.callbacks+=poison.NothingKept")


@pytest.mark.parametrize(
    ("loss", "norm", "faults"),
    [
        (3.0, 1.0, []),
        (4.9, 9.0, []),
        (5.1, 1.0, ["loss_spikes"]),
        (3.0, 11.0, ["gradient_spikes"]),
        (9.0, 99.0, ["loss_spikes", "gradient_spikes"]),
        (math.nan, 1.0, ["nonfinite_steps"]),
        (1.0, math.inf, ["nonfinite_steps"]),
    ],
)
def test_what_a_spike_is(loss: float, norm: float, faults: list[str]) -> None:
    """Above a median loss of 4 and a median norm of 1, by the defaults: a nat, and ten times."""
    guard = TrainingGuard(window=5)
    guard.load_state_dict({"counts": dict(guard.counts), "in_a_row": 0, "normal": [[4.0, 1.0]] * 4})
    assert guard._faults(9.0, 99.0) == [], "too few steps to know"
    guard.load_state_dict(
        {"counts": dict(guard.counts), "in_a_row": 0, "normal": [[v, v - 3] for v in (3.9, 4, 4, 4, 9)]}
    )
    assert guard._faults(loss, norm) == faults


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match=r"guard\.on_spike must be one of"):
        TrainingGuard(on_spike="explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="loss_rise must be above 0"):
        TrainingGuard(loss_rise=0)
