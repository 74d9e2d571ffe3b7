from pathlib import Path

from data_modules.corpora.remarks import listed, missing, without_audio


def test_remarks_name_what_is_missing_and_what_is_empty(tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("x")
    (tmp_path / "empty").touch()
    names = ["whole", "empty", *(f"absent{number:02d}" for number in range(14))]
    lines = without_audio({name: [tmp_path / name] for name in names})
    assert lines[0].startswith("14 of 16 tracks have no audio: absent00, absent01,")
    assert lines[0].endswith("absent11 and 2 more")
    assert lines[1] == "1 of 16 tracks have audio files without content: empty"
    assert lines[2:] == ["set_aside.tsv, which `musicfm prepare` writes, and `musicfm doctor --out FILE` name them all"]
    assert len(without_audio({"empty": [tmp_path / "empty"]})) == 1
    assert without_audio({"whole": [tmp_path / "whole"]}) == []


def test_names_in_messages() -> None:
    assert missing(["a", "b"], {"b": Path("b"), "c": Path("c")}, "tracks have none") == ["1 tracks have none: a"]
    names = [f"{number:03d}" for number in range(200)]
    assert missing(names, {}, "tracks have none") == [f"200 tracks have none: {', '.join(names)}"], "all of them"
    assert missing(["b"], {"b": Path("b")}, "tracks have none") == []
    assert listed([f"{number:02d}" for number in range(14)]).endswith("10, 11 and 2 more")
