"""What every table must say of a corpus by the settings that change what is scored: folds, lists, maps of labels."""

from __future__ import annotations

from pathlib import Path


def split_note(split_file: Path | None, fold: int | None = None, usual: int | None = None, of: str = "our own") -> str:
    """Such as "fold 3 of our own" or "split from 8-folds.split, fold 3"; empty where all is as usual.

    Args:
        split_file: The user's lists, which take the place of the folds.
        fold: The one for test; without one, lists of folds give that of number 0.
        usual: The fold of which nothing need be said.
        of: Whose the folds are.
    """
    if split_file is not None:
        return f"split from {_name(split_file)}" + (f", fold {fold}" if fold else "")
    return "" if fold == usual else f"fold {fold} of {of}"


def map_note(label_map: Path | None) -> str:
    """Such as "sections by mine.csv"; empty without a table of one's own."""
    return "" if label_map is None else f"sections by {_name(label_map)}"


def joined(*notes: str) -> str:
    """The notes that say something, parted by semicolons."""
    return "; ".join(note for note in notes if note)


def _name(path: Path) -> str:
    # "." and ".." have names, too.
    return Path(path).resolve().name
