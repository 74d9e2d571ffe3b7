"""`--data.test_split all`: a whole data set judged by a head that was trained elsewhere, and by none that knows it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import command
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_modules.shards import Prepared
from musicfm_pl.results import FILE_NAME, read_result

ALL = ("--data.test_split", "all")


def called(prepared: Path, to: Path, corpus: str) -> Path:
    """A copy of a prepared folder that says it is of another corpus."""
    shutil.copytree(prepared, to, ignore=shutil.ignore_patterns("embeddings"))
    card = json.loads((to / "corpus.json").read_text())
    (to / "corpus.json").write_text(json.dumps(card | {"corpus": corpus, "family": corpus}))
    return to


@pytest.fixture(scope="module")
def run(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head on plain mel, trained on a copy of its own, which tests may remove."""
    folder = tmp_path_factory.mktemp("all_tracks")
    data = called(prepared, folder / "miniature", "miniature")
    command.succeed("fit", *command.probing("key", data, folder / "runs" / "key", *command.encoder("MelFrames")))
    return folder / "runs" / "key"


@pytest.fixture
def other(prepared: Path, tmp_path: Path) -> Path:
    return called(prepared, tmp_path / "other", "other")


def test_all_tracks_of_another_corpus_have_a_table_of_their_own(run: Path, other: Path, tmp_path: Path) -> None:
    tests, names = tmp_path / "runs", [entry.track_id for entry in Prepared(other).entries]
    for split, more in (("test", ()), ("all", ALL)):
        place = ("--result_dir", tests / split)
        command.succeed("test", "--run_dir", run, "--data.root", other, *place, *more)
    found = read_result(tests / "all")
    assert (found.split, found.corpus, found.trained_on, found.num_tracks) == ("all", "other", "miniature", 8)
    assert [track.track_id for track in found.tracks] == names, "in the order of the index"
    some = read_result(tests / "test")
    assert (some.split, some.num_tracks) == ("test", 2)
    alike = {track.track_id: track.metrics for track in found.tracks}
    assert all(alike[track.track_id] == track.metrics for track in some.tracks)

    command.succeed("baseline", "--task", "key", "--root", other, "--run_dir", tests / "shelf", "--split", "all")
    shelf = read_result(tests / "shelf")
    assert (shelf.split, [track.track_id for track in shelf.tracks]) == ("all", names)

    command.succeed("leaderboard", "--results", tests, "--out", tmp_path / "out")
    board = (tmp_path / "out" / "LEADERBOARD.md").read_text()
    assert "## Probing on other, trained on miniature, split all, protocol musicfm\n" in board
    assert "## Probing on other, trained on miniature, protocol musicfm\n" in board
    assert "## Probing on other, split all, protocol musicfm\n" in board
    assert board.count("- Split: all\n") == 2
    lines = (tmp_path / "out" / "leaderboard.csv").read_text().splitlines()
    assert {tuple(line.split(",")[1:4]) for line in lines[1:]} == {
        ("other", "miniature", "all"), ("other", "miniature", "test"), ("other", "", "all"),
    }  # fmt: skip


def test_without_a_place_it_lies_beside_the_test(run: Path, other: Path) -> None:
    command.succeed("test", "--run_dir", run, "--data.root", other, *ALL)
    assert read_result(run / "on-other-all").num_tracks == 8
    assert not (run / FILE_NAME).exists()


def test_tracks_without_the_label_are_left_out_and_counted(run: Path, prepared: Path, tmp_path: Path) -> None:
    other = called(prepared, tmp_path / "fewer", "other")
    table = pq.read_table(other / "index.parquet")
    rows = table.to_pylist()
    rows[0]["kinds"] = ["beat"]
    rows[0]["labels"] = [label for label in rows[0]["labels"] if label["kind"] == "beat"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), other / "index.parquet")
    told = "1 tracks of all splits carry no key labels and are left out"
    command.succeed("test", "--run_dir", run, "--data.root", other, *ALL, "--result_dir", tmp_path / "place")
    assert told in read_result(tmp_path / "place").notes
    command.succeed("baseline", "--task", "key", "--root", other, "--run_dir", tmp_path / "shelf", "--split", "all")
    assert told in read_result(tmp_path / "shelf").notes


class TestRefuses:
    """Figures of tracks that a head was trained on."""

    def test_all_at_home(self, run: Path, tmp_path: Path) -> None:
        code, said = command.fail("test", "--run_dir", run, *ALL, "--result_dir", tmp_path / "place")
        assert code == 2
        assert "--data.test_split all: 6 of these tracks of miniature are among those that the head was" in said
        assert "trained or validated on, such as song0" in said
        assert not (tmp_path / "place").exists()

    def test_the_same_tracks_in_another_folder(self, run: Path, prepared: Path, tmp_path: Path) -> None:
        copy = called(prepared, tmp_path / "copy", "miniature")
        code, said = command.fail("test", "--run_dir", run, "--data.root", copy, *ALL)
        assert (code, "6 of these tracks of miniature" in said) == (2, True)
        command.succeed("test", "--run_dir", run, "--data.root", copy)
        assert read_result(run / "on-copy").num_tracks == 2

    def test_the_test_split_of_another_fold(self, run: Path, tmp_path: Path) -> None:
        """In another fold, what is for test here was for training."""
        another = ("--data.corpus", "miniature.Miniature", "--data.corpus.fold", "1", "--data.root", tmp_path / "fold1")
        code, said = command.fail("test", "--run_dir", run, *another)
        assert code == 2
        assert "--data.test_split test: 2 of these tracks of miniature are among those" in said
        code, said = command.fail("test", "--run_dir", run, *another, "--data.test_split", "val")
        assert (code, "--data.test_split val: 2 of these" in said) == (2, True)
        command.succeed("test", "--run_dir", run, *another, "--data.test_split", "train")
        assert read_result(run / "on-fold1-train").split == "train"

    def test_all_of_a_corpus_whose_training_tracks_nobody_can_tell(
        self, run: Path, prepared: Path, other: Path, tmp_path: Path
    ) -> None:
        copy, home = called(prepared, tmp_path / "copy", "miniature"), run.parents[1] / "miniature"
        home.rename(tmp_path / "away")
        try:
            code, said = command.fail("test", "--run_dir", run, "--data.root", copy, *ALL)
            command.succeed("test", "--run_dir", run, "--data.root", other, *ALL, "--result_dir", tmp_path / "place")
        finally:
            (tmp_path / "away").rename(home)
        assert code == 2
        assert "cannot be read" in said and "bring" in said
        assert read_result(tmp_path / "place").num_tracks == 8

    def test_a_method_that_learns_from_some_of_them(self, prepared: Path, tmp_path: Path) -> None:
        options = ("--root", prepared, "--run_dir", tmp_path / "run", "--split", "all")
        code, said = command.fail("baseline", "--task", "tagging", *options)
        assert code == 2
        assert "--split all: 'tag frequencies' learns from the training tracks of" in said
        assert not (tmp_path / "run").exists()

    def test_another_word(self, run: Path) -> None:
        code, said = command.fail("test", "--run_dir", run, "--data.test_split", "everything")
        assert (code, "test_split" in said) == (2, True)


def test_music_that_the_encoder_heard_without_labels_is_told(
    prepared: Path, tmp_path: Path, pretrained_run: Path
) -> None:
    """Pretrained on the music of one corpus, with a head from another: the first is tested as a whole."""
    other = called(prepared, tmp_path / "other", "other")
    told = "4 tracks are of the training split that the encoder was pretrained on, without labels"
    for name, is_told in (("Pretrained", True), ("Untrained", False)):
        head = tmp_path / "runs" / name
        command.succeed("fit", *command.probing("key", other, head, *command.encoder(name, pretrained_run)))
        command.succeed("test", "--run_dir", head, "--data.root", prepared, *ALL)
        found = read_result(head / f"on-{prepared.name}-all")
        assert found.num_tracks == 8
        assert (told in found.notes) == is_told
        assert all((told in one.notes) == is_told for one in found.others.values())
        command.succeed("test", "--run_dir", head, "--data.root", prepared)
        assert told not in read_result(head / f"on-{prepared.name}").notes, "its test split was not heard"
