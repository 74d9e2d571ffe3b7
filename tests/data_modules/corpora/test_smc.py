import pickle
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import BadTrack
from data_modules.corpora.smc import Smc


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, suffix in ((1, "2_1_1_a"), (56, "1_1_2_b"), (289, "2_1_2_a")):
        write_sound(tmp_path / f"SMC_MIREX_Audio/SMC_{number:03d}.wav")
        name = f"SMC_{number:03d}_{suffix}.txt"
        write_text(tmp_path / "SMC_MIREX_Annotations" / name, "0.5\n1.1\n9.0\n")
        write_text(tmp_path / "SMC_MIREX_Annotations_05_08_2014" / name, "0.5\r\n1.1\r\n")
        write_text(tmp_path / "SMC_MIREX_Tags" / f"SMC_{number:03d}_f1.txt", "quiet accompaniment\n")
    return tmp_path


def test_the_corrected_beats_are_read_without_positions(root: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Smc(root)))
    items = corpus.items()
    assert [item.track_id for item in items] == ["SMC_001", "SMC_056", "SMC_289"]
    for item in items:
        assert list(corpus.load(item).labels["beat"]) == [(0.5, 0.5, "?"), (1.1, 1.1, "?")]
    assert corpus.remarks() == []
    assert Smc.expected_tracks == 217


def test_the_first_release_and_others(root: Path) -> None:
    corpus = Smc(root, root / "SMC_MIREX_Annotations")
    with pytest.raises(BadTrack, match=r"SMC_001_2_1_1_a\.txt:3: beat: a time beyond the end of the track"):
        corpus.load(corpus.items()[0])
    write_text(root / "smc/annotations/beats/smc_056.beats", "0.5\t1\n1.0\t2\n")
    corpus = Smc(root, root / "smc")
    (item,) = corpus.items()
    assert corpus.load(item).labels["beat"].labels == ("?", "?")
    assert corpus.remarks() == ["2 files of audio have no file of beats and are left out: SMC_001, SMC_289"]


def test_lists_and_nothing_there(root: Path) -> None:
    path = write_text(root / "8-folds.split", "smc_001\t0\nsmc_056\t1\nsmc_289\t2\n")
    splits = {item.track_id: item.split for item in Smc(root, fold=2, split_file=path).items()}
    assert splits == {"SMC_001": "val", "SMC_056": "train", "SMC_289": "test"}
    with pytest.raises(FileNotFoundError, match=r"smc: audio such as SMC_MIREX_Audio/SMC_001\.wav: none below"):
        Smc(root / "SMC_MIREX_Tags").items()
