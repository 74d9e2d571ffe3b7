from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.tables import read_records, read_rows, version


def written(folder: Path, content: bytes) -> Path:
    path = folder / "table.tsv"
    path.write_bytes(content)
    return path


def test_lines_are_counted_through_quotes_marks_and_blanks(tmp_path: Path) -> None:
    path = written(tmp_path, '\ufeff"a"\tb\r\n\r\n"two\nlines"\td\r\n\t \r\ne\n'.encode())
    assert list(read_rows(path, "\t", "")) == [(1, ["a", "b"]), (4, ["two\nlines", "d"]), (6, ["e"])]
    assert next(iter(read_rows(path, "\t", "", quoted=False))) == (1, ['"a"', "b"])


def test_long_fields(tmp_path: Path) -> None:
    path = written(tmp_path, b"x" * 200_000 + b",y\n")
    assert [len(cell) for _, row in read_rows(path, ",", "") for cell in row] == [200_000, 1]


def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent: no such file; expected a table"):
        list(read_rows(tmp_path / "absent", ",", "a table"))
    with pytest.raises(ValueError, match=r"table\.tsv: after line \d: is not UTF-8"):
        list(read_rows(written(tmp_path, b"a\nb\xff\n"), ",", ""))
    with pytest.raises(ValueError, match=r"table\.tsv:\d: cannot be read as a table"):
        list(read_rows(written(tmp_path, b"a\n" + b"x" * (1 << 24) + b"xx\n"), ",", ""))


@given(st.binary(max_size=60), st.booleans())
def test_any_bytes_are_rows_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes, quoted: bool) -> None:
    path = written(tmp_path_factory.getbasetemp(), content)
    try:
        rows = list(read_rows(path, "\t", "", quoted))
    except ValueError as error:
        assert "table.tsv" in str(error)
    else:
        assert all(row and line >= 1 for line, row in rows)


def test_version(tmp_path: Path) -> None:
    assert version(tmp_path / "absent") == (0, 0)
    before = version(written(tmp_path, b"a"))
    assert before == version(tmp_path / "table.tsv") != version(written(tmp_path, b"ab"))


def test_records_by_the_names_of_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "metadata.csv"
    path.write_bytes(b"\xef\xbb\xbfFile, Artist,Title\r\n1,Beyonc\xe9,x\n\n2\n3,b,y,more\n")
    assert read_records(path, ("File", "Artist"), "metadata") == [
        {"File": "1", "Artist": "Beyonc�", "Title": "x"},
        {"File": "2", "Artist": "", "Title": ""},
        {"File": "3", "Artist": "b", "Title": "y"},
    ]
    with pytest.raises(ValueError, match=r"metadata\.csv:1: the first row names no column Album$"):
        read_records(path, ("File", "Album"), "metadata")
    path.write_text("\n")
    assert read_records(path, (), "a table of albums") == []
    with pytest.raises(ValueError, match=r"metadata\.csv: is empty; expected a table of albums"):
        read_records(path, ("Album",), "a table of albums")
