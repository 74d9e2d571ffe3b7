"""Files as GTZAN-Rhythm has them."""

from __future__ import annotations

import json
from typing import Any


def _annotation(kind: str, times_s: list[Any]) -> dict[str, Any]:
    data = [{"time": time_s, "duration": 0.0, "value": None, "confidence": None} for time_s in times_s]
    return {"namespace": "beat", "sandbox": {"annotation_type": kind}, "data": data}


def jams_text(beats_s: list[Any], downbeats_s: list[Any]) -> str:
    """The text of a file: the kind of each annotation stands in its sandbox, and one has none."""
    annotations = [_annotation("beat", beats_s), _annotation("downbeat", downbeats_s), {"sandbox": {}, "data": []}]
    return json.dumps({"annotations": annotations, "file_metadata": {}})
