"""Whatever the files of a data set hold, its reader reads it or says what is wrong, and where."""

import importlib
import inspect
import itertools
import json
import os
import pickle
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from layouts import LAYOUTS

from data_modules import SAMPLE_RATE, corpora
from data_modules.audio import SUFFIXES
from data_modules.corpora.base import BadTrack, Corpus
from data_modules.labels import check

NO_FILES_OF_OTHERS = {"Dcml", "FlacTar", "Folder", "Tiny"}
"""Fetched and checked by its digest; written by `musicfm export`; audio alone; part of this package."""

JUNK = (
    *("", " ", "nan", "-inf", "inf", "-1", "0", "1e309", "1e-400", "99999999", "9" * 5000, "9" * 400, "0x10", "1_000"),
    *("٣", "²", "१.५", "１", "?", "#", "/", "..", ".", '"', "'", ",", "\t", "\0", "\x85", "\u2028", "\ufeff", "\x1c"),
    *("é", "x" * 3000, "x" * 140_000, "C:maj(", "C:maj(*1)/99", "Key", "New Point", "end", "Silence", "A", "VERSE"),
    *("A / B", "key", "~", "%s", "{0}", "[red]", "\\", "test", "train", "-1.5", "1.9999", "2.5", "3.5", "i99A99"),
)
"""What one field, or one value of a JSON file, is replaced by."""
VALUES = (None, True, -1, 0.5, 1e300, float("nan"), float("inf"), 10**400, [], {}, {"label": 1}, [[]], *JUNK)

_OF_A_WHOLE_FILE = "cannot be read|is empty|holds no|says that there are no|has only|only . downbeats|no regular bars"

_TICKS = itertools.count(1)


class Damage(NamedTuple):
    """What a file holds now, and the line of which one field was replaced, if nothing else was."""

    content: bytes
    line: int | None = None


def corpus_classes() -> set[type[Corpus]]:
    for module in pkgutil.iter_modules(corpora.__path__):
        importlib.import_module(f"{corpora.__name__}.{module.name}")
    found, open_ = set(), [Corpus]
    while open_:
        open_ += (children := open_.pop().__subclasses__())
        found.update(children)
    return {c for c in found if not inspect.isabstract(c) and c.__module__.startswith(corpora.__name__)}


def test_every_corpus_has_a_layout() -> None:
    covered = {get_type_hints(layout)["return"] for layout in LAYOUTS}
    lacking = {corpus.__name__ for corpus in corpus_classes() - covered}
    assert lacking == NO_FILES_OF_OTHERS, "write its files in little in tests/support/layouts.py"


@st.composite
def field_replaced(draw: st.DrawFn, text: str) -> Damage:
    fields = list(re.finditer(r"[^\s,|]+", text))
    match = draw(st.sampled_from(fields))
    junk = draw(st.sampled_from(JUNK) | st.text(max_size=8))
    damaged = text[: match.start()] + junk + text[match.end() :]
    return Damage(damaged.encode(errors="replace"), 1 + len(re.findall(r"\r\n|\r|\n", text[: match.start()])))


@st.composite
def lines_moved(draw: st.DrawFn, text: str) -> Damage:
    lines = text.splitlines(keepends=True)
    for _ in range(draw(st.integers(1, 3))):
        at, other = (draw(st.integers(0, max(len(lines) - 1, 0))) for _ in range(2))
        action = draw(st.sampled_from(("drop", "double", "swap", "line end", "all line ends")))
        if not lines:
            break
        if action == "drop":
            del lines[at]
        elif action == "double":
            lines.insert(other, lines[at])
        elif action == "swap":
            lines[at], lines[other] = lines[other], lines[at]
        else:
            end = draw(st.sampled_from(("\r\n", "\r", "", "\x85", "\n\n")))
            chosen = [at] if action == "line end" else range(len(lines))
            for index in chosen:
                lines[index] = lines[index].rstrip("\r\n") + end
    return Damage("".join(lines).encode())


@st.composite
def bytes_changed(draw: st.DrawFn, content: bytes) -> Damage:
    start, end = sorted(draw(st.integers(0, len(content))) for _ in range(2))
    some = st.binary(max_size=12) | st.sampled_from(
        (b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"[" * 100_000, b"\xed\xa0\x80")
    )
    return Damage(content[:start] + draw(some) + content[draw(st.sampled_from((start, end))) :])


@st.composite
def value_replaced(draw: st.DrawFn, text: str) -> Damage:
    tree = json.loads(text)
    places = list(_places(tree))
    holder, key = draw(st.sampled_from(places))
    holder[key] = draw(st.sampled_from(VALUES))
    return Damage(json.dumps(tree).encode())


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield tree, key
        yield from _places(value)


def damaged(path: Path, content: bytes) -> st.SearchStrategy[Damage]:
    anything = st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode(errors="replace"))
    ways = [anything.map(Damage), bytes_changed(content)]
    if path.suffix in (".jams", ".json"):
        ways += [value_replaced(content.decode())] * 4
    elif path.suffix not in (".npy", ".mid"):
        ways += [lines_moved(content.decode()), field_replaced(content.decode()), field_replaced(content.decode())]
    return st.one_of(ways)


def complaints(corpus: Corpus) -> Iterator[str]:
    """All that a reader says is wrong; whatever else it raises fails the test."""
    try:
        items = corpus.items()
        corpus.remarks()
    except (ValueError, FileNotFoundError) as error:
        assert type(error) in (ValueError, FileNotFoundError, BadTrack), repr(error)
        yield str(error)
        return
    for item in items:
        try:
            track = corpus.load(item)
        except BadTrack as error:
            yield str(error)
            continue
        check(track.labels, len(track.waveform_N) / SAMPLE_RATE, item.track_id)
        yield from corpus.gaps(item).values()


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__.strip("_"))
@settings(max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_input_is_read_or_refused_by_name(
    layout: Callable[[Path], Corpus], once: Callable[[str, Callable[[Path], object]], Path], data: st.DataObject
) -> None:
    root = once(f"layout{layout.__name__}", lambda folder: _write(layout, folder))
    fresh = (root / "corpus.pickle").read_bytes()
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.suffix not in (*SUFFIXES, ".pickle"))
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    damage = data.draw(damaged(path, content))
    try:
        path.write_bytes(damage.content)
        # Readers that keep tables look at the time of a file, and the clock of a file system is slower than this test.
        os.utime(path, ns=(0, next(_TICKS)))
        for complaint in complaints(pickle.loads(fresh)):
            assert str(root) in complaint
            if damage.line is not None and str(path) in complaint:
                assert re.search(rf"{re.escape(str(path))}:\d|{_OF_A_WHOLE_FILE}", complaint), complaint
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(0, next(_TICKS)))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.__name__.strip("_"))
def test_nothing_is_wrong_with_undamaged_files(layout: Callable[[Path], Corpus], tmp_path: Path) -> None:
    corpus = layout(tmp_path)
    assert [one for one in complaints(corpus) if "no such file" not in one] == []
    labelled = [corpus.load(item).labels for item in corpus.items()[:1]]
    assert all(labelled)


def _write(layout: Callable[[Path], Corpus], folder: Path) -> None:
    folder.mkdir(parents=True)
    corpus = layout(folder)
    (folder / "corpus.pickle").write_bytes(pickle.dumps(corpus))
