"""A folder of blocks that were fetched from afar, bounded in size, and shared by all processes of a machine."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path
from typing import final

from data_modules.shards import written_aside

_SHARE = 32
"""A process looks at the size of the whole after it has added this part of it."""
_KEPT = 0.9
"""Share of the size down to which the least recently used blocks go."""


@final
class BlockCache:
    """Files by the digest of what they hold a copy of.

    Args:
        folder: Is made when it is needed.
        max_bytes: Bound of all files together; each process may exceed it by a thirty-second part. 0 for no cache.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self.folder = folder
        self.max_bytes = max_bytes
        self._added = max_bytes  # what others left is looked at with the first block

    def get(self, key: str) -> bytes | None:
        """A block, if it is here."""
        if not self.max_bytes:
            return None
        path = self._path(key)
        with contextlib.suppress(OSError):
            block = path.read_bytes()
            os.utime(path)
            return block
        return None

    def put(self, key: str, block: bytes) -> None:
        """Keeps a block; a disk that is full keeps none, and that is no harm."""
        if not self.max_bytes:
            return
        with contextlib.suppress(OSError), written_aside(self._path(key), durable=False) as file:
            file.write(block)
        self._added += len(block)
        if self._added >= self.max_bytes / _SHARE:
            self._added = 0
            self._shrink()

    def drop(self, key: str) -> None:
        """Forgets a block."""
        with contextlib.suppress(OSError):
            self._path(key).unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()
        return self.folder / digest[:2] / digest[2:]

    def _shrink(self) -> None:
        found: list[tuple[float, int, str]] = []
        folders: list[Path] = []
        with contextlib.suppress(OSError):  # a disk on which no folder could be made
            folders = list(self.folder.iterdir())
        for folder in folders:
            with contextlib.suppress(OSError):  # another process may be at the same
                for file in os.scandir(folder):
                    with contextlib.suppress(OSError):
                        status = file.stat()
                        found.append((status.st_mtime, status.st_size, file.path))
        total = sum(size for _, size, _ in found)
        if total <= self.max_bytes:
            return
        for _, size, path in sorted(found):
            if total <= _KEPT * self.max_bytes:
                break
            with contextlib.suppress(OSError):
                Path(path).unlink()
            total -= size
