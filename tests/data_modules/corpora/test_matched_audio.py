from pathlib import Path

import pytest
from sounds import write_sound, write_text

from data_modules.corpora.matched_audio import by_identifier, by_place, by_song, match_audio, plain


def test_names_are_compared_plainly() -> None:
    assert plain("01_-_I'm_Happy!") == plain("01 Im  HAPPY") == "01 im happy"
    assert plain("Für Élise") == "fur elise"


def test_songs_match_by_album_and_name_then_without_numbers_then_by_name(tmp_path: Path) -> None:
    songs = ["05_-_Help!/01_-_Help!", "05_-_Help!/13_-_Yesterday", "10CD1_-_The_Beatles/08_-_Happiness", "x/01_-_Lost"]
    files = [
        Path("Beatles/05 - Help!/01 - help.flac"),
        Path("Beatles/help/Yesterday.mp3"),
        Path("Beatles/White Album/1-08 Happiness.mp3"),
        Path("Beatles/White Album/08 Happiness.mp3"),
    ]
    found = by_song(songs, files)
    assert found == {songs[0]: files[0], songs[1]: files[1], songs[2]: files[3]}


def test_two_of_one_name_do_not_match_by_it() -> None:
    assert by_song(["a/01_Song", "b/02_Song"], [Path("c/Song.wav")]) == {}
    assert by_song(["a/01_Song"], [Path("c/Song.wav"), Path("d/Song.mp3")]) == {}
    assert by_song(["a/01_Song", "b/02_Song"], [Path("b/Song.wav")]) == {"b/02_Song": Path("b/Song.wav")}


def test_identifiers_match_by_stem_and_number() -> None:
    files = [Path("x/0003.mp3"), Path("x/0004_abc.flac"), Path("y/3.wav"), Path("y/abc.wav")]
    assert by_identifier(["3", "0004_abc", "0009"], files) == {"3": files[0], "0004_abc": files[1]}
    assert by_identifier(["0003"], [Path("3.wav")]) == {"0003": Path("3.wav")}


def test_places_match_first_and_names_that_are_unique_after_them() -> None:
    files = [Path("/m") / name for name in ("a/1.mp3", "a/1.wav", "x/1.wav", "x/2.wav", "y/3.wav", "z/3.wav", "4.wav")]
    found = by_place(["a/1", "b/1", "b/2", "c/3", "4", "e/4"], files, Path("/m"))
    assert found == {"a/1": files[0], "b/2": files[3], "4": files[6]}
    assert by_place(["b/1"], files[2:], Path("/m")) == {"b/1": files[2]}
    assert by_place(["b/1", "c/1"], files[2:], Path("/m")) == {}


def test_what_has_no_counterpart_is_named(tmp_path: Path) -> None:
    for name in ("1.wav", "deep/7.wav", ".2.wav"):
        write_sound(tmp_path / name, 0.1)
    write_text(tmp_path / "cover.jpg", "")
    matched = match_audio(["1", "2"], tmp_path, by_identifier)
    assert matched.files == {"1": tmp_path / "1.wav"}
    assert matched.remarks() == [
        f"1 annotated tracks without audio below {tmp_path} are left out: 2",
        "1 audio files are of no annotated track: deep/7.wav",
    ]
    assert match_audio(["1", "7"], tmp_path, by_identifier).remarks() == []


def test_no_audio_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"audio: no folder .*absent"):
        match_audio(["1"], tmp_path / "absent", by_identifier)
    with pytest.raises(FileNotFoundError, match=r"audio: no audio below .*; looked for \.wav"):
        match_audio(["1"], tmp_path, by_identifier)
    write_sound(tmp_path / "song.wav", 0.1)
    with pytest.raises(FileNotFoundError, match=r"none of the 1 audio files .* such as song\.wav, .* such as 1$"):
        match_audio(["1"], tmp_path, by_identifier)
