"""A corpus named in a run, by one line of YAML or on the command line, is prepared and gives figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import command
import pytest
import torch
import yaml

from data_modules.shards import Prepared
from data_modules.statistics import mel_statistics
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.results import FILE_NAME, read_result

MINIATURE = ("--data.corpus", "miniature.Miniature")
TEST_ONLY = (*MINIATURE, "--data.corpus.test_only", "true")


@pytest.fixture(scope="module")
def beat_run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Heads on plain mel, which has no statistics of its own; trained on a prepared folder. Not to be changed."""
    run = tmp_path_factory.mktemp("corpus_in_a_run") / "runs" / "beat"
    command.succeed("fit", *command.probing("beat", prepared, run, *command.encoder("MelFrames")))
    return run


@pytest.fixture
def run(beat_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, with an empty working directory; what tests add to the run is removed."""
    monkeypatch.chdir(tmp_path)
    record = (beat_run / "config.yaml").read_text()
    yield beat_run
    (beat_run / "config.yaml").write_text(record)
    for folder in beat_run.glob("on-*"):
        shutil.rmtree(folder)


@pytest.mark.slow
def test_figures_on_another_corpus_as_a_process(run: Path, tmp_path: Path) -> None:
    for prepared_before in (False, True):
        done = command.musicfm("test", "--run_dir", run, "--data.corpus", "tiny", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert "Warning" not in done.stderr
        assert ("prepare tiny: 27 of 27 tracks" in done.stdout) != prepared_before
        assert ("data/tiny is prepared already: nothing to do" in done.stdout) == prepared_before
        result = read_result(run / "on-tiny")
        assert (result.corpus, result.num_tracks, result.split) == ("tiny", 7, "test")
        assert result.summary["beat_f"] is not None
    assert not (run / FILE_NAME).exists(), "the run's own result is another"
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_another_split_is_judged_beside_the_test(run: Path) -> None:
    command.succeed("test", "--run_dir", run, "--data.test_split", "val")
    result = read_result(run / "on-val")
    assert result.split == "val"
    root = yaml.safe_load((run / "config.yaml").read_text())["data"]["init_args"]["root"]
    assert {track.track_id for track in result.tracks} == {entry.track_id for entry in Prepared(root).split("val")}
    assert not (run / FILE_NAME).exists(), "that of the test is another"


def test_a_corpus_that_is_for_testing_alone_is_heard_with_the_statistics_of_the_training(
    run: Path, prepared: Path
) -> None:
    command.succeed("test", "--run_dir", run, *TEST_ONLY)
    assert read_result(run / "on-miniature_test").num_tracks == 8
    statistics = mel_statistics(Prepared(prepared))
    saved = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["TaskData"]["mel"]
    assert saved == {"mean": pytest.approx(statistics.mean), "std": pytest.approx(statistics.std)}
    # The statistics are part of the digest: the other corpus would have had none, or others.
    own = {folder.name.partition("-")[2] for folder in (prepared / "embeddings").iterdir()}
    other = {folder.name.partition("-")[2] for folder in Path("data/miniature_test/embeddings").iterdir()}
    assert len(other) == 1 and other <= own


def test_another_argument_is_refused_by_its_key(run: Path) -> None:
    command.succeed("test", "--run_dir", run, *TEST_ONLY)
    code, said = command.fail("test", "--run_dir", run, *TEST_ONLY, "--data.corpus.bad", "[song1]")
    assert code == 2
    assert "corpus.bad: data/miniature_test was prepared with [], not ['song1']" in said
    command.succeed("test", "--run_dir", run, *TEST_ONLY, "--data.corpus.bad", "[song1]", "--data.root", "data/without")
    assert read_result(run / "on-without").num_tracks == 7
    assert json.loads(Path("data/without/corpus.json").read_text())["arguments"] == {
        "bad": ["song1"],
        "fold": 0,
        "loud": "",
        "test_only": True,
    }


def test_one_line_of_yaml(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training and pretraining; the record says where the data lie, and a folder takes the place of the corpus."""
    monkeypatch.chdir(tmp_path)
    line = "data: {init_args: {corpus: {class_path: miniature.Miniature}}}\n"
    for name, extends in (("pretrain", "pretrain/small"), ("key", "tasks/key")):
        Path(f"{name}.yaml").write_text(f"# Mine.\nextends: [{command.EXPERIMENTS / extends}.yaml]\n{line}")
    pretraining = command.pretraining(prepared, Path("unused"), 2)
    command.succeed("fit", *pretraining[6:], "--config", "pretrain.yaml")
    probing = command.probing("key", prepared, Path("unused"), *command.encoder("Pretrained", Path("runs/pretrain")))
    command.succeed("fit", *probing[6:], "--config", "key.yaml")
    command.succeed("test", "--run_dir", "runs/key")
    assert read_result(Path("runs/key")).corpus == "miniature"
    for name in ("pretrain", "key"):
        arguments = yaml.safe_load(Path(f"runs/{name}/config.yaml").read_text())["data"]["init_args"]
        assert arguments["root"] == "data/miniature"
        assert arguments["corpus"]["class_path"] == "miniature.Miniature"
    shutil.copytree(prepared, "elsewhere", ignore=shutil.ignore_patterns("embeddings", "corpus.json"))
    card = json.loads((prepared / "corpus.json").read_text())
    Path("elsewhere/corpus.json").write_text(json.dumps(card | {"corpus": "other", "family": "other"}))
    command.succeed("test", "--run_dir", "runs/key", "--data.root", "elsewhere")
    found = read_result(Path("runs/key/on-elsewhere"))
    assert (found.corpus, found.trained_on) == ("other", "miniature")


def test_a_test_elsewhere_has_a_place_of_its_own(tmp_path: Path, run: Path) -> None:
    """The home result stays, byte for byte; the new one is read with its configuration, and has a table of its own."""
    command.succeed("test", "--run_dir", run)
    home = (run / FILE_NAME).read_bytes()
    assert read_result(run).trained_on == ""
    place = tmp_path / "runs" / "moved" / "beat"
    command.succeed("test", "--run_dir", run, *TEST_ONLY, "--result_dir", place)
    assert sorted(path.name for path in place.iterdir()) == ["config.yaml", FILE_NAME]
    found = read_result(place)
    assert (found.run, found.corpus, found.trained_on) == ("moved/beat", "miniature_test", "miniature")
    assert found.num_tracks == 8
    assert (run / FILE_NAME).read_bytes() == home
    assert not list(run.glob("on-*"))

    command.succeed("leaderboard", "--results", f"[{run},{tmp_path / 'runs'}]", "--out", tmp_path / "out")
    board = (tmp_path / "out" / "LEADERBOARD.md").read_text()
    assert "## Probing on miniature_test, trained on miniature, protocol musicfm" in board
    assert "- Trained on: miniature" in board
    assert "## Probing on miniature, protocol musicfm" in board
    assert "config.yaml" in (tmp_path / "out" / "leaderboard.html").read_text()
    (run / FILE_NAME).unlink()


def test_the_place_of_a_result_is_no_run(tmp_path: Path, run: Path, prepared: Path) -> None:
    code, said = command.fail("test", "--run_dir", run, "--data.corpus", "tiny", "--result_dir", run)
    assert code == 2 and "is the directory of a run, whose own result it would replace" in said
    probing = command.probing("beat", prepared, tmp_path / "new", *command.encoder("MelFrames"))
    code, said = command.fail("fit", *probing, "--result_dir", tmp_path / "other")
    assert code == 2 and "--result_dir is for `musicfm test`; `fit` writes into --run_dir" in said


def test_runs_that_start_together_wait_for_the_one_that_prepares(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    code = (
        "import sys\nfrom pathlib import Path\nfrom miniature import Miniature\n"
        "from data_modules.prepare import prepare_for_run\n"
        "if __name__ == '__main__':\n    prepare_for_run(Miniature(), Path(sys.argv[1]))"
    )
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(lambda _: command.python("-c", code, tmp_path / "data"), range(2)))
    assert [done.returncode for done in both] == [0, 0], both[0].stderr + both[1].stderr
    assert sorted("prepared already" in done.stdout for done in both) == [False, True]
    assert len(Prepared(tmp_path / "data").entries) == 8


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (["--data.clip_s", "5"], ["--data.clip_s", "5"]),
        (["--data.root", "x"], ["--data.corpus=null", "--data.root", "x"]),
        (["--data.corpus=a.B"], ["--data.corpus=null", "--data.root=null", "--data.corpus=a.B"]),
        (["--data.corpus", "a.B", "--data.corpus.root", "y"], [
            *("--data.corpus=null", "--data.root=null", "--data.corpus=a.B", "--data.corpus.root", "y")
        ]),
        (["--data.corpus", "a.B", "--data.root=x"], ["--data.corpus=null", "--data.corpus=a.B", "--data.root=x"]),
        (["--data.corpus", "tiny", "--data.root=x"], [
            *("--data.corpus=null", "--data.corpus=data_modules.corpora.tiny.Tiny", "--data.root=x")
        ]),
    ],
)  # fmt: skip
def test_what_the_command_line_names_takes_the_place_of_what_a_record_names(
    tmp_path: Path, given: list[str], settled: list[str]
) -> None:
    record = tmp_path / "config.yaml"
    record.write_text("data: {init_args: {root: z, corpus: {class_path: c.D, init_args: {root: w}}}}\n")
    assert settle_data_arguments(given, record) == settled
    plain = settle_data_arguments(["--data.root", "x"], None)
    assert plain == ["--data.root", "x"], "beside a YAML with a corpus a root is where that is prepared"
    with pytest.raises(ValueError, match="there is no corpus 'tyni'; known are"):
        settle_data_arguments(["--data.corpus", "tyni"], None)


def test_no_argument_of_the_corpus_that_the_record_names_is_taken(tmp_path: Path, run: Path) -> None:
    """jsonargparse keeps arguments of the same name when a class is replaced by another."""
    config = run / "config.yaml"
    record = yaml.safe_load(config.read_text())
    record["data"]["init_args"]["corpus"] = {"class_path": "miniature.Miniature", "init_args": {"test_only": True}}
    config.write_text(yaml.safe_dump(record))
    command.succeed("test", "--run_dir", run, *MINIATURE)
    assert read_result(run / "on-miniature").num_tracks == 2
