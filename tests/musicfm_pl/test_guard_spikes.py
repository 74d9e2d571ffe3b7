"""A run in which the loss and the gradient of one batch jump, under each setting of `guard.on_spike`."""

from __future__ import annotations

import json
from pathlib import Path

import command
import pytest
import torch
from curves import scalars

from musicfm_pl.guard import OnSpike
from musicfm_pl.results import read_result

LOUD = 3
"""The batch that is loud, of five; of the steps before it the guard has its medians."""


@pytest.mark.parametrize("on_spike", ["ignore", "record", "skip", "stop"])
def test_a_loud_batch(prepared: Path, tmp_path: Path, on_spike: OnSpike) -> None:
    run, states = tmp_path / "run", tmp_path / "states"
    code, said = command.fail(
        "fit",
        *command.pretraining(prepared, run, 5, "--checkpoint.every_n_train_steps", "1"),
        *("--guard.on_spike", on_spike, "--guard.window", str(LOUD)),
        *("--trainer.callbacks+=poison.Loud", "--trainer.callbacks.batch", str(LOUD)),
        *("--trainer.callbacks+=poison.Remember", "--trainer.callbacks.folder", states),
    )

    files = [file.name for file in run.glob("bad_batches/*")]
    assert files == ([] if on_spike == "ignore" else [f"step-{LOUD:07}.json"])
    if files:
        record = json.loads((run / "bad_batches" / files[0]).read_text())
        assert (record["action"], record["faults"]) == (on_spike, ["loss_spikes", "gradient_spikes"])
        assert record["loss"] > record["median_loss"] + 1 and record["grad_norm"] > 10 * record["median_grad_norm"] > 0
        (batch,) = record["batches"]
        assert (batch["batch"], batch["rank"], len(batch["clips"])) == (LOUD, 0, 4)

    if on_spike == "stop":
        assert code == 2
        assert f"step {LOUD}: the loss jumped and the gradient jumped" in said
        assert "guard.on_spike is stop" in said and files[0] in said
        saved = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        assert saved["global_step"] == LOUD and not (run / "results.json").exists()
        return
    assert code == 0
    before, after, later = (torch.load(states / f"{step}.pt", weights_only=True) for step in (LOUD, LOUD + 1, LOUD + 2))
    unchanged = [name for name, value in before.items() if torch.equal(value, after[name])]
    assert (len(unchanged) == len(before)) == (on_spike == "skip"), "weights and running statistics"
    assert not torch.equal(after["prediction.weight"], later["prediction.weight"]), "it goes on"
    summary = read_result(run).summary
    counts = {name: summary[name] for name in ("loss_spikes", "skipped_steps", "nonfinite_steps")}
    assert counts == {"loss_spikes": 1, "skipped_steps": int(on_spike == "skip"), "nonfinite_steps": 0}
    assert scalars(run)["stability/gradient_spikes"] == {0: 0, 1: 0, 2: 0, 3: 1, 4: 1}
