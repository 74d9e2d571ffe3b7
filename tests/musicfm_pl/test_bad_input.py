"""What is wrong, where, and what to do: every mistake has a message, exit code 2, and leaves nothing half-written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import command
import pytest
import soundfile
import torch
import yaml

from musicfm_pl.config import expand_extends, last_config, layers, run_directory
from musicfm_pl.results import run_name


def fit(tmp_path: Path, data: Path, *more: str | Path) -> tuple[int, str]:
    return command.fail("fit", *command.pretraining(data, tmp_path / "run", 2, *more))


def probe(tmp_path: Path, data: Path, *more: str | Path, task: str = "chord") -> tuple[int, str]:
    return command.fail("fit", *command.probing(task, data, tmp_path / "run", *more))


def assert_refused(done: tuple[int, str], *words: str) -> None:
    code, said = done
    assert code == 2, said
    assert "Traceback" not in said
    for word in words:
        assert word in said


def damaged(run: Path, to: Path, change: Callable[[Path], object]) -> Path:
    shutil.copytree(run, to)
    (to / "checkpoints" / "encoder.safetensors").unlink()  # it would be read in place of the checkpoint
    change(to / "checkpoints" / "last.ckpt")
    return to


class TestYaml:
    def test_a_misspelt_key(self, prepared: Path, tmp_path: Path) -> None:
        mine = tmp_path / "mine.yaml"
        mine.write_text(
            f"extends: [{command.EXPERIMENTS / 'pretrain' / 'small.yaml'}]\nmodel:\n  init_args:\n    leaning_rate: 1\n"
        )
        done = command.fail("fit", "--config", mine, "--data.root", prepared, "--run_dir", tmp_path / "run")
        assert_refused(done, "leaning_rate")
        assert not (tmp_path / "run").exists()

    def test_a_misspelt_key_of_the_run(self, prepared: Path, tmp_path: Path) -> None:
        mine = tmp_path / "mine.yaml"
        mine.write_text(f"extends: [{command.EXPERIMENTS / 'pretrain' / 'small.yaml'}]\ntrainr: {{max_steps: 3}}\n")
        done = command.fail("fit", "--config", mine, "--data.root", prepared, "--run_dir", tmp_path / "run")
        assert_refused(done, "trainr")

    def test_a_misspelt_option(self, prepared: Path, tmp_path: Path) -> None:
        assert_refused(fit(tmp_path, prepared, "--model.encoder.dimm", "3"), "dimm")
        assert not (tmp_path / "run").exists()

    def test_a_value_of_the_wrong_type(self, prepared: Path, tmp_path: Path) -> None:
        assert_refused(fit(tmp_path, prepared, "--data.batch_size", "many"), "batch_size", "many")
        assert_refused(fit(tmp_path, prepared, "--role", "bystander"), "bystander")

    def test_a_class_that_does_not_exist(self, prepared: Path, tmp_path: Path) -> None:
        assert_refused(probe(tmp_path, prepared, "--model.encoder", "musicfm_pl.encoders.nothing.Nothing"), "Nothing")

    def test_no_encoder(self, prepared: Path, tmp_path: Path) -> None:
        assert_refused(probe(tmp_path, prepared), "encoder")

    def test_extends_a_file_that_does_not_exist(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        mine = tmp_path / "mine.yaml"
        mine.write_text("extends: [absent.yaml]\n")
        monkeypatch.chdir(tmp_path)
        done = command.fail("fit", "--config", "mine.yaml")
        assert_refused(done, "there is no file absent.yaml, which mine.yaml extends")
        assert [path.name for path in tmp_path.iterdir()] == ["mine.yaml"]

    def test_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "a.yaml").write_text("extends: [b.yaml]\n")
        (tmp_path / "b.yaml").write_text("extends: [./a.yaml]\n")
        assert_refused(command.fail("fit", "--config", tmp_path / "a.yaml"), "extends: a circle", "a.yaml", "b.yaml")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("- a list\n", "an experiment is a mapping of settings, not a list"),
            ("extends: base.yaml\n", "extends must be a list of files"),
            ("model: [unclosed\n", "mine.yaml"),
        ],
    )
    def test_what_is_no_experiment(self, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "mine.yaml").write_text(text)
        assert_refused(command.fail("fit", "--config", tmp_path / "mine.yaml"), message, "mine.yaml")

    def test_layers_and_the_name_of_a_run(self, tmp_path: Path) -> None:
        for name, extends in (("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"])):
            (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({"extends": [f"{other}.yaml" for other in extends]}))
        assert [file.stem for file in layers(tmp_path / "d.yaml")] == ["a", "b", "a", "c", "d"]
        b, c = tmp_path / "b.yaml", tmp_path / "c.yaml"
        arguments = ["--data.root", "x", f"--config={b}", "--name", "n", "-c", str(c)]
        assert [Path(one).stem for one in expand_extends(arguments)] == [
            *("--config", "a", "--config", "b", "--config", "a", "--config", "c"),
            *("--data", "x", "--name", "n"),
        ]
        assert last_config(arguments) == c
        assert run_directory(Path("experiments/tasks/beat.yaml")) == Path("runs/tasks/beat")
        assert run_directory(Path("/x/experiments/y/experiments/demo/z.yaml")) == Path("runs/demo/z")
        assert run_directory(Path("mine.yaml")) == Path("runs/mine")
        assert run_name(Path("/x/runs/tasks/beat")) == "tasks/beat"
        assert run_name(Path("elsewhere/beat")) == "beat"


class TestCommands:
    def test_an_unknown_command(self) -> None:
        assert_refused(command.fail("train"), "there is no command 'train'", "fit")

    def test_no_experiment_named(self, tmp_path: Path) -> None:
        assert_refused(command.fail("fit"), "name an experiment: --config")
        assert_refused(command.fail("test", "--run_dir", tmp_path), f"{tmp_path} holds no run")

    def test_test_without_a_trained_model(self, prepared: Path, tmp_path: Path) -> None:
        arguments = command.probing("beat", prepared, tmp_path / "run", *command.encoder("MelFrames"))
        assert_refused(command.fail("test", *arguments), "has no trained model; run `musicfm fit`")
        assert not (tmp_path / "run").exists()

    def test_a_pretraining_run_has_no_test(self, pretrained_run: Path) -> None:
        assert_refused(command.fail("test", "--run_dir", pretrained_run), "a pretraining run is judged by its tasks")

    def test_predict_without_files(self, prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        command.succeed("fit", *command.probing("key", prepared, run, *command.encoder("Pretrained", pretrained_run)))
        assert_refused(command.fail("predict", "--run_dir", run), "data.files: name the audio files")
        assert_refused(command.fail("predict", "--run_dir", run, "--data.files", "[absent.wav]"), "absent.wav")
        (tmp_path / "words.wav").write_text("no music")
        soundfile.write(tmp_path / "empty.wav", [], 24000)
        for name in ("words.wav", "empty.wav"):
            assert_refused(command.fail("predict", "--run_dir", run, "--data.files", f"[{tmp_path / name}]"), name)
        assert not (run / "predictions").exists()


class TestData:
    def test_a_folder_that_was_not_prepared(self, tmp_path: Path) -> None:
        assert_refused(fit(tmp_path, tmp_path / "absent"), "data.root", "is no prepared folder", "musicfm prepare")
        assert not (tmp_path / "run" / "checkpoints").exists()
        (tmp_path / "begun" / "shards").mkdir(parents=True)
        assert_refused(fit(tmp_path, tmp_path / "begun"), "was not prepared to the end")

    def test_no_folder_at_all(self, tmp_path: Path) -> None:
        arguments = command.probing("beat", Path("unused"), tmp_path / "run", *command.encoder("MelFrames"))
        at = arguments.index("--data.root")
        assert_refused(command.fail("fit", *arguments[:at], *arguments[at + 2 :]), "data.root")

    def test_a_batch_of_more_clips_than_there_are(self, prepared: Path, tmp_path: Path) -> None:
        assert_refused(fit(tmp_path, prepared, "--data.batch_size", "500"), "data.batch_size", "500", "only 16")

    def test_a_task_without_labels(self, prepared: Path, tmp_path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        data = tmp_path / "data"
        shutil.copytree(prepared, data, ignore=shutil.ignore_patterns("embeddings"))
        rows = pq.read_table(data / "index.parquet").to_pylist()
        for row in rows:
            row["kinds"] = ["beat"]
            row["labels"] = [label for label in row["labels"] if label["kind"] == "beat"]
        schema = pq.read_schema(data / "index.parquet")
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), data / "index.parquet")
        assert_refused(probe(tmp_path, data, *command.encoder("MelFrames")), "has labels of kind 'chord'")

    def test_data_of_the_other_kind(self, prepared: Path, tmp_path: Path) -> None:
        mine = tmp_path / "mine.yaml"
        mine.write_text(
            "model:\n  class_path: musicfm_pl.systems.task.TaskModel\n  init_args:\n"
            "    encoder: {class_path: musicfm_pl.encoders.mel_frames.MelFrames}\n"
            "    head: {class_path: musicfm_pl.heads.key.Key}\n"
            f"data:\n  class_path: data_modules.pretrain.PretrainData\n  init_args: {{root: {prepared}}}\n"
            "trainer: {max_steps: 1}\n"
        )
        done = command.fail("fit", "--config", mine, "--run_dir", tmp_path / "run")
        assert_refused(done, "data: a task needs TaskData, not PretrainData")


class TestRatesAndMel:
    def test_75_hz_of_hop_240(self, prepared: Path, tmp_path: Path) -> None:
        at_75 = ("--config", command.EXPERIMENTS / "axes" / "rate" / "75hz.yaml")
        done = fit(tmp_path, prepared, *at_75, "--data.features.hop_length", "240")
        assert_refused(done, "model.rate_hz: 75 Hz asked for", "hop_length 240", "hop_length 320 with stride 1")
        done = fit(tmp_path, prepared, "--model.rate_hz", "75")
        assert_refused(done, "model.rate_hz: 75 Hz asked for")
        assert not (tmp_path / "run" / "checkpoints").exists()

    def test_other_bands_than_the_encoder_reads(self, prepared: Path, tmp_path: Path) -> None:
        done = fit(tmp_path, prepared, "--data.features.num_mels", "64")
        assert_refused(done, "model.encoder.num_mels is 128, but data.features makes 64")
        done = probe(tmp_path, prepared, *command.encoder("MelFrames"), "--model.encoder.num_mels", "64")
        assert_refused(done, "128 mel bands, but model.encoder reads 64")

    def test_a_mask_that_cuts_tokens(self, prepared: Path, tmp_path: Path) -> None:
        done = fit(tmp_path, prepared, "--data.masking", "WaveNoise", "--data.masking.block_s", "0.35")
        assert_refused(done, "data.masking.block_s: a block of 0.35 s", "choose a multiple of 0.04 s")

    def test_a_pretrained_encoder_with_another_mel(self, prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
        hop_320 = ("--data.features", "data_modules.mel.LogMel", "--data.features.hop_length", "320")
        done = probe(tmp_path, prepared, *command.encoder("Pretrained", pretrained_run), *hop_320)
        assert_refused(done, "data.features.hop_length: 320 here, but the encoder was pretrained with 240")
        waveform = ("--data.features", "data_modules.mel.Waveform")
        done = probe(tmp_path, prepared, *command.encoder("Pretrained", pretrained_run), *waveform)
        assert_refused(done, "Waveform gives waveform", "reads mel")

    def test_going_on_with_another_corpus(self, prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
        shutil.copytree(pretrained_run, tmp_path / "run")
        shutil.copytree(prepared, tmp_path / "data", ignore=shutil.ignore_patterns("embeddings"))
        (tmp_path / "data" / "mel" / "hop240-mels128-fft2048.json").write_text('{"mean": 3.0, "std": 9.0}')
        done = command.fail("fit", *command.pretraining(tmp_path / "data", tmp_path / "run", 6))
        assert_refused(done, "data.features.mean: the checkpoint was trained with", "start a new run directory")

    def test_a_layer_that_is_not_there(self, prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
        for layer in ("3", "-1"):
            done = probe(tmp_path, prepared, *command.encoder("Pretrained", pretrained_run), "--model.layer", layer)
            assert_refused(done, f"model.layer: {layer} asked for", "to 2")
        done = probe(tmp_path, prepared, *command.encoder("MelFrames"), "--model.layer", "first")
        assert_refused(done, "layer", "first")


class TestCheckpoints:
    def test_no_run_there(self, prepared: Path, tmp_path: Path) -> None:
        done = probe(tmp_path, prepared, *command.encoder("Pretrained", tmp_path / "absent"))
        assert_refused(done, "model.encoder.run", "absent is no pretraining run", "pretrain first")

    def test_a_run_of_a_task(self, prepared: Path, tmp_path: Path) -> None:
        command.succeed("fit", *command.probing("key", prepared, tmp_path / "key", *command.encoder("MelFrames")))
        done = probe(tmp_path, prepared, *command.encoder("Pretrained", tmp_path / "key"))
        assert_refused(done, "model.encoder.run", "is not a pretraining run")

    @pytest.mark.parametrize(
        "change",
        [
            lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
            lambda file: file.write_bytes(b""),
            lambda file: file.write_text("no weights"),
        ],
        ids=["cut", "empty", "words"],
    )
    def test_a_damaged_checkpoint(
        self, prepared: Path, pretrained_run: Path, tmp_path: Path, change: Callable[[Path], object]
    ) -> None:
        run = damaged(pretrained_run, tmp_path / "run", change)
        done = command.fail("fit", *command.pretraining(prepared, run, 6))
        assert_refused(done, "last.ckpt is damaged: it is cut short or no checkpoint", "delete it")
        done = command.fail(
            "fit", *command.probing("key", prepared, tmp_path / "probe", *command.encoder("Pretrained", run))
        )
        assert_refused(done, "model.encoder.run", "last.ckpt cannot be read")

    def test_a_checkpoint_of_another_model(self, prepared: Path, pretrained_run: Path, tmp_path: Path) -> None:
        run = tmp_path / "run"
        shutil.copytree(pretrained_run, run)
        done = command.fail("fit", *command.pretraining(prepared, run, 6, "--model.encoder.dim", "16"))
        before = (pretrained_run / "config.yaml").read_text()
        assert_refused(done, "holds a run with other settings (model.encoder.dim)", "--run_dir")
        assert (run / "config.yaml").read_text() == before, "the record of the run was overwritten"

    def test_weights_that_do_not_fit_the_configuration_beside_them(
        self, prepared: Path, pretrained_run: Path, tmp_path: Path
    ) -> None:
        def lose_a_weight(file: Path) -> None:
            state = torch.load(file, weights_only=True)
            del state["state_dict"]["encoder.norm.weight"]
            torch.save(state, file)

        run = damaged(pretrained_run, tmp_path / "pretrained", lose_a_weight)
        done = probe(tmp_path, prepared, *command.encoder("Pretrained", run))
        assert_refused(done, "do not fit its config.yaml", "norm.weight")


def test_a_mistake_as_a_process_exits_with_2_and_no_traceback(tmp_path: Path) -> None:
    done = command.musicfm("fit", *command.pretraining(tmp_path / "absent", tmp_path / "run", 2))
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("musicfm fit: error: data.root:")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").rglob("*.ckpt"))
