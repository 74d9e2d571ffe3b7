import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.npy_tables import read_array, read_strings


class Trap:
    """Whoever unpickles it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_numbers_and_strings(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    for array in (np.eye(3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array([[True], [False]])):
        np.save(path, array)
        np.testing.assert_array_equal(read_array(path, ""), array)
    np.save(path, np.array(["0\ta", "1\tü"]))
    assert read_strings(path, "") == ["0\ta", "1\tü"]
    np.save(path, np.array([b"0\ta", "1\tü".encode()]))  # as Python 2 wrote them
    assert read_strings(path, "") == ["0\ta", "1\tü"]


def test_pickled_objects_are_not_opened(tmp_path: Path) -> None:
    path, trace = tmp_path / "tags.npy", tmp_path / "code was run"
    np.save(path, np.array([Trap(trace)], dtype=object), allow_pickle=True)
    np.load(path, allow_pickle=True)
    assert trace.exists(), "the file of this test is no trap"
    trace.rmdir()
    with pytest.raises(ValueError, match=r"tags\.npy: holds pickled .* runs whatever code .* np\.save\('plain\.npy'"):
        read_array(path, "")
    path.write_bytes(pickle.dumps([Trap(trace)]))
    with pytest.raises(ValueError, match=r"tags\.npy: is no \.npy file"):
        read_array(path, "")
    assert not trace.exists()


def test_the_remedy_for_pickled_lists_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tags.npy"
    np.save(path, np.array(["guitar", "slow"], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="convert it once") as caught:
        read_strings(path, "")
    monkeypatch.chdir(tmp_path)
    command = str(caught.value).partition("with numpy: ")[2].partition(", with float")[0]
    exec(command, {"np": np})
    assert read_strings(tmp_path / "plain.npy", "") == ["guitar", "slow"]


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    with pytest.raises(FileNotFoundError, match="no such file; expected tags"):
        read_array(path, "tags")
    np.save(path, np.arange(9))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(ValueError, match="holds 69 bytes, but its header announces an array of 72"):
        read_array(path, "")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
    with pytest.raises(ValueError, match=r"is no \.npy file"):
        read_array(path, "")
    np.save(path, np.zeros(0))
    with pytest.raises(ValueError, match="an empty array"):
        read_array(path, "")
    np.save(path, np.array([["a"]]))
    with pytest.raises(ValueError, match=r"expected a list of strings, got <U1 of shape \(1, 1\)"):
        read_strings(path, "")
    np.save(path, np.array([b"\xff"]))
    with pytest.raises(ValueError, match="a string cannot be read"):
        read_strings(path, "")


HEADERS = st.sampled_from(
    [
        "{'descr': '<f8', 'fortran_order': False, 'shape': (%s,), }",
        "{'descr': '|O', 'fortran_order': False, 'shape': (%s,), }",
        "{'descr': '<U0', 'fortran_order': False, 'shape': (%s, 99999999999999999999), }",
        "{'descr': ('<f4', (2,)), 'fortran_order': True, 'shape': (%s,), }",
        "{'descr': '<U2', 'fortran_order': False, 'shape': (-1, %s), }",
        "{'descr': '<U2', 'fortran_order': False, 'shape': (%sL,), }",
        "((((%s",
        "%s",
    ]
)


@given(HEADERS, st.text(max_size=8), st.binary(max_size=24), st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]))
def test_any_bytes_are_an_array_or_refused(
    tmp_path_factory: pytest.TempPathFactory, header: str, text: str, content: bytes, version: tuple[int, int]
) -> None:
    encoded = (header % text).encode()
    length = len(encoded).to_bytes(2 if version == (1, 0) else 4, "little")
    path = tmp_path_factory.getbasetemp() / "any.npy"
    for whole in (b"\x93NUMPY" + bytes(version) + length + encoded + content, content):
        path.write_bytes(whole)
        for read in (read_array, read_strings):
            try:
                read(path, "")
            except ValueError as error:
                assert "any.npy" in str(error)
