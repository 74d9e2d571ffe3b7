import pickle
from collections import Counter
from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.group_splits import NUM_FOLDS
from data_modules.corpora.harmonix import Harmonix

IDS = [f"{number:04d}_song" for number in range(1, 25)]
BEATS = "0.0\t1\t1\n0.5\t2\t1\n1.0\t1\t2\n1.5\t2\t2\n2.8\t1\t3\n"
SEGMENTS = "0.0 intro\n0.5 prechorus2\n1.0 bre\n1.5 silence\n1.8 end\n"
METADATA = "File,Title,Artist,Release\n" + "".join(
    f'{name},"One, Two","Artist, {number // 2}",x\n' for number, name in enumerate(IDS)
)


def harmonix(root: Path, with_audio: int = len(IDS), **files: str) -> Path:
    for name in IDS:
        write_text(root / f"dataset/beats_and_downbeats/{name}.txt", files.get("beats", BEATS))
        write_text(root / f"dataset/segments/{name}.txt", files.get("segments", SEGMENTS))
    write_text(root / "dataset/metadata.csv", METADATA)
    for name in IDS[:with_audio]:
        write_sound(root / f"audio/{name}.wav", 2.0)
    return root


def with_all_names(root: Path) -> Path:
    """As many annotations as the data set has, of which those without audio are empty."""
    for number in range(len(IDS) + 1, 913):
        write_text(root / f"dataset/segments/{number:04d}_song.txt", "")
    return root


def test_a_song(tmp_path: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Harmonix(harmonix(tmp_path, 1))))
    (item,) = corpus.items()
    assert (item.track_id, item.group) == (IDS[0], "Artist, 0")
    track = corpus.load(item)
    assert corpus.gaps(item) == {}
    # The last beat lies 0.8 s after the audio.
    assert list(track.labels["beat"]) == [(0, 0, "1"), (0.5, 0.5, "2"), (1, 1, "1"), (1.5, 1.5, "2")]
    assert list(track.labels["section"]) == [
        (0.0, 0.5, "intro"), (0.5, 1.0, "verse"), (1.0, 1.5, "inst"), (1.5, 1.8, "silence"),
    ]  # fmt: skip
    (remark,) = corpus.remarks()
    assert "23 annotated tracks without audio" in remark
    assert remark.endswith(IDS[-1])


def test_the_tab_of_the_readme_is_read_too(tmp_path: Path) -> None:
    corpus = Harmonix(harmonix(tmp_path, 1, segments=SEGMENTS.replace(" ", "\t")) / "dataset", tmp_path / "audio")
    assert corpus.load(corpus.items()[0]).labels["section"].labels == ("intro", "verse", "inst", "silence")


def test_artists_are_not_divided(tmp_path: Path) -> None:
    items = Harmonix(harmonix(tmp_path)).items()
    splits = {item.group: item.split for item in items}
    assert len(splits) == 12
    assert all(splits[item.group] == item.split for item in items)
    assert set(splits.values()) == {"train", "val", "test"}


def test_eight_folds_by_the_order_of_all_identifiers(tmp_path: Path) -> None:
    root = with_all_names(harmonix(tmp_path, 20))
    tested: Counter[str] = Counter()
    for fold in range(NUM_FOLDS):
        items = Harmonix(root, fold=fold).items()
        test = [item.track_id for item in items if item.split == "test"]
        assert test == [name for at, name in enumerate(IDS[:20]) if at % 8 == fold]
        assert [item.track_id for item in items if item.split == "val"] == [
            name for at, name in enumerate(IDS[:20]) if at % 8 == (fold + 1) % 8
        ]
        assert all(item.group == item.track_id for item in items)
        tested.update(test)
    assert set(tested.values()) == {1}
    with pytest.raises(ValueError, match="fold: 8 asked for, but there are folds 0 to 7"):
        Harmonix(root, fold=8)


def test_a_fold_of_other_songs_is_refused(tmp_path: Path) -> None:
    root = harmonix(tmp_path, 2)
    with pytest.raises(ValueError, match=r"--corpus\.fold: the folds count all 912 songs .*dataset annotates 24; "):
        Harmonix(root, fold=3).items()
    write_text(with_all_names(root) / "dataset/segments/0000_another.txt", "")
    with pytest.raises(ValueError, match="annotates 913; bring its annotations to 912, or name a split_file"):
        Harmonix(root, fold=3).items()


def test_what_macos_leaves_beside_a_file_is_no_song(tmp_path: Path) -> None:
    root = with_all_names(harmonix(tmp_path, 2))
    items = Harmonix(root, fold=1).items()
    for folder in ("beats_and_downbeats", "segments"):
        write_text(root / f"dataset/{folder}/._{IDS[0]}.txt", "\0")
    assert Harmonix(root, fold=1).items() == items


def test_a_split_file(tmp_path: Path) -> None:
    root = harmonix(tmp_path, 2)
    path = write_text(tmp_path / "my.split", f"{IDS[0]}\tval\n{IDS[1]}\ttrain\n")
    assert [item.split for item in Harmonix(root, split_file=path).items()] == ["val", "train"]
    write_text(path, f"{IDS[0]}\tval\n")
    corpus = Harmonix(root, split_file=path)
    assert [(item.track_id, item.group, item.split) for item in corpus.items()] == [(IDS[0], IDS[0], "val")]
    assert corpus.remarks()[-1] == f"1 tracks are in no list of {path}: {IDS[1]}"
    write_text(path, "".join(f"{name}\t{at}\n" for at, name in enumerate(IDS[:3])))
    assert [item.split for item in Harmonix(root, split_file=path, fold=2).items()] == ["val", "train"]
    write_text(path, "0000_nothing\ttrain\n")
    with pytest.raises(ValueError, match=r"my\.split:1: '0000_nothing' is no name of a track"):
        Harmonix(root, split_file=path).items()


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({"segments": "0.0 intro\n1.0 kazoo\n1.8 end\n"}, "section", "0001_song.txt:2: no function is known"),
        ({"segments": "0.0 intro\n1.0 verse\n0.5 end\n"}, "section", "0001_song.txt:3: times must rise"),
        ({"segments": "0.0 intro\n1.0 verse\n7.5 end\n"}, "section", "0001_song.txt:3: section: beyond the end"),
        ({"beats": "0.0\t1\t1\n0.0\t2\t1\n"}, "beat", "0001_song.txt:2: beat: times must rise"),
        ({"beats": "0.0\t1\t1\n0.5\n"}, "beat", "0001_song.txt:2: expected `time beat bar`"),
        ({"beats": "inf\t1\t1\n"}, "beat", "0001_song.txt:1: a time is not a finite number"),
    ],
)
def test_a_bad_label_masks_its_kind(tmp_path: Path, files: dict[str, str], kind: str, message: str) -> None:
    corpus = Harmonix(harmonix(tmp_path, 1, **files))
    (item,) = corpus.items()
    assert set(corpus.load(item).labels) == {"beat", "section"} - {kind}
    assert list(corpus.gaps(item)) == [kind]
    assert message in corpus.gaps(item)[kind]  # type: ignore[index]


def test_a_missing_file_masks_its_kind_and_is_named(tmp_path: Path) -> None:
    root = harmonix(tmp_path, 1)
    (root / f"dataset/segments/{IDS[0]}.txt").unlink()
    corpus = Harmonix(root)
    (item,) = corpus.items()
    assert corpus.gaps(item) == {"section": f"{root}/dataset/segments/{IDS[0]}.txt: no such file"}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="harmonix: no annotations below"):
        Harmonix(tmp_path).items()
    root = harmonix(tmp_path, 1)
    (root / "dataset/metadata.csv").unlink()
    with pytest.raises(
        FileNotFoundError,
        match=r"metadata\.csv: no such file; expected the table that names the artists, or the choice of a fold",
    ):
        Harmonix(root).items()
    assert len(Harmonix(with_all_names(root), fold=0).items()) == 1
