import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from sounds import write_sound, write_text

from data_modules.corpora.base import Item, Track
from data_modules.corpora.isophonics import Isophonics

ALBUM, SONG = "01_-_Please_Please_Me", "11_-_Do_You_Want_To_Know_A_Secret"
BEATS = "# by ear\r\n0.10\t4\r\n0.30 New Point\r\n0.5\tNew Point\r\n7.0e-1\t3\r\n0.90\t4\r\n1.1\tNew Point\r\n1.3\r\n"
CHORDS = "0.000000 0.20 N\n0.20\t1e0\tE:maj/3\n\n1.0 1.5 X\n1.5 1.9 F#:min7\n"
KEYS = "0.000\t0.100\tSilence\n0.100\t1.000\tKey\tE\n1.000\t1.500\tKey\tC#:minor\n1.5\t1.9\tKey\tD:mixolydian"
SECTIONS = "0.000\t0.100\t\tsilence\n0.100\t0.500\t1\tintro\n0.5 1.2 2 verse_(instrumental)\n1.2\t1.9\t\tRefrain\n"


def beatles(root: Path, **files: str) -> Path:
    """The Beatles with one annotated song, its folders and its audio written in different ways."""
    contents = {"beat": BEATS, "chordlab": CHORDS, "keylab": KEYS, "seglab": SECTIONS, **files}
    for folder, content in contents.items():
        artist = "The_Beatles" if folder == "chordlab" else "The Beatles"
        album, song = (ALBUM.replace("_", " "), SONG.replace("_", " ")) if folder == "keylab" else (ALBUM, SONG)
        suffix = "txt" if folder == "beat" else "lab"
        write_text(root / "annotations" / folder / artist / album / f"{song}.{suffix}", content)
    write_sound(root / "audio" / "01 - Please please me" / "11 - do you want to know a secret.wav", 2.0)
    return root


def queen(root: Path) -> Path:
    """As the archive of Queen has it: no beats, and chords of some songs only."""
    for name in ("01 Bohemian Rhapsody", "02 Another One Bites The Dust"):
        file = f"Queen/Greatest Hits I/{name}.lab"
        write_text(root / "annotations/keylab" / file, "0.000\t0.456\tSilence\n0.456\t1.9\tKey\tBb")
        write_text(root / "annotations/seglab" / file, "0.000\t0.400\t\tsilence\n0.400\t1.9\t\tintro")
        write_sound(root / f"audio/Greatest Hits I/{name}.wav", 2.0)
    write_text(
        root / "annotations/chordlab/Queen/Greatest Hits I/01 Bohemian Rhapsody.lab",
        "0.000\t0.459\tN\n0.459\t1.0\tBb:maj6\n1.0\t1.9\tC:7",
    )
    return root


ALBUMS = [f"{number:02d}_-_Album_{number}" for number in range(1, 17)]
SONGS = [f"{album}/{song}" for album in ALBUMS for song in ("01_-_First_of_it", "02_-_Second,_too")]


def albums(root: Path, heard: int = len(SONGS)) -> Path:
    """Sixteen albums of two songs, which are called by their album, too."""
    for at, song in enumerate(SONGS):
        write_text(root / f"annotations/chordlab/The_Beatles/{song}_{at // 2}.lab", "0.0 1.9 N\n")
        if at < heard:
            write_sound(root / f"audio/{song}_{at // 2}.wav", 2.0)
    return root


def load(corpus: Isophonics) -> tuple[Track, dict[str, str]]:
    (item,) = corpus.items()
    return corpus.load(item), dict(corpus.gaps(item))


def test_a_song_of_the_beatles(tmp_path: Path) -> None:
    corpus = pickle.loads(pickle.dumps(Isophonics(beatles(tmp_path))))
    assert (corpus.name, corpus.expected_tracks) == ("beatles", 180)
    assert corpus.items() == [Item(f"{ALBUM}/{SONG}", ALBUM, "train")]
    track, gaps = load(corpus)
    assert gaps == {}
    assert corpus.remarks() == []
    assert len(track.waveform_N) == 48000
    assert track.labels["beat"].labels == ("4", "1", "2", "3", "4", "1", "?")
    assert np.allclose(track.labels["beat"].starts_s, [0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3])
    assert list(track.labels["chord"]) == [
        (0.0, 0.2, "N"), (0.2, 1.0, "E:maj/3"), (1.0, 1.5, "X"), (1.5, 1.9, "F#:min7"),
    ]  # fmt: skip
    assert list(track.labels["key"]) == [(0.1, 1.0, "E major"), (1.0, 1.5, "C# minor"), (1.5, 1.9, "D other")]
    assert list(track.labels["section"]) == [
        (0.0, 0.1, "silence"), (0.1, 0.5, "intro"), (0.5, 1.2, "verse"), (1.2, 1.9, "chorus"),
    ]  # fmt: skip


def test_a_moved_beat_before_a_downbeat_counts_on_in_three_four_too(tmp_path: Path) -> None:
    beats = "0.1 New Point\n0.2 1\n0.3 2\n0.4 New Point\n0.5 1\n0.6 2\n0.7 3\n0.8 New Point\n"
    track, _ = load(Isophonics(beatles(tmp_path, beat=beats)))
    assert track.labels["beat"].labels == ("?", "1", "2", "3", "1", "2", "3", "1")


def test_queen_lacks_chords_of_a_song_and_has_no_beats(tmp_path: Path) -> None:
    corpus = Isophonics(queen(tmp_path), collection="queen")
    assert (corpus.name, corpus.expected_tracks) == ("queen", 51)
    first, second = corpus.items()
    assert first.group == second.group == "Greatest Hits I"
    assert corpus.load(first).labels["chord"].labels == ("N", "Bb:maj6", "C:7")
    assert corpus.gaps(first) == {}
    assert set(corpus.load(second).labels) == {"key", "section"}
    assert set(corpus.gaps(second)) == {"chord"}
    assert "chordlab: no file for Greatest Hits I/02 Another One Bites The Dust" in corpus.gaps(second)["chord"]


def test_folds_do_not_divide_albums_and_test_each_song_once(tmp_path: Path) -> None:
    root = albums(tmp_path)
    tested: list[str] = []
    for fold in range(8):
        corpus = Isophonics(root, fold=fold)
        items = corpus.items()
        splits = {item.group: item.split for item in items}
        assert set(splits) == set(ALBUMS)
        assert all(splits[item.group] == item.split for item in items)
        tested += [item.track_id for item in items if item.split == "test"]
        assert corpus.expected_tracks == 180
    assert sorted(tested) == sorted(item.track_id for item in Isophonics(root).items())
    with pytest.raises(ValueError, match=r"--corpus\.fold: 8 is none of the folds 0 to 7"):
        Isophonics(root, fold=8).items()


def test_a_list_of_songs_in_whatever_way_they_are_written(tmp_path: Path) -> None:
    root = albums(tmp_path, heard=4)
    path = write_text(
        tmp_path / "my.split",
        "The Beatles/1/01 - first of it 0.lab\ttrain\nSecond, Too 0\tval\n"
        "01_-_First_of_it_1\ttest\nfirst of it 9\ttest\n",
    )
    corpus = pickle.loads(pickle.dumps(Isophonics(root, split_file=path)))
    assert [(item.track_id, item.group, item.split) for item in corpus.items()] == [
        (f"{SONGS[0]}_0", ALBUMS[0], "train"),
        (f"{SONGS[1]}_0", ALBUMS[0], "val"),
        (f"{SONGS[2]}_1", ALBUMS[1], "test"),
    ]
    assert corpus.named() == [f"{SONGS[0]}_0", f"{SONGS[1]}_0", f"{SONGS[2]}_1", f"{SONGS[18]}_9"]
    assert corpus.remarks()[-1] == f"1 tracks are in no list of {path}: {SONGS[3]}_1"
    write_text(path, "first of it 0\t0\nfirst of it 1\t1\nsecond too 1\t2\n")
    items = Isophonics(root, split_file=str(path), fold=2).items()  # type: ignore[arg-type]
    assert [item.split for item in items] == ["val", "train", "test"]
    write_text(path, "Yesterday\ttrain\n")
    with pytest.raises(ValueError, match=r"my\.split:1: 'Yesterday' is no name of a track"):
        Isophonics(root, split_file=path).items()


def test_a_name_of_two_songs_in_a_list_is_refused(tmp_path: Path) -> None:
    root = beatles(tmp_path)
    write_text(root / "annotations/chordlab/The_Beatles/Other/03_-_Do_You_Want_To_Know_A_Secret.lab", CHORDS)
    path = write_text(tmp_path / "my.split", "do you want to know a secret\ttrain\n")
    with pytest.raises(
        ValueError, match=r"my\.split:1: 'do you want .* may be any of 01_.*Secret, Other/03_.*; call it as the file"
    ):
        Isophonics(root, split_file=path).items()
    write_text(path, f"{SONG}\ttrain\n")
    assert [item.split for item in Isophonics(root, split_file=path).items()] == ["train"]
    # Where the files are called alike, not even the album helps.
    other = write_text(root / f"annotations/chordlab/The_Beatles/Other/{SONG}.lab", CHORDS)
    write_text(path, f"{ALBUM}/{SONG}\ttrain\n")
    with pytest.raises(ValueError, match="where those of two albums are called alike, rename them in one"):
        Isophonics(root, split_file=path).items()
    other.rename(other.with_name(f"{SONG}_again.lab"))
    assert [item.split for item in Isophonics(root, split_file=path).items()] == ["train"]


def test_what_macos_leaves_beside_a_file_is_no_song(tmp_path: Path) -> None:
    root = beatles(tmp_path)
    write_text(root / f"annotations/beat/The Beatles/{ALBUM}/._{SONG}.txt", "\0")
    write_text(root / "annotations/chordlab/._The_Beatles", "\0")
    corpus = Isophonics(root)
    assert [item.track_id for item in corpus.items()] == [f"{ALBUM}/{SONG}"]
    assert corpus.remarks() == []


def test_songs_without_audio_and_audio_without_annotation_are_named(tmp_path: Path) -> None:
    root = beatles(tmp_path)
    write_text(root / f"annotations/chordlab/The Beatles/{ALBUM}/14_-_Twist_And_Shout.lab", CHORDS)
    write_sound(root / "audio/Bonus/Bad to Me.wav", 1.0)
    corpus = Isophonics(root)
    assert len(corpus.items()) == 1
    missing, unmatched = corpus.remarks()
    assert f"1 annotated tracks without audio below {root / 'audio'} are left out: {ALBUM}/14_-_Twist" in missing
    assert unmatched == "1 audio files are of no annotated track: Bonus/Bad to Me.wav"


@pytest.mark.parametrize(
    ("folder", "content", "kind", "message"),
    [
        ("beat", "0.5 1\n0.4 2\n", "beat", r"\.txt:2: beat: times must rise"),
        ("beat", "0.5 1\n9.5 2\n", "beat", r"\.txt:2: beat: a time beyond the end of the track"),
        ("beat", "0.5 one\n", "beat", r"\.txt:1: beat at 0\.500 s: 'one' is no position"),
        ("chordlab", "0 1 N\n1 1.5 C:weird\n", "chord", r"\.lab:2: chord at 1\.000 s: 'C:weird' is no chord"),
        ("chordlab", "0 1 N\n1 nan C\n", "chord", r"\.lab:2: a time is not a finite number"),
        ("keylab", "0\t1\tKey\tH\n", "key", r"\.lab:1: 'H' is no key"),
        ("keylab", "0\t1\tTonic\tA\n", "key", r"\.lab:1: expected `Key` and a key"),
        ("seglab", "0\t1\t\tintro\n1\t1.9\t\tkazoo\n", "section", r"\.lab:2: no function .* 'kazoo'.*isophonics\.csv"),
        ("seglab", "0\t1\t\tintro\n1\t8\t\tverse\n", "section", r"\.lab:2: section: beyond the end of the audio"),
    ],
)
def test_a_bad_label_masks_its_kind_and_is_told_with_file_and_line(
    tmp_path: Path, folder: str, content: str, kind: str, message: str
) -> None:
    track, gaps = load(Isophonics(beatles(tmp_path, **{folder: content})))
    assert set(track.labels) == {"beat", "chord", "key", "section"} - {kind}
    assert list(gaps) == [kind]
    with pytest.raises(ValueError, match=message):
        raise ValueError(gaps[kind])


def test_gaps_may_be_asked_first(tmp_path: Path) -> None:
    corpus = Isophonics(beatles(tmp_path, keylab="0\t1\tKey\tH\n"))
    assert set(corpus.gaps(corpus.items()[0])) == {"key"}


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"beatles: no annotations below .*'the beatles'"):
        Isophonics(tmp_path).items()
    root = beatles(tmp_path)
    with pytest.raises(FileNotFoundError, match="queen: no annotations"):
        Isophonics(root, collection="queen").items()
    with pytest.raises(FileNotFoundError, match="audio: no folder"):
        Isophonics(root, audio=tmp_path / "absent").items()
    with pytest.raises(FileNotFoundError, match="label_map: no such file"):
        Isophonics(root, label_map=tmp_path / "absent.csv").items()
    with pytest.raises(ValueError, match="collection: 'kinks' is unknown; choose one of beatles, queen"):
        Isophonics(root, collection="kinks")  # type: ignore[arg-type]


@pytest.mark.usefixtures("librosa_is_compiled")
def test_mirdata_reads_the_plain_files_alike(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what mirdata imports
        mirdata = pytest.importorskip("mirdata.datasets.beatles")
    root = beatles(
        tmp_path, beat="0.1\t2\n0.3\t3\n0.5\tNew Point\n0.7\t1\n0.9\t2\n", chordlab="0\t1\tN\n1\t1.9\tC:maj\n"
    )
    folder = root / "annotations"
    track, _ = load(Isophonics(root))
    beats = mirdata.load_beats(str(folder / f"beat/The Beatles/{ALBUM}/{SONG}.txt"))
    assert track.labels["beat"].labels == tuple(str(position) for position in beats.positions)
    assert np.array_equal(track.labels["beat"].starts_s, beats.times)
    chords = mirdata.load_chords(str(folder / f"chordlab/The_Beatles/{ALBUM}/{SONG}.lab"))
    assert track.labels["chord"].labels == tuple(chords.labels)
    assert np.array_equal(track.labels["chord"].intervals_s, chords.intervals)


def test_a_beat_without_a_label_is_counted_between_two_that_have_one(tmp_path: Path) -> None:
    beats = "0.1\n0.2 3\n0.3\n0.4 1\n0.5 2\n0.6\n0.7\n0.8 1\n0.9 2\n1.0\n1.1 4\n"
    track, _ = load(Isophonics(beatles(tmp_path, beat=beats)))
    assert track.labels["beat"].labels == ("?", "3", "4", "1", "2", "?", "?", "1", "2", "3", "4")
