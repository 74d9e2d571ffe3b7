import pickle
import warnings
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.billboard import Billboard

FULL = "0.0\t0.2\tN\n0.2\t0.9\tC:7(#9)\n0.9\t1.5\tC:1/1\n1.5\t1.9\tX\n\n"
MAJMIN = "0.0\t0.2\tN\n0.2\t1.9\tC:maj\n\n"
INDEX = (
    "id,chart_date,target_rank,actual_rank,title,artist\n"
    "1,x,82,,,\n3,x,56,57,I Don't Mind,James Brown\n35,x,1,1,Freedom,Jimi Hendrix\n"
)


def entry_text(artist: str) -> str:
    return f"# title: T\n# artist: {artist}\n\n0.0\tsilence\n0.2\tA, intro, | N |\n0.9\tB, | C:7(#9) |\n1.9\tend\n"


def billboard(root: Path, **files: str) -> Path:
    for entry, artist in (("0003", "James Brown"), ("0035", "Freedom"), ("0100", "Rod Stewart")):
        folder = root / "McGill-Billboard" / entry
        write_text(folder / "full.lab", files.get("full", FULL))
        write_text(folder / "majmin.lab", MAJMIN)
        write_text(folder / "salami_chords.txt", files.get("salami_chords", entry_text(artist)))
    write_sound(root / "audio/0003.wav", 2.0)
    write_sound(root / "audio/35.wav", 2.0)
    return root


def test_an_entry(tmp_path: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Billboard(billboard(tmp_path))))
    first, second = corpus.items()
    assert [(item.track_id, item.group) for item in (first, second)] == [("0003", "James Brown"), ("0035", "Freedom")]
    track = corpus.load(first)
    assert corpus.gaps(first) == {}
    assert list(track.labels["chord"]) == [(0, 0.2, "N"), (0.2, 0.9, "C:7(#9)"), (0.9, 1.5, "C:1/1"), (1.5, 1.9, "X")]
    assert list(track.labels["section"]) == [(0, 0.2, "silence"), (0.2, 0.9, "intro"), (0.9, 1.9, "B")]
    (remark,) = corpus.remarks()
    assert remark.startswith("1 annotated tracks without audio") and remark.endswith(": 0100")


def test_folds_do_not_divide_artists_and_test_each_entry_once(tmp_path: Path) -> None:
    root = billboard(tmp_path)
    write_text(root / "McGill-Billboard/0035/salami_chords.txt", entry_text("James Brown"))
    tested: list[str] = []
    for fold in range(8):
        first, second = Billboard(root, fold=fold).items()
        assert (first.group, first.split) == (second.group, second.split)
        tested += [item.track_id for item in (first, second) if item.split == "test"]
    assert tested == ["0003", "0035"]
    with pytest.raises(ValueError, match=r"--corpus\.fold: 8 is none of the folds 0 to 7"):
        Billboard(root, fold=8).items()


def test_a_list_of_numbers(tmp_path: Path) -> None:
    root = billboard(tmp_path)
    path = write_text(tmp_path / "my.split", "3\ttest\n0100\tval\n")
    corpus = pickle.loads(pickle.dumps(Billboard(root, split_file=path)))
    assert [(item.track_id, item.group, item.split) for item in corpus.items()] == [("0003", "James Brown", "test")]
    assert sorted(corpus.named()) == ["0003", "0100"]
    assert corpus.remarks()[-1] == f"1 tracks are in no list of {path}: 0035"
    write_text(path, "3\t0\n35\t1\n100\t2\n")
    assert [item.split for item in Billboard(root, split_file=path, fold=2).items()] == ["val", "train"]
    write_text(path, "77\ttrain\n")
    with pytest.raises(ValueError, match=r"my\.split:1: '77' is no name of a track"):
        Billboard(root, split_file=path).items()


def test_artists_of_the_index_and_other_chords(tmp_path: Path) -> None:
    root = billboard(tmp_path)
    write_text(root / "billboard-2.0-index.csv", INDEX)
    corpus = Billboard(root / "McGill-Billboard", root / "audio", chords="majmin")
    items = corpus.items()
    assert [item.group for item in items] == ["James Brown", "Jimi Hendrix"]
    assert corpus.load(items[0]).labels["chord"].labels == ("N", "C:maj")


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({"full": "0.0\t1.0\tN\n1.0\t1.9\tC:jazz\n"}, "chord", "full.lab:2: chord at 1.000 s: 'C:jazz' is no chord"),
        ({"full": "0.0\t1.0\tN\n0.5\t1.9\tC\n"}, "chord", "full.lab:2: chord: times must rise"),
        ({"salami_chords": "0.0\tA, kazoo, | N |\n1.9\tend\n"}, "section", "salami_chords.txt:1: no function is known"),
        ({"salami_chords": "0.0\tA, verse\n30\tend\n"}, "section", "salami_chords.txt:2: section: beyond the end"),
    ],
)
def test_a_bad_label_masks_its_kind(tmp_path: Path, files: dict[str, str], kind: str, message: str) -> None:
    corpus = Billboard(billboard(tmp_path, **files))
    item = corpus.items()[0]
    assert set(corpus.load(item).labels) == {"chord", "section"} - {kind}
    assert message in corpus.gaps(item)[kind]  # type: ignore[index]


@pytest.mark.usefixtures("librosa_is_compiled")
def test_mirdata_reads_the_chords_alike_and_not_the_sections(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what mirdata imports
        mirdata = pytest.importorskip("mirdata.datasets.billboard")
    corpus = Billboard(billboard(tmp_path))
    labels = corpus.load(corpus.items()[0]).labels
    entry = tmp_path / "McGill-Billboard/0003"
    chords = mirdata.load_chords(str(entry / "full.lab"))
    assert list(labels["chord"].labels) == chords.labels
    assert labels["chord"].intervals_s.tolist() == chords.intervals.tolist()
    sections = mirdata.load_named_sections(str(entry / "salami_chords.txt"))
    assert (sections.labels, sections.intervals.tolist()) == (["intro"], [[0.2, 1.9]])
    assert labels["section"].labels == ("silence", "intro", "B")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="billboard: no annotations below"):
        Billboard(tmp_path).items()
    with pytest.raises(ValueError, match="chords: 'jazz' is unknown; choose one of full, majmin"):
        Billboard(tmp_path, chords="jazz")  # type: ignore[arg-type]
    root = billboard(tmp_path)
    (root / "McGill-Billboard/0003/salami_chords.txt").unlink()
    corpus = Billboard(root)
    item = corpus.items()[0]
    assert item.group == "0003"
    assert corpus.gaps(item) == {"section": f"{root}/McGill-Billboard/0003/salami_chords.txt: no such file"}
