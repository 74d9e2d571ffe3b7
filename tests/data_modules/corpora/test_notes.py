import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.ballroom import Ballroom
from data_modules.corpora.base import Corpus
from data_modules.corpora.beat_this_annotations import BeatThisAnnotations
from data_modules.corpora.billboard import Billboard
from data_modules.corpora.gtzan import Gtzan
from data_modules.corpora.hainsworth import Hainsworth
from data_modules.corpora.harmonix import Harmonix
from data_modules.corpora.isophonics import Isophonics
from data_modules.corpora.jams_folder import JamsFolder
from data_modules.corpora.notes import split_note
from data_modules.corpora.rwc_popular import RwcPopular
from data_modules.corpora.salami import Salami
from data_modules.corpora.smc import Smc
from data_modules.prepare import prepare
from data_modules.shards import Prepared

LIST, TABLE = Path("lists/8-folds.split"), Path("maps/mine.csv")
BY_HASH = [
    ({"fold": 3}, "fold 3 of our own"),
    ({"split_file": LIST}, "split from 8-folds.split"),
    ({"split_file": LIST, "fold": 3}, "split from 8-folds.split, fold 3"),
]
SETTINGS: list[tuple[Callable[..., Corpus], list[tuple[dict[str, Any], str]]]] = [
    (Gtzan, [({"split_file": Path("lists")}, "split from lists")]),
    *((corpus, BY_HASH) for corpus in (Ballroom, Hainsworth, Smc, RwcPopular)),
    (
        Harmonix,
        [
            ({"fold": 0}, "fold 0 of the eight by the order of songs"),
            ({"fold": 0, "split_file": LIST}, "split from 8-folds.split"),
            ({"fold": 3, "split_file": LIST}, "split from 8-folds.split, fold 3"),
            ({"fold": 3, "label_map": TABLE}, "fold 3 of the eight by the order of songs; sections by mine.csv"),
        ],
    ),
    (
        Salami,
        [
            ({"level": "uppercase"}, "level uppercase"),
            ({"level": "lowercase", "annotator": 2}, "level lowercase; annotator 2"),
            ({"annotator": 2, "label_map": TABLE}, "annotator 2; sections by mine.csv"),
            ({"fold": 0, "level": "uppercase"}, "fold 0 of our own; level uppercase"),
            *BY_HASH,
        ],
    ),
    (
        Billboard,
        [
            ({"chords": "majmin"}, "chords majmin"),
            ({"label_map": TABLE}, "sections by mine.csv"),
            ({"fold": 0, "chords": "majmin"}, "fold 0 of our own; chords majmin"),
            *BY_HASH,
        ],
    ),
    (
        Isophonics,
        [
            ({"collection": "queen"}, ""),
            ({"label_map": TABLE}, "sections by mine.csv"),
            ({"fold": 0, "label_map": TABLE}, "fold 0 of our own; sections by mine.csv"),
            *BY_HASH,
        ],
    ),
    (
        JamsFolder,
        [
            ({"fold": 3}, ""),
            ({"split_file": LIST, "fold": 3}, "split from 8-folds.split, fold 3"),
            ({"split_file": LIST, "label_map": TABLE}, "split from 8-folds.split; sections by mine.csv"),
        ],
    ),
]
CASES = [(corpus, settings, note) for corpus, cases in SETTINGS for settings, note in [({}, ""), *cases]]


@pytest.mark.parametrize(("corpus", "settings", "note"), CASES)
def test_settings_that_change_what_is_scored_are_noted(
    corpus: Callable[..., Corpus], settings: dict[str, Any], note: str
) -> None:
    assert pickle.loads(pickle.dumps(corpus(Path("data"), **settings))).note == note
    # The command line may give a text for a path.
    texts = {name: str(value) if isinstance(value, Path) else value for name, value in settings.items()}
    assert corpus("data", **texts).note == note


@pytest.mark.parametrize(
    ("fold", "note"), [(None, ""), (0, "fold 0 of the set's eight"), (7, "fold 7 of the set's eight")]
)
def test_folds_of_beat_this(fold: int | None, note: str) -> None:
    assert BeatThisAnnotations(Path("data"), "hjdb", Path("audio"), fold=fold).note == note


def test_a_folder_is_called_by_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "marble").mkdir()
    monkeypatch.chdir(tmp_path / "marble")
    assert split_note(Path()) == "split from marble"


def test_the_note_goes_with_what_is_prepared(tmp_path: Path) -> None:
    for number in (1, 2):
        write_sound(tmp_path / f"hainsworth/audio/{number:03d}.wav")
        write_text(tmp_path / f"hainsworth/beats/{number:03d}.beats", "0.25\t1\n0.75\t2\n1.25\t1\n")
    path = write_text(tmp_path / "my.split", "001\ttrain\n002\ttest\n")
    prepare(Hainsworth(tmp_path / "hainsworth", split_file=path), tmp_path / "out", jobs=1)
    assert Prepared(tmp_path / "out").card["note"] == "split from my.split"
