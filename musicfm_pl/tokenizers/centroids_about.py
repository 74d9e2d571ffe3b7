"""What a file of centroids says of itself, read without torch: for tables of what runs were trained on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

KEY = "musicfm_kmeans"
"""The only entry of the file's metadata: safetensors writes several in any order, and equal fits are equal files."""


def about_centroids(file: Path) -> dict[str, Any]:
    """Its `centroids.Header` as a mapping, unchecked; empty if the file is not there or is something else."""
    try:
        with safe_open(file, framework="numpy") as opened:
            found = json.loads((opened.metadata() or {}).get(KEY, "{}"))
    except (OSError, SafetensorError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}
