"""What a file of centroids says of itself, read without torch: for tables of what runs were trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

KEY = "musicfm_kmeans"
"""The only entry of the file's metadata: safetensors writes several in any order, and equal fits are equal files."""


KEPT = "centroids.json"
"""The same in the folder of a run that was collected, where the centroids themselves are left out."""


def about_centroids(file: Path, run: Path) -> dict[str, Any]:
    """Its `centroids.Header` as a mapping, unchecked; empty if nothing is left of it.

    Args:
        file: As the configuration names it; it may have moved along with the run.
        run: Directory of the run that was trained on these tokens.
    """
    for place in (file, run / file.name):
        try:
            with safe_open(place, framework="numpy") as opened:
                return _mapping((opened.metadata() or {}).get(KEY, "{}"))
        except (OSError, SafetensorError):
            continue
    try:
        return _mapping((run / KEPT).read_text(encoding="utf-8"))
    except OSError:
        return {}


def _mapping(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
