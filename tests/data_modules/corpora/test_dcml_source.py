import errno
import io
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from data_modules.corpora import dcml_source

MINIATURE = Path(__file__).parent / "dcml_miniature"
"""Ten bars of our own in the layout of the DCML tables, under a name that the lists know."""
MOVEMENT = "corelli/op01n01a"


def zipped(**replaced: str) -> zipfile.ZipFile:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in sorted(MINIATURE.glob("*.tsv")):
            text = replaced.get(path.stem.removeprefix("dcml_corpora."), path.read_text())
            archive.writestr(path.name, text)
    return zipfile.ZipFile(buffer)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source package with the miniature in it, which pip finds in a folder and without the network."""
    archive = zipped()
    assert archive.fp is not None
    archive.fp.seek(0)
    content = archive.fp.read()
    name = f"{dcml_source.PACKAGE}-{dcml_source.VERSION}"
    identity = f"Name: {dcml_source.PACKAGE}\nVersion: {dcml_source.VERSION}\n"
    build = '[build-system]\nrequires = ["setuptools~=65.6.3"]\nbuild-backend = "setuptools.build_meta"\n'
    members = {
        f"{name}/PKG-INFO": f"Metadata-Version: 2.1\n{identity}".encode(),
        f"{name}/pyproject.toml": build.encode(),
        f"{name}/setup.py": b"raise SystemExit('the package was run')\n",
        dcml_source.ZIP_PATH: content,
    }
    path = tmp_path / "index" / f"{name}.tar.gz"
    path.parent.mkdir()
    with tarfile.open(path, "w:gz") as tar:
        for member, data in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    monkeypatch.setattr(dcml_source, "TAR_SHA256", sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(dcml_source, "ZIP_SHA256", sha256(content).hexdigest())
    return path


def test_fetch_brings_converts_and_repeats_nothing(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = Path("root")  # relative, as the default is: pip builds in a directory of its own
    lines: list[str] = []
    dcml_source.fetch(root, lines.append)
    assert [path.name for path in root.iterdir()] == [dcml_source.STORE]  # nothing bulky is left
    assert dcml_source.read_rows(root / dcml_source.STORE, "measures", MOVEMENT).num_rows == 10
    package.unlink()
    dcml_source.fetch(root, lines.append)
    assert "already" in lines[-1]


@pytest.mark.parametrize("checksum", ["TAR_SHA256", "ZIP_SHA256"])
def test_a_wrong_checksum_is_refused_and_nothing_is_kept(
    checksum: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dcml_source, checksum, "0" * 64)
    with pytest.raises(ValueError, match=r"dimcat-3\.4\.0.*sha256 is .*, expected 000"):
        dcml_source.fetch(tmp_path / "root", lambda line: None)
    assert list((tmp_path / "root").iterdir()) == []


def test_without_a_package_the_message_quotes_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ConnectionError, match=r"(?s)pip could not download dimcat.*No matching distribution"):
        dcml_source.fetch(tmp_path / "root", lambda line: None)
    assert list((tmp_path / "root").iterdir()) == []


def test_a_full_disk_leaves_nothing(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tables: zipfile.ZipFile, store: Path) -> None:
        store.mkdir()
        (store / "notes.arrow").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(dcml_source, "convert", full)
    with pytest.raises(OSError, match=r"the disk is full: dcml needs .* nothing was kept"):
        dcml_source.fetch(tmp_path / "root", lambda line: None)
    assert list((tmp_path / "root").iterdir()) == []


def test_the_faster_of_two_stands(tmp_path: Path) -> None:
    for name, text in (("target", "first"), ("made", "second")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(text)
    dcml_source.publish(tmp_path / "made", tmp_path / "target")
    assert (tmp_path / "target" / "file").read_text() == "first"
    assert not (tmp_path / "made").exists()


def test_tables_are_converted(tmp_path: Path) -> None:
    dcml_source.convert(zipped(), tmp_path / "store")
    bars = dcml_source.read_rows(tmp_path / "store", "measures", MOVEMENT)
    assert bars["act_dur"].to_pylist() == [1.0] + [3.0] * 9
    assert bars["mc_offset"].to_pylist()[:2] == [2.0, 0.0]
    assert bars["volta"].to_pylist()[3:7] == [dcml_source.MISSING, 1, 2, dcml_source.MISSING]
    notes = dcml_source.read_rows(tmp_path / "store", "notes", MOVEMENT)
    assert notes.num_rows == 19  # of 20: the grace note is left out
    assert np.isfinite(notes["duration"].to_numpy()).all()
    assert dcml_source.read_rows(tmp_path / "store", "notes", "corelli/unknown").num_rows == 0


def test_a_movement_is_read_apart_from_its_neighbours(tmp_path: Path) -> None:
    text = (MINIATURE / "dcml_corpora.notes.tsv").read_text()
    header, body = text.split("\n", 1)
    other = body.replace("op01n01a", "op01n01b").rstrip("\n").split("\n")[:5]
    dcml_source.convert(zipped(notes="\n".join([header, *other, body])), tmp_path / "store")
    assert dcml_source.read_rows(tmp_path / "store", "notes", "corelli/op01n01b").num_rows == 4
    assert dcml_source.read_rows(tmp_path / "store", "notes", MOVEMENT)["midi"].to_pylist()[0] == 72
    scattered = "\n".join([header, *other, body.rstrip("\n"), *other])
    with pytest.raises(ValueError, match=r"notes\.tsv.*do not stand together"):
        dcml_source.convert(zipped(notes=scattered), tmp_path / "scattered")


def test_a_table_without_its_columns_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"dcml_corpora\.measures\.tsv: cannot be read"):
        dcml_source.convert(zipped(measures="corpus\tpiece\nx\ty\n"), tmp_path / "store")
