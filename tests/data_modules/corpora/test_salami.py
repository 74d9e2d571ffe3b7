import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sounds import write_sound, write_text

from data_modules.corpora.salami import Salami

FUNCTIONS = "0.0\tSilence\n0.2\tIntro\n0.2\tVerse\n0.6\tno_function\n1.0\tFade-out\n1.8\tSilence\n1.9\tEnd"
UPPER = "0.0\tSilence\n0.2\tA\n0.6\tB'\n1.8\tSilence\n1.9\tEnd"
LOWER = "0.0\tSilence\n0.2\ta\n0.4\ta'\n0.6\tbb\n1.9\tEnd"
METADATA = (
    "SONG_ID,SOURCE,ANNOTATOR1,ANNOTATOR2,FILE_LOCATION,SONG_DURATION,EMPTY,SONG_TITLE,ARTIST\n"
    "2,Codaich,5,8,x,264,,A,The_Cure\n10,Codaich,5,8,x,264,,B,The_Cure\n12,Codaich,5,8,x,264,,C,Compilations\n"
    "14,IA,5,8,x,264,,D,\n"
)


def salami(root: Path, functions: str = FUNCTIONS) -> Path:
    for number in ("2", "10", "12", "14"):
        parsed = root / f"annotations/{number}/parsed"
        write_text(parsed / "textfile1_functions.txt", functions)
        write_text(parsed / "textfile1_uppercase.txt", UPPER)
        write_text(parsed / "textfile1_lowercase.txt", LOWER)
        if number == "10":
            write_text(parsed / "textfile2_functions.txt", "0.0\tMain_Theme\n1.9\tEnd")
        if number != "14":
            write_sound(root / f"audio/{number}.wav", 2.0)
    write_text(root / "metadata/metadata.csv", METADATA)
    return root


def sections(corpus: Salami, track_id: str) -> list[tuple[float, float, str]]:
    (item,) = (item for item in corpus.items() if item.track_id == track_id)
    return list(corpus.load(item).labels["section"])


def test_items_are_grouped_by_artist(tmp_path: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Salami(salami(tmp_path))))
    items = corpus.items()
    assert [(item.track_id, item.group) for item in items] == [("2", "The_Cure"), ("10", "The_Cure"), ("12", "12")]
    assert items[0].split == items[1].split
    (remark,) = corpus.remarks()
    assert remark.startswith("1 annotated tracks without audio") and remark.endswith(": 14")


def test_folds_do_not_divide_artists_and_test_each_recording_once(tmp_path: Path) -> None:
    root = salami(tmp_path)
    tested: list[str] = []
    for fold in range(8):
        items = Salami(root, fold=fold).items()
        assert items[0].group == items[1].group == "The_Cure"
        assert items[0].split == items[1].split
        tested += [item.track_id for item in items if item.split == "test"]
    assert sorted(tested) == ["10", "12", "2"]
    with pytest.raises(ValueError, match=r"--corpus\.fold: 9 is none of the folds 0 to 7"):
        Salami(root, fold=9).items()


def test_a_list_of_numbers(tmp_path: Path) -> None:
    root = salami(tmp_path)
    path = write_text(tmp_path / "my.split", "0002.mp3\ttest\n10\ttrain\n14\tval\n")
    corpus = pickle.loads(pickle.dumps(Salami(root, split_file=path)))
    assert [(item.track_id, item.group, item.split) for item in corpus.items()] == [
        ("2", "The_Cure", "test"), ("10", "The_Cure", "train"),
    ]  # fmt: skip
    assert sorted(corpus.named()) == ["10", "14", "2"]
    assert corpus.remarks()[-1] == f"1 tracks are in no list of {path}: 12"
    write_text(path, "2\t0\n10\t1\n12\t2\n")
    assert [item.split for item in Salami(root, split_file=path, fold=1).items()] == ["train", "test", "val"]
    write_text(path, "77\ttrain\n")
    with pytest.raises(ValueError, match=r"my\.split:1: '77' is no name of a track"):
        Salami(root, split_file=path).items()


def test_functions(tmp_path: Path) -> None:
    assert sections(Salami(salami(tmp_path)), "2") == [
        (0.0, 0.2, "silence"), (0.2, 0.6, "verse"), (0.6, 1.0, "verse"), (1.0, 1.8, "outro"), (1.8, 1.9, "silence"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("functions", "upper", "expected"),
    [
        ("0.0\tIntro\n0.0\tsilence\n0.2\tVerse", "0.0\tsilence\n0.0\tA\n0.2\tB", "intro"),
        ("0.0\tIntro\n0.0\tVerse\n0.0\tsilence\n0.2\tVerse", None, "verse"),
        # The annotator's own silence, as in textfile2 of 1009.
        (
            "0.0\tIntro\n0.0\tSilence\n0.0\tsilence\n0.2\tVerse",
            "0.0\tsilence\n0.0\tY\n0.0\tSilence\n0.2\tB",
            "silence",
        ),
        ("0.0\tIntro\n0.0\tsilence\n0.0\tsilence\n0.2\tVerse", None, "silence"),
        ("0.0\tIntro\n0.0\tSilence\n0.2\tVerse", None, "silence"),
        ("0.0\tsilence\n0.0\tvoice\n0.2\tVerse", None, "inst"),
        # A silence of the parser alone: no function, or no music, as in textfile1 of 1009.
        ("0.0\tsilence\n0.2\tVerse", "0.0\tsilence\n0.0\tA\n0.2\tB", None),
        ("0.0\tsilence\n0.2\tVerse", "0.0\tsilence\n0.0\tZ\n0.2\tB", "silence"),
        ("0.0\tsilence\n0.2\tVerse", "0.0\tsilence\n0.2\tB", "silence"),
        ("0.0\tsilence\n0.2\tVerse", None, "silence"),
    ],
)
def test_the_silence_that_the_parser_adds_at_the_beginning(
    tmp_path: Path, functions: str, upper: str | None, expected: str | None
) -> None:
    root = salami(tmp_path, f"{functions}\n1.9\tEnd")
    path = root / "annotations/2/parsed/textfile1_uppercase.txt"
    path.unlink()
    if upper is not None:
        write_text(path, f"{upper}\n1.9\tEnd")
    first = [] if expected is None else [(0.0, 0.2, expected)]
    assert sections(Salami(root), "2") == [*first, (0.2, 1.9, "verse")]


@pytest.mark.parametrize(
    ("letter", "function"), [("Z", "silence"), ("Z'", "silence"), ("A", "chorus"), ("Y", "chorus")]
)
def test_what_is_no_music_is_silence(tmp_path: Path, letter: str, function: str) -> None:
    root = salami(tmp_path, "0.0\tSilence\n0.2\tChorus\n0.6\tno_function\n1.2\tno_function\n1.5\tOutro\n1.9\tEnd")
    path = root / "annotations/2/parsed/textfile1_uppercase.txt"
    write_text(path, f"0.0\tSilence\n0.2\tA\n0.6\t{letter}\n1.2\tB\n1.5\tZ\n1.9\tEnd")
    expected = [
        (0.0, 0.2, "silence"), (0.2, 0.6, "chorus"), (0.6, 1.2, function), (1.2, 1.5, "chorus"), (1.5, 1.9, "outro"),
    ]  # fmt: skip
    assert sections(Salami(root), "2") == expected
    path.unlink()
    assert sections(Salami(root), "2") == [*expected[:2], (0.6, 1.2, "chorus"), *expected[3:]]
    write_text(path, "0.0\tSilence\nnan\tZ")
    corpus = Salami(root)
    assert "textfile1_uppercase.txt:2: a time is not a finite number" in corpus.gaps(corpus.items()[0])["section"]


def test_letters(tmp_path: Path) -> None:
    root = salami(tmp_path)
    assert sections(Salami(root, level="uppercase"), "2") == [
        (0.0, 0.2, "silence"), (0.2, 0.6, "A"), (0.6, 1.8, "B'"), (1.8, 1.9, "silence"),
    ]  # fmt: skip
    assert sections(Salami(root, level="lowercase"), "2") == [
        (0.0, 0.2, "silence"), (0.2, 0.4, "A"), (0.4, 0.6, "A'"), (0.6, 1.9, "BB"),
    ]  # fmt: skip


def test_the_second_annotator_where_there_is_one(tmp_path: Path) -> None:
    root = salami(tmp_path)
    corpus = Salami(root, annotator=2)
    assert sections(corpus, "10") == [(0.0, 1.9, "chorus")]
    item = corpus.items()[0]
    assert corpus.load(item).labels == {}
    assert corpus.gaps(item) == {"section": f"{root}/annotations/2/parsed/textfile2_functions.txt: no such file"}


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        ("0.0\tIntro\n1.0\tKazoo\n1.9\tEnd", "textfile1_functions.txt:2: no function is known for the section 'Kazoo'"),
        ("0.0\tIntro\nNaN\tVerse\n1.9\tEnd", "textfile1_functions.txt:2: a time is not a finite number"),
        ("0.0\tIntro\n1.0\tVerse\n19\tEnd", "textfile1_functions.txt:3: section: beyond the end of the audio"),
        ("1.0\tIntro\n0.5\tEnd", "textfile1_functions.txt:2: times must rise"),
    ],
)
def test_a_bad_label_is_told_with_file_and_line(tmp_path: Path, functions: str, message: str) -> None:
    corpus = Salami(salami(tmp_path, functions))
    item = corpus.items()[0]
    assert corpus.load(item).labels == {}
    assert message in corpus.gaps(item)["section"]


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="salami: no annotations below"):
        Salami(tmp_path).items()
    with pytest.raises(ValueError, match="level: 'words' is unknown; choose one of functions, uppercase, lowercase"):
        Salami(tmp_path, level="words")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="annotator: there are 1 and 2, got 0"):
        Salami(tmp_path, annotator=0)
    root = salami(tmp_path)
    (root / "metadata/metadata.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"metadata\.csv: no such file"):
        Salami(root).items()


@pytest.mark.usefixtures("librosa_is_compiled")
def test_mirdata_reads_the_letters_alike(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what mirdata imports
        mirdata = pytest.importorskip("mirdata.datasets.salami")
    root = salami(tmp_path)
    expected = mirdata.load_sections(str(root / "annotations/2/parsed/textfile1_uppercase.txt"))
    found = sections(Salami(root, level="uppercase"), "2")
    assert [label.replace("silence", "Silence") for _, _, label in found] == expected.labels
    assert np.array_equal([(start_s, end_s) for start_s, end_s, _ in found], expected.intervals)
