"""Spellings of keys in data sets, turned into the form that mir_eval reads, such as "C# minor"."""

from __future__ import annotations

import re

from data_modules.corpora import dcml_harmony
from data_modules.corpora.base import BadTrack

_MODES = {
    "major": "major", "maj": "major", "ionian": "major",
    "minor": "minor", "min": "minor", "aeolian": "minor",
    "dorian": "other", "phrygian": "other", "lydian": "other", "mixolydian": "other", "locrian": "other",
    "modal": "other", "other": "other",
}  # fmt: skip
"""Modes in lower case to mir_eval's three. "M" and "m" are told apart by their case."""
_NO_KEY = frozenset({"n", "x", "silence"})
"""What data sets write where there is no key, in lower case."""
_BLANK = frozenset({"", "-"})
"""What tables have in place of a key."""
_PART = re.compile(r"(?:[Kk]ey\s+)?(?P<letter>[A-Ga-g])(?P<sign>##?|bb?|)\s*[:_-]?\s*(?P<mode>[A-Za-z]*)")
_HARTE = re.compile(r"(?P<tonic>[A-G][b#]*)(?::(?P<mode>\w+))?")


def key(text: str) -> str:
    """The one key that a label names.

    Args:
        text: A tonic and a mode, such as `E minor`, `Db maj`, `C#:minor`, `Bbm`, `Fb:mixolydian`; or, as
            Isophonics has it, a capital tonic alone, `E`, for major.

    Returns:
        "<tonic> major", "<tonic> minor" or "<tonic> other", as `mir_eval.key.validate_key` accepts it. The tonic
        keeps its spelling where mir_eval knows that, and is respelt where not (Fb as E, E# as F).

    Raises:
        ValueError: It names no key, or several.
    """
    found = keys(text)
    if len(found) != 1:
        raise ValueError(f"{text!r} names {'several keys' if found else 'no key'}; one was expected")
    return found[0]


def keys(text: str) -> tuple[str, ...]:
    """All keys that a label names, each once, as `key` writes them; none for `-`, `N`, `X`, `Silence` and blanks.

    Several stand between slashes and may share a tonic or a mode: `A / B minor`, `G minor/major`.

    Raises:
        ValueError: A part of it is no key.
    """
    if text.strip().lower() in _NO_KEY | _BLANK:
        return ()
    parts = [_part(part.strip(), text) for part in text.replace("♯", "#").replace("♭", "b").split("/")]
    found: list[str] = []
    tonic = ""
    for at, (own_tonic, own_mode) in enumerate(parts):
        tonic = own_tonic or tonic
        mode = own_mode or next((later for _, later in parts[at + 1 :] if later), "")
        if not mode and tonic[:1].isupper():
            mode = "major"
        if not tonic or not mode:
            raise _unknown(text)
        found.append(f"{_respelt(tonic)} {mode}")
    return tuple(dict.fromkeys(found))


def harte_key(text: str, source: str) -> str | None:
    """The key that a label of Isophonics or JAMS names, as `key` writes it; None for `N`, `X` and `Silence`.

    Their syntax is stricter than what `key` reads, save that a tonic may have any number of signs.

    Args:
        text: `E`, `C#:minor`, `D:mixolydian`, ...
        source: File and line to name in the message.

    Raises:
        BadTrack: The text is no key.
    """
    if text.lower() in _NO_KEY:
        return None
    match = _HARTE.fullmatch(text)
    mode = _MODES.get((match["mode"] or "major").lower()) if match else None
    if match is None or mode is None:
        raise BadTrack(f"{source}: {text!r} is no key such as E, C#:minor or D:mixolydian")
    return f"{_respelt(match['tonic'])} {mode}"


def _respelt(tonic: str) -> str:
    """The tonic, or where mir_eval has no name for it one that sounds alike."""
    return dcml_harmony.key(dcml_harmony.fifths(tonic), minor=False).split()[0]


def _part(part: str, text: str) -> tuple[str, str]:
    """Tonic and mode of what stands between slashes, "" for what it lacks."""
    mode = _mode(part)
    if mode:
        return "", mode
    match = _PART.fullmatch(part)
    if match is None:
        raise _unknown(text)
    mode = _mode(match["mode"])
    if match["mode"] and not mode:
        raise _unknown(text)
    return match["letter"] + match["sign"], mode


def _mode(word: str) -> str:
    return {"M": "major", "m": "minor"}.get(word) or _MODES.get(word.lower(), "")


def _unknown(text: str) -> ValueError:
    return ValueError(
        f"{text!r} is no key; expected a tonic and a mode, such as 'C# minor', 'Db maj', 'E:min' or 'Bbm', "
        f"or a capital tonic alone for major"
    )
