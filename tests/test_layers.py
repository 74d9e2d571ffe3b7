"""Who may import whom, and that every class is either abstract or final."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import data_modules
import musicfm_pl

REPOSITORY = Path(__file__).parents[1]
MODULES = sorted([*REPOSITORY.glob("data_modules/**/*.py"), *REPOSITORY.glob("musicfm_pl/**/*.py")])
ABSTRACT = {
    "musicfm_pl.encoders.base": "Encoder",
    "musicfm_pl.tokenizers.base": "Tokenizer",
    "musicfm_pl.tokenizers.token_features": "TokenFeatures",
    "musicfm_pl.heads.base": "Head",
    "musicfm_pl.baselines.base": "Baseline",
    "data_modules.blocks": "Encoding",
    "data_modules.corpora.base": "Corpus",
    "data_modules.masking": "Masking",
    "data_modules.mel": "Features",
}


def name_of(file: Path) -> str:
    return ".".join(file.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")


def imports(file: Path) -> set[str]:
    """Modules of ours that a file imports, at its top or within a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: a relative import"
            # `from package import module` names a module too.
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    known = {name_of(module) for module in MODULES}
    return {name for name in found if name in known}


def test_the_walk_sees_imports() -> None:
    assert "data_modules.mel" in imports(REPOSITORY / "data_modules" / "masking.py")
    assert "data_modules.embeddings" in imports(REPOSITORY / "data_modules" / "task.py")
    assert "data_modules.statistics" in imports(REPOSITORY / "data_modules" / "card_text.py")


@pytest.mark.parametrize("file", [file for file in MODULES if name_of(file).startswith("data_modules")], ids=name_of)
def test_data_modules_import_nothing_of_musicfm_pl(file: Path) -> None:
    above = {name for name in imports(file) if name.startswith("musicfm_pl")}
    assert not above, f"{file} imports {above}: data modules speak of audio and seconds, and know no model"


@pytest.mark.parametrize("file", sorted((REPOSITORY / "musicfm_pl" / "systems").glob("*.py")), ids=name_of)
def test_systems_import_no_concrete_part(file: Path) -> None:
    parts = ("musicfm_pl.encoders.", "musicfm_pl.tokenizers.", "musicfm_pl.heads.", "data_modules.corpora.")
    concrete = {name for name in imports(file) if name.startswith(parts) and not name.endswith((".base", ".rates"))}
    assert not concrete, f"{file} imports {concrete}: a system knows the abstract parts; YAML names the concrete ones"


@pytest.mark.parametrize("folder", ["encoders", "tokenizers", "heads"])
def test_parts_do_not_import_systems_or_one_another(folder: str) -> None:
    others = {"encoders", "tokenizers", "heads", "systems"} - {folder}
    forbidden = tuple(f"musicfm_pl.{other}." for other in others)
    for file in sorted((REPOSITORY / "musicfm_pl" / folder).glob("*.py")):
        found = {name for name in imports(file) if name.startswith(forbidden)}
        # Stacking frames is a fact about tokens that both sides share; a tokenizer may be taught by an encoder, which
        # it knows as that and no further.
        allowed = {"musicfm_pl.tokenizers.base"} | ({"musicfm_pl.encoders.base"} if folder == "tokenizers" else set())
        assert found <= allowed, f"{file} imports {found}"


@pytest.mark.parametrize("folder", ["encoders", "tokenizers", "heads", "systems"])
def test_nothing_trained_needs_a_baseline(folder: str) -> None:
    for file in sorted((REPOSITORY / "musicfm_pl" / folder).glob("*.py")):
        found = {name for name in imports(file) if name.startswith("musicfm_pl.baselines")}
        assert not found, f"{file} imports {found}: librosa is an extra"


def modules_of_both_packages() -> Iterator[str]:
    for package in (data_modules, musicfm_pl):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            yield module.name


def subclasses(cls: type) -> set[type]:
    children = set(cls.__subclasses__())
    return children.union(*(subclasses(child) for child in children))


@pytest.mark.parametrize("module", ABSTRACT)
def test_every_class_is_abstract_or_final(module: str) -> None:
    for name in modules_of_both_packages():
        importlib.import_module(name)
    base = getattr(importlib.import_module(module), ABSTRACT[module])
    assert inspect.isabstract(base)
    found = {cls for cls in subclasses(base) if cls.__module__.split(".")[0] in ("data_modules", "musicfm_pl")}
    assert found, f"no {base.__name__} at all"
    for cls in found:
        assert not inspect.isabstract(cls), f"{cls.__qualname__} is abstract: only {base.__name__} may be"
        assert not cls.__subclasses__(), f"{cls.__qualname__} is final, but {cls.__subclasses__()} derive from it"
        assert base in cls.__bases__, f"{cls.__qualname__} does not derive from {base.__name__} itself"


def test_nothing_is_a_drawer() -> None:
    drawers = [file for file in MODULES if file.stem in ("utils", "util", "common", "helpers", "misc")]
    assert not drawers
    long = {str(file): count for file in MODULES if (count := len(file.read_text().splitlines())) > 300}
    assert not long, f"a file of more than 300 lines is two: {long}"


def test_nothing_swallows_errors_or_names_a_machine() -> None:
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text())):
            assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"{file}:{node.lineno}: bare except"
        assert "/work/" not in file.read_text()
