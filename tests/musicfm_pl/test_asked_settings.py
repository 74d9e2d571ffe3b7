"""What cells ask for, beside what runs record: jsonargparse's own merging is the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from musicfm_pl.asked_settings import AskedSettings, Asker
from musicfm_pl.cells import Cell, read_grid
from musicfm_pl.config import expand_extends
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.experiment import fit_parser
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import RunResult
from musicfm_pl.tokenizers.centroids import Header, write_centroids

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def parser() -> jsonargparse.ArgumentParser:
    return fit_parser()


def record_of(parser: jsonargparse.ArgumentParser, arguments: Sequence[str]) -> dict[str, Any]:
    """What the run would write as its `config.yaml`."""
    config = parser.parse_args(expand_extends(settle_data_arguments(arguments, record=None)))
    return dict(yaml.safe_load(parser.dump(config, skip_unset=False)))


def result(digest: str) -> RunResult:
    return RunResult(
        *("probe/a", "Conformer", "encoder", "probe", "beat", "musicfm", "tiny", "", "CC0", "test"),
        *(1, 0, None, 9, digest, {}, {}, 0.1, {"beat_f": 1.0}),
    )


def differences(run_dir: Path, record: dict[str, Any], *command: str) -> list[str]:
    run_dir.mkdir(exist_ok=True)
    (run_dir / "config.yaml").write_text(yaml.safe_dump(record))
    return Asker().differences(Cell("a", run_dir, (command,), ()), result(config_digest(record)))


def one_of_each_stage() -> list[Any]:
    """Cells of all grids of the repository that differ in more than a seed or a task's run."""
    cells = {}
    for file in sorted((REPOSITORY / "experiments" / "grids").glob("*.yaml")):
        for cell in read_grid(file):
            for command, *arguments in cell.commands:
                if command == "fit":
                    files = tuple(a for a in arguments if a.endswith(".yaml") and "/tasks/" not in a)
                    cells.setdefault((file.stem, files), arguments)
    return [
        pytest.param(arguments, id="-".join((name, *map(str, number))))
        for number, ((name, _), arguments) in ((str(n), item) for n, item in enumerate(cells.items()))
    ]


@pytest.mark.parametrize("arguments", one_of_each_stage())
def test_what_was_just_recorded_is_what_is_asked(
    arguments: list[str], parser: jsonargparse.ArgumentParser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPOSITORY)
    record = record_of(parser, arguments)
    assert differences(tmp_path / "run", record, "fit", *arguments) == []
    record["trainer"]["max_steps"] += 1
    (found,) = differences(tmp_path / "run", record, "fit", *arguments)
    assert found.startswith(f"trainer.max_steps: {record['trainer']['max_steps']}, asked is ")


FILES = {
    "base.yaml": {
        "model": {
            "class_path": "musicfm_pl.systems.task.TaskModel",
            "init_args": {
                "encoder": {"class_path": "musicfm_pl.encoders.conformer.Conformer", "init_args": {"dim": 32}},
                "head": {"class_path": "musicfm_pl.heads.beat.Beat", "init_args": {"beats_per_bar": [2, 3]}},
                "learning_rate": "1e-3",
            },
        },
        "data": {"class_path": "data_modules.task.TaskData", "init_args": {"clip_s": 6, "root": "data/x"}},
    },
    "bert.yaml": {
        "model": {
            "init_args": {
                "encoder": {
                    "class_path": "musicfm_pl.encoders.pretrained.Untrained",
                    "init_args": {"run": "runs/a", "seed": "${seed_everything}"},
                }
            }
        },
    },
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, content in FILES.items():
        (tmp_path / name).write_text(yaml.safe_dump(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


ASKED = ("--config", "base.yaml", "--config=bert.yaml", "--model.layer", "3", "--seed_everything=7", "--data.root", "y")


def test_a_class_that_takes_the_place_of_another(here: Path, parser: jsonargparse.ArgumentParser) -> None:
    """The width of the Conformer is nothing that the later class has, and its seed is that of the run."""
    record = record_of(parser, ASKED)
    assert record["model"]["init_args"]["encoder"]["init_args"] == {"run": "runs/a", "seed": 7, "checkpoint": None}
    assert differences(here / "run", record, "fit", *ASKED) == []


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--model.layer", "4"), "model.layer: 3, asked is 4"),
        (("--model.layer", "all"), "model.layer: 3, asked is all"),
        (("--model.encoder.run", "runs/b"), "model.encoder.run: runs/a, asked is runs/b"),
        (("--data.init_args.clip_s=6.5",), "data.clip_s: 6.0, asked is 6.5"),
        (("--model.head.beats_per_bar", "[2, 4]"), "model.head.beats_per_bar: [2, 3], asked is [2, 4]"),
        (("--model.freeze", "false"), "model.freeze: True, asked is False"),
        (("--model.encoder", "MelFrames"), "musicfm_pl.encoders.pretrained.Untrained, asked is MelFrames"),
        (("--name", "other"), "name: None, asked is other"),
        (("--trainer.gradient_clip_val", "1"), "trainer.gradient_clip_val: None, asked is 1"),
    ],
)
def test_another_setting_is_named(
    here: Path, parser: jsonargparse.ArgumentParser, more: tuple[str, ...], message: str
) -> None:
    found = differences(here / "run", record_of(parser, ASKED), "fit", *ASKED, *more)
    assert [message in one for one in found] == [True], found


@pytest.mark.parametrize(
    "more",
    [
        ("--run_dir", "elsewhere", "--data.num_workers", "3"),
        ("--data.clip_s", "6.0", "--model.learning_rate=0.001", "--data.root", "./y"),
        ("--model.encoder", "Untrained", "--model.compile_backend", "inductor"),
        ("--data.features", "null"),
    ],
)
def test_what_changes_no_figure_does_not_count(
    here: Path, parser: jsonargparse.ArgumentParser, more: tuple[str, ...]
) -> None:
    assert differences(here / "run", record_of(parser, ASKED), "fit", *ASKED, *more) == []


def test_a_file_that_changed_and_one_that_is_gone(here: Path, parser: jsonargparse.ArgumentParser) -> None:
    record = record_of(parser, ASKED)
    (here / "bert.yaml").write_text((here / "bert.yaml").read_text().replace("runs/a", "runs/c"))
    assert differences(here / "run", record, "fit", *ASKED) == ["model.encoder.run: runs/a, asked is runs/c"]
    (here / "bert.yaml").unlink()
    (found,) = differences(here / "run", record, "fit", *ASKED)
    assert found.startswith("what it asks for now cannot be read") and "bert.yaml" in found


def test_a_record_that_was_changed_afterwards(here: Path, parser: jsonargparse.ArgumentParser) -> None:
    record = record_of(parser, ASKED)
    (here / "run").mkdir()
    (here / "run" / "config.yaml").write_text(yaml.safe_dump(record | {"seed_everything": 8}))
    cell = Cell("a", here / "run", (("fit", *ASKED),), ())
    (found,) = Asker().differences(cell, result(config_digest(record)))
    assert "config.yaml is not what the result was made with" in found


def test_a_method_that_learns_nothing(tmp_path: Path) -> None:
    record = {"method": "musicfm_pl.baselines.beat.LibrosaBeats", "earlier_s": "0.0", "root": "data/x", "split": "test"}
    asked = ("baseline", "--task", "beat", "--root", "data/x", "--name", "shelf", "--run_dir", "r")
    assert differences(tmp_path / "run", record, *asked) == []
    assert differences(tmp_path / "run", record, *asked, "--method.earlier_s", "0.046") == [
        "method.earlier_s: 0.0, asked is 0.046"
    ]
    assert differences(tmp_path / "run", record, *asked[:2], "key", *asked[3:])[0].startswith("task: musicfm_pl")


@pytest.fixture
def clustered(here: Path, parser: jsonargparse.ArgumentParser) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A run of tokens that were fitted before, and the command that fitted them."""
    mel = {"hop_length": 240, "num_mels": 128, "n_fft": 2048, "mean": 6.0, "std": 18.0}
    fit = {"passes": 5, "hours": None, "clip_s": 5.0, "batch_clips": 32, "init_frames": 20_000}
    own = ("logmel", 3, 4, mel, None, None, None, "tiny", "ab", fit, 1.0, (1.0,))
    (here / "run").mkdir()
    write_centroids(here / "run" / "kmeans.safetensors", Header(8, *own), torch.zeros(8, 2), torch.ones(8).long())
    asked = (
        "kmeans",
        "--root",
        "data/tiny",
        "--out",
        "run/kmeans.safetensors",
        "--k",
        "8",
        "--seed=3",
        "--stride",
        "4",
    )
    return record_of(parser, ASKED), asked


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--k", "500"), "kmeans --k: 8, asked is 500"),
        (("--features", "mfcc"), "kmeans --features: logmel, asked is mfcc"),
        (("--hop_length", "320"), "kmeans --hop_length: 240, asked is 320"),
        (("--hours=0.5",), "kmeans --hours: None, asked is 0.5"),
        (("--passes", "5", "--save_every", "3", "--device", "cuda", "--clip_s", "5"), None),
    ],
)
def test_centroids_of_other_settings_are_named(
    here: Path, clustered: tuple[dict[str, Any], tuple[str, ...]], more: tuple[str, ...], message: str | None
) -> None:
    record, asked = clustered
    (here / "run" / "config.yaml").write_text(yaml.safe_dump(record))
    cell = Cell("a", Path("run"), ((*asked, *more), ("fit", *ASKED)), ())
    assert Asker().differences(cell, result(config_digest(record))) == ([message] if message else [])
    (here / "run" / "kmeans.safetensors").unlink()
    assert Asker().differences(cell, result(config_digest(record))) == [], "that it is gone is said elsewhere"


@given(st.recursive(st.integers() | st.text("ab"), lambda inner: st.dictionaries(st.text("xyz", min_size=1), inner)))
def test_laying_the_same_over_itself_changes_nothing(value: Any) -> None:
    once, twice = AskedSettings(), AskedSettings()
    once.put("model", value)
    twice.put("model", value)
    twice.put("model", value)
    assert once.values == twice.values and not twice.carried
