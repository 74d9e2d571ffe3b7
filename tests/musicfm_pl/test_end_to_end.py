"""From a corpus to a leaderboard: every command, every task, and every kind of encoder, in few steps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile
import torch
import yaml

from musicfm_pl.encoders.encoder_file import read_encoder, write_encoder
from musicfm_pl.heads.beat import Beat
from musicfm_pl.protocols.presets import protocol_names
from musicfm_pl.results import RunResult, read_result, read_results

TASKS = ("beat", "chord", "structure", "key", "tagging")
ENCODERS = ("Pretrained", "Untrained", "MelFrames")


@pytest.fixture(scope="module")
def runs(prepared: Path, pretrained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fitted and tested runs of five tasks on three encoders."""
    root = tmp_path_factory.mktemp("end_to_end") / "runs"
    for task in TASKS:
        for name in ENCODERS:
            run = root / task / name
            more = [] if name == "Pretrained" else ["--role", "baseline"]
            encoder = command.encoder(name, pretrained_run)
            command.succeed("fit", *command.probing(task, prepared, run, *encoder, *more))
            command.succeed("test", "--run_dir", run)
    return root


@pytest.fixture(scope="module")
def results(runs: Path) -> dict[tuple[str, str], RunResult]:
    return {(result.task, result.run.split("/")[-1]): result for result in read_results(runs)}


def test_a_pretraining_run_leaves_its_record(pretrained_run: Path) -> None:
    result = read_result(pretrained_run)
    assert (result.stage, result.task, result.name, result.split) == ("pretrain", "pretrain", "Conformer 2M", "val")
    assert result.summary["steps"] == 4
    assert result.summary["audio_hours"] == pytest.approx(4 * 4 * 5 / 3600)
    assert result.summary["chance_accuracy"] == pytest.approx(1 / 32)
    assert result.num_tracks == 2
    config = yaml.safe_load((pretrained_run / "config.yaml").read_text())
    assert config["model"]["init_args"]["encoder"]["init_args"]["time_strides"] == [2, 2]
    assert config["data"]["init_args"]["clip_s"] == 5
    assert torch.load(pretrained_run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 4


def test_every_task_has_a_result_for_every_encoder(results: dict[tuple[str, str], RunResult]) -> None:
    assert set(results) == {(task, name) for task in TASKS for name in ENCODERS}
    for (task, name), result in results.items():
        assert result.stage == "probe"
        assert result.corpus == "miniature"
        assert result.num_tracks == 2
        assert result.role == ("encoder" if name == "Pretrained" else "baseline")
        assert [track.track_id for track in result.tracks] == ["song6", "song7"]
        assert [track.group for track in result.tracks] == ["song6", "song7"]
        assert any(value is not None for value in result.summary.values()), (task, name)
        assert list(result.evaluations) == protocol_names(task)
        for evaluation in result.evaluations.values():
            assert [track.track_id for track in evaluation.tracks] == ["song6", "song7"]
    assert results["beat", "Pretrained"].name == "Conformer 2M, pretrained"
    assert results["beat", "Untrained"].name == "Conformer 2M, random"
    assert results["beat", "MelFrames"].name == "MelFrames"
    assert results["beat", "MelFrames"].num_parameters == 0
    assert results["beat", "Pretrained"].num_parameters == results["beat", "Untrained"].num_parameters > 0


def test_a_result_names_the_configuration_of_its_encoder(
    results: dict[tuple[str, str], RunResult], pretrained_run: Path
) -> None:
    digest = read_result(pretrained_run).config_digest
    assert {name: results["key", name].encoder_digest for name in ENCODERS} == {
        "Pretrained": digest,
        "Untrained": digest,
        "MelFrames": "",
    }


def test_a_test_after_the_pretraining_was_made_anew_is_of_the_encoder_of_the_training(
    prepared: Path, pretrained_run: Path, tmp_path: Path
) -> None:
    """The checkpoint has its weights; what lies in the folder of the pretraining now is another."""
    own, run = tmp_path / "runs" / "pretrain", tmp_path / "runs" / "key"
    shutil.copytree(pretrained_run, own)
    command.succeed("fit", *command.probing("key", prepared, run, *command.encoder("Pretrained", own)))
    file = own / "checkpoints" / "encoder.safetensors"
    found = read_encoder(file)
    write_encoder(file, found._replace(config=found.config | {"seed_everything": 77}))
    command.succeed("test", "--run_dir", run)
    assert read_result(run).encoder_digest == read_result(pretrained_run).config_digest
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    del checkpoint["encoder_digest"]
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    command.succeed("test", "--run_dir", run)
    assert read_result(run).encoder_digest == "", "an older checkpoint does not say"


def test_hidden_states_are_computed_once_for_all_tasks(
    prepared: Path, results: dict[tuple[str, str], RunResult]
) -> None:
    """One folder for each encoder, though five tasks used it; only those that were asked for all layers hold them."""
    folders = [folder for folder in (prepared / "embeddings").iterdir() if folder.is_dir()]
    metas = [json.loads((folder / "index.json").read_text()) for folder in folders]
    assert sum(meta["dim"] == 512 for meta in metas) == 1, "of MelFrames"
    assert all(len(meta["tracks"]) == 8 for meta in metas)


def test_the_leaderboard_shows_them(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed("leaderboard", "--results", runs, "--out", tmp_path)
    text = (tmp_path / "LEADERBOARD.md").read_text()
    for name in ("Conformer 2M, pretrained", "Conformer 2M, random", "MelFrames"):
        assert name in text
    assert "miniature" in text
    assert "Conformer 2M, pretrained" in (tmp_path / "leaderboard.html").read_text()
    assert "pretrained" in capsys.readouterr().out


def test_a_leaderboard_of_another_protocol(runs: Path, tmp_path: Path) -> None:
    command.succeed("leaderboard", "--results", runs, "--out", tmp_path, "--protocol", "marble")
    assert "Probing on miniature, protocol marble" in (tmp_path / "LEADERBOARD.md").read_text()
    code, stderr = command.fail("leaderboard", "--results", runs, "--out", tmp_path, "--protocol", "mirax")
    assert code == 2
    assert "--protocol: no result is under 'mirax'; there are musicfm" in stderr


def test_a_test_prints_all_protocols(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command.succeed("test", "--run_dir", runs / "beat" / "MelFrames")
    printed = capsys.readouterr().out
    assert all(name in printed for name in protocol_names("beat"))
    assert "Test metric" not in printed, "Lightning's own table would show one of them"
    assert "not reproduced of marble" in printed


@pytest.mark.parametrize("freeze", ["true", "false"])
def test_without_a_cache(prepared: Path, pretrained_run: Path, tmp_path: Path, freeze: str) -> None:
    uncached = ("--model.freeze", freeze, "--data.cache", "false", "--model.layer", "all")
    encoder = command.encoder("Pretrained", pretrained_run)
    command.succeed("fit", *command.probing("key", prepared, tmp_path, *encoder, *uncached))
    command.succeed("test", "--run_dir", tmp_path)
    result = read_result(tmp_path)
    assert result.stage == ("probe" if freeze == "true" else "finetune")
    assert result.layer is None
    weights = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    before = torch.load(pretrained_run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    changed = [name for name in before if name.startswith("encoder.") and not torch.equal(
        before[name], weights[name.replace("encoder.", "encoder.inner.", 1)]
    )]  # fmt: skip
    assert bool(changed) == (freeze == "false")


def test_every_command_as_a_process_of_its_own(tmp_path: Path, pretrained_run: Path) -> None:
    """From an empty directory, with the paths that a user would take: relative ones, and no run directory."""
    (tmp_path / "experiments" / "tasks").mkdir(parents=True)
    (tmp_path / "experiments" / "tasks" / "mine.yaml").write_text(
        f"# Mine.\nextends: [{command.EXPERIMENTS / 'tasks' / 'beat.yaml'}]\nname: mine\n"
    )
    prepare = ("prepare", "--corpus", "miniature.Miniature", "--out", "data/mine", "--jobs", "1")
    fit = ("fit", *command.probing("beat", Path("data/mine"), Path("unused"))[6:])
    mine = ("--config", "experiments/tasks/mine.yaml", "--data.root", "data/mine")
    encoder = command.encoder("Pretrained", pretrained_run)
    time_s = np.arange(24000 * 6) / 24000
    soundfile.write(tmp_path / "song.wav", 0.5 * np.sin(2 * np.pi * 220 * time_s) * (time_s % 0.5 < 0.1), 24000)
    for arguments in (
        prepare,
        (*fit, *mine, *encoder),
        ("test", "--run_dir", "runs/tasks/mine"),
        ("predict", "--run_dir", "runs/tasks/mine", "--data.files", "[song.wav]"),
    ):
        done = command.musicfm(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
        assert "Warning" not in done.stderr
    result = read_result(tmp_path / "runs" / "tasks" / "mine")
    assert (result.run, result.name, result.task) == ("tasks/mine", "mine", "beat")
    assert set(Beat.headline) <= set(result.summary)
    lines = (tmp_path / "runs" / "tasks" / "mine" / "predictions" / "song.beat.lab").read_text().splitlines()
    assert all(0 <= float(line.split("\t")[0]) <= 6 for line in lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "experiments", "runs", "song.wav"]


def test_predicting_every_task(runs: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, (2 * 44100 * 7, 2)).astype(np.float32)
    soundfile.write(tmp_path / "one song.flac", samples, 44100)
    for run in [*(runs / task / "Pretrained" for task in TASKS), runs / "chord" / "MelFrames"]:
        task = run.parent.name
        command.succeed("predict", "--run_dir", run, "--data.files", f"[{tmp_path / 'one song.flac'}]")
        written = list((run / "predictions").iterdir())
        assert written, task
        assert all(path.name.startswith(f"one song.{task}.") and path.stat().st_size for path in written)


@pytest.mark.parametrize("name", ["", "doctor", "prepare", "grid", "leaderboard"])
def test_help_needs_no_torch(name: str) -> None:
    """Torch and Lightning take seconds to import, numpy and pyarrow do not."""
    code = (
        "import sys\nfrom musicfm_pl.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit as done:\n    assert not done.code\n"
        "heavy = {'torch', 'lightning', 'torchaudio', 'transformers'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = command.python("-c", code, *name.split(), "--help")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 10


def test_help_of_a_model_command_explains_the_settings_of_a_run() -> None:
    done = command.musicfm("fit", "--help")
    assert done.returncode == 0
    assert "--run_dir" in done.stdout
    assert "Directory of the run" in done.stdout
