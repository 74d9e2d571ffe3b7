"""A corpus of scores that another soundfont plays: another sound is another test set, and its tables say so."""

from __future__ import annotations

import re
from pathlib import Path

from data_modules.corpora.base import Corpus
from data_modules.synth import SOUNDFONT


def take_soundfont(corpus: Corpus, soundfont: Path | None) -> None:
    """Puts the soundfont into the corpus' name, licence and note; nothing is changed for the renderer's own.

    Args:
        corpus: Whose scores are played.
        soundfont: A file; None for the renderer's own.
    """
    if soundfont is None:
        return
    corpus.name = f"{corpus.name}-{re.sub('[^a-z0-9]+', '-', soundfont.stem.lower()).strip('-')}"
    played = f"rendered with {soundfont.name}"
    corpus.note = _with(corpus.note, played)
    corpus.licence = _with(corpus.licence, f"{played} under its own licence")


def _with(text: str, played: str) -> str:
    """The text with the soundfont in the place of the renderer's own, or after it."""
    other, count = re.subn(rf"rendered with {SOUNDFONT}(\.sf2, GPL-2)?", lambda _: played, text)
    return other if count else f"{text}; {played}"
