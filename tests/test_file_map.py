"""The README's file map says what is there: a line for each module and each folder of experiments."""

from __future__ import annotations

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
README = REPOSITORY / "README.md"


def expected() -> list[str]:
    modules = [
        file.relative_to(REPOSITORY).as_posix()
        for package in ("data_modules", "musicfm_pl")
        for file in (REPOSITORY / package).rglob("*.py")
    ]
    # A package's empty __init__ says nothing; one with something in it is a module like any other.
    modules = [name for name in modules if not name.endswith("__init__.py") or (REPOSITORY / name).stat().st_size]
    folders = [folder for folder in (REPOSITORY / "experiments").iterdir() if folder.is_dir()]
    return sorted([*modules, *(f"experiments/{folder.name}/" for folder in folders)])


def mapped() -> list[tuple[str, str]]:
    """(path, what it is) of each line of the fenced block under the heading."""
    block = re.search(r"^## File map\n.*?^```[^\n]*\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert block, "README.md: no fenced block under `## File map`"
    lines = [line.strip() for line in block[1].splitlines() if line.strip()]
    parts = [re.split(r"\s{2,}", line, maxsplit=1) for line in lines]
    assert all(len(part) == 2 for part in parts), f"need two spaces between path and text: {lines}"
    return [(path, text) for path, text in parts]


def test_the_map_has_one_line_for_each_file() -> None:
    paths = [path for path, _ in mapped()]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    missing = sorted(set(expected()) - set(paths))
    gone = sorted(path for path in set(paths) - set(expected()) if not (REPOSITORY / path).exists())
    assert not twice, f"README.md, file map: more than one line for {twice}"
    assert not missing, "README.md, file map: add\n" + "\n".join(f"{path}   what it is" for path in missing)
    assert not gone, f"README.md, file map: there is no {gone}"


def test_nothing_in_the_readme_is_still_to_be_filled_in() -> None:
    assert "@@" not in README.read_text()
