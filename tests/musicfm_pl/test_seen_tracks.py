"""Which tracks of a test a model has seen, by the index and the card of two folders alone."""

from __future__ import annotations

import json
import shutil
import socket
import time
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data_modules.card import settle
from data_modules.corpora.base import Corpus, Tested
from data_modules.corpora.dcml import Dcml
from data_modules.index import ROWS
from data_modules.remote import Remote
from data_modules.shards import corpus_in
from data_modules.task import TaskData
from musicfm_pl.seen_tracks import heard_notes, refuse_seen


def copied(prepared: Path, to: Path, **card: Any) -> Path:
    """A copy of a prepared folder whose card says something else; what is None is left out of it."""
    shutil.copytree(prepared, to, ignore=shutil.ignore_patterns("embeddings"))
    told = json.loads((to / "corpus.json").read_text()) | card
    (to / "corpus.json").write_text(json.dumps({key: value for key, value in told.items() if value is not None}))
    return to


def judged(root: Path, split: Tested, remote: Remote | None = None) -> TaskData:
    data = TaskData(str(root), test_split=split, num_workers=0, remote=remote)
    data.setup("test")
    return data


def without_keys(root: Path, *track_ids: str) -> Path:
    table = pq.read_table(root / "index.parquet")
    rows = table.to_pylist()
    for row in rows:
        if row["track_id"] in track_ids:
            row["kinds"] = [kind for kind in row["kinds"] if kind != "key"]
            row["labels"] = [label for label in row["labels"] if label["kind"] != "key"]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), root / "index.parquet")
    return root


def refused(home: Path, data: TaskData) -> str:
    with pytest.raises(ValueError, match=r"--data\.test_split") as said:
        refuse_seen(str(home), data, "key")
    return str(said.value)


class TestFamily:
    """Corpora of other names that have the same works."""

    @pytest.fixture
    def home(self, prepared: Path, tmp_path: Path) -> Path:
        return copied(prepared, tmp_path / "home", corpus="songs-demo", family="songs")

    def test_other_names_of_the_same_works_are_refused(self, prepared: Path, home: Path, tmp_path: Path) -> None:
        for name in ("songs", "songs-other-sound"):
            other = copied(prepared, tmp_path / name, corpus=name, family="songs")
            assert f"all: 6 of these tracks of {name} are among those" in refused(home, judged(other, "all"))
            refuse_seen(str(home), judged(other, "test"), "key")
            refuse_seen(str(home), judged(other, "train"), "key")
            assert heard_notes(str(home), judged(other, "all"), "key")[0].startswith("4 tracks are of the training")
            assert heard_notes(str(home), judged(other, "test"), "key") == []

    def test_other_families_are_not(self, prepared: Path, home: Path, tmp_path: Path) -> None:
        other = judged(copied(prepared, tmp_path / "other", corpus="other", family="other"), "all")
        refuse_seen(str(home), other, "key")
        assert heard_notes(str(home), other, "key") == []

    def test_of_older_cards_the_names_are_compared(self, prepared: Path, home: Path, tmp_path: Path) -> None:
        for name in ("songs", "songs-demo"):
            other = copied(prepared, tmp_path / name, corpus=name, family=None)
            assert "6 of these" in refused(home, judged(other, "all")), "its name is that of the family, or of the home"
        other = copied(prepared, tmp_path / "other", corpus="songs-full", family=None)
        refuse_seen(str(home), judged(other, "all"), "key")

    def test_training_tracks_that_nobody_can_tell(self, prepared: Path, tmp_path: Path) -> None:
        """The home is gone, and was called as the family is."""
        other = judged(copied(prepared, tmp_path / "other", corpus="songs-demo", family="songs"), "all")
        assert "cannot be read" in refused(tmp_path / "songs", other)


def listed(corpus: Corpus, to: Path) -> Path:
    """A folder as `musicfm prepare` would leave it, without audio: every track carries keys."""
    items = corpus.items()
    settle(corpus, items, to, {})
    place = {"shard": "00000.pcm", "first_byte": 0, "num_samples": 1, "kinds": ["key"]}
    label = {"kind": "key", "start_s": 0.0, "end_s": 1.0, "label": "C major"}
    rows = [{**place, "track_id": i.track_id, "group": i.group, "split": i.split, "labels": [label]} for i in items]
    schema = pa.schema([column for column in ROWS if column.name not in ("block_bytes", "block_crc32")])
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), to / "index.parquet")
    return to


class TestDcml:
    """One list of works under many names."""

    def test_a_composer_held_out_is_refused_to_who_was_trained_on_them(self, tmp_path: Path) -> None:
        """Of the default split, too: as they are listed 98 of its works are for training, and 23 for validation."""
        home = listed(Dcml(profile="full"), tmp_path / "dcml")
        held_out = listed(Dcml(profile="full", test_composer="corelli"), tmp_path / "held_out")
        said = refused(home, judged(held_out, "test"))
        assert "test: 121 of these tracks of dcml-test-corelli are among those" in said
        refuse_seen(
            str(listed(Dcml(profile="full", without_composer="corelli"), tmp_path / "home")),
            judged(held_out, "test"),
            "key",
        )

    def test_excerpts_and_whole_works_are_the_same(self, tmp_path: Path) -> None:
        home, whole = listed(Dcml(), tmp_path / "demo"), listed(Dcml(profile="full"), tmp_path / "dcml")
        assert "of these tracks of dcml are among" in refused(home, judged(whole, "all"))
        refuse_seen(str(home), judged(whole, "test"), "key")

    def test_the_grid_of_what_is_held_out_goes_on(self, tmp_path: Path) -> None:
        """`experiments/grids/held_out.yaml`: another sound, and a composer that the home does not have."""
        font = tmp_path / "other.sf2"
        font.write_bytes((files("pretty_midi") / "TimGM6mb.sf2").read_bytes())
        moves = (
            (Dcml(), Dcml(soundfont=font)),
            (Dcml(without_composer="corelli"), Dcml(only_composer="corelli")),
        )
        for number, (of_home, of_other) in enumerate(moves):
            home, other = (listed(one, tmp_path / f"{number}" / one.name) for one in (of_home, of_other))
            data = judged(other, "test")
            refuse_seen(str(home), data, "key")
            assert heard_notes(str(home), data, "key") == []


class TestKind:
    """Tracks without the task's kind of label are neither trained on nor judged."""

    def test_of_what_is_tested(self, prepared: Path, tmp_path: Path) -> None:
        fewer = without_keys(copied(prepared, tmp_path / "fewer"), "song0", "song5")
        data = judged(fewer, "all")
        assert "all: 4 of these tracks" in refused(prepared, data)
        assert heard_notes(str(prepared), data, "key")[0].startswith("3 tracks ")
        with pytest.raises(ValueError, match="all: 6 of these tracks"):
            refuse_seen(str(prepared), data, "beat")

    def test_of_what_was_trained_on(self, prepared: Path, tmp_path: Path) -> None:
        home = without_keys(copied(prepared, tmp_path / "home"), "song0", "song5")
        data = judged(prepared, "all")
        said = refused(home, data)
        assert "all: 4 of these tracks" in said and "such as song1" in said
        assert heard_notes(str(home), data, "key")[0].startswith("4 tracks "), "the encoder hears what has no labels"

    def test_none_in_both(self, prepared: Path, tmp_path: Path) -> None:
        """As where one half of a corpus is annotated with keys, and a head of the other half is judged on it."""
        home = without_keys(copied(prepared, tmp_path / "home"), *(f"song{number}" for number in range(6)))
        refuse_seen(str(home), judged(prepared, "all"), "key")


@pytest.mark.parametrize("what", ["index.parquet", "corpus.json", "no corpus.json"])
def test_a_folder_that_cannot_be_read(prepared: Path, tmp_path: Path, what: str) -> None:
    """A test needs nothing of the pretraining's; of the head's it is `all` that needs to know."""
    broken = copied(prepared, tmp_path / "miniature")
    if what == "no corpus.json":
        (broken / "corpus.json").unlink()
    else:
        (broken / what).write_bytes(b"damaged")
    assert heard_notes(str(broken), judged(prepared, "all"), "key") == []
    refuse_seen(str(broken), judged(prepared, "test"), "key")
    assert "cannot be read" in refused(broken, judged(prepared, "all"))


def test_an_address_is_asked_with_the_patience_of_the_test(prepared: Path, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        home = f"http://127.0.0.1:{nobody.getsockname()[1]}/miniature"
        data = judged(prepared, "all", Remote(tmp_path / "cache", give_up_s=0.2))
        began_s = time.monotonic()
        with pytest.raises(ValueError, match=r"data\.remote\.give_up_s is 0\.2"):
            refuse_seen(home, data, "key")
        assert corpus_in(home, data.remote) == "miniature"
        assert time.monotonic() - began_s < 60
