"""Preparing the miniature corpus, two tracks a shard, and what a prepared folder holds."""

from __future__ import annotations

from pathlib import Path

BEGIN = ("prepare", "--corpus", "miniature.Miniature", "--jobs", "1", "--tracks_per_shard", "2")


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and "embeddings" not in path.parts
    }
