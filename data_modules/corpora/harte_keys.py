"""Keys as Isophonics and JAMS write them, `C#:minor` or a bare `E`, to mir_eval's `C# minor`."""

from __future__ import annotations

import re

import mir_eval

from data_modules.corpora.base import BadTrack

_KEY = re.compile(r"([A-G][b#]*)(?::(\w+))?")
_MODES = {
    None: "major",
    "major": "major",
    "maj": "major",
    "ionian": "major",
    "minor": "minor",
    "min": "minor",
    "aeolian": "minor",
}
"""Modes with the scale of major or of natural minor; the rest are mir_eval's third mode, `other`."""
_OTHER = ("dorian", "phrygian", "lydian", "mixolydian", "locrian", "modal", "other")
_NONE = ("n", "x", "silence")
_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


def key_label(text: str, source: str) -> str | None:
    """The key in mir_eval's words; None where there is none (`N`, `X`, `Silence`).

    A tonic that mir_eval has no name for, such as Cb, is respelt.

    Args:
        text: `E`, `C#:minor`, `D:mixolydian`, ...
        source: File and line to name in the message.

    Raises:
        BadTrack: The text is no key.
    """
    if text.lower() in _NONE:
        return None
    match = _KEY.fullmatch(text)
    mode = match[2].lower() if match and match[2] else None
    if match is None or not (mode in _MODES or mode in _OTHER):
        raise BadTrack(f"{source}: {text!r} is no key such as E, C#:minor or D:mixolydian")
    tonic = match[1]
    if tonic.lower() not in mir_eval.key.KEY_TO_SEMITONE:
        tonic = _TONICS[mir_eval.chord.pitch_class_to_semitone(tonic) % 12]
    return f"{tonic} {_MODES.get(mode, 'other')}"
