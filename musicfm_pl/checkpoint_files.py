"""How checkpoints lie on the disk: each whole or not at all, and the last but one kept beside the last."""

from __future__ import annotations

import errno
import lzma
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

LAST = "last.ckpt"
PREVIOUS = "previous.ckpt"
NOT_AS_WRITTEN = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(RuntimeError, ValueError, OverflowError, EOFError),
)
"""What zipfile says of flipped bits: that a part is encrypted, of an unknown kind, named in no encoding, and so on."""


class CheckpointFiles(TorchCheckpointIO):
    """Writes a checkpoint beside its place, makes sure that it is on the disk, and renames it.

    Lightning writes to the folder of temporary files first and moves the file from there, which is a copy where that
    is another disk: a run killed while it copies, or a full disk, leaves half a checkpoint in the place of a good one.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """See `CheckpointIO.save_checkpoint`. What was `last.ckpt` becomes `previous.ckpt`.

        Raises:
            OSError: It cannot be written; what was there before is untouched.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f".{path.name}.part")
        try:
            with aside.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            if path.name == LAST and path.exists():
                _keep(path, path.with_name(PREVIOUS))
            aside.replace(path)
        except (OSError, RuntimeError) as error:  # torch tells of a failed write by a RuntimeError
            cause = error if isinstance(error, OSError) else error.__context__
            if not isinstance(cause, OSError):
                raise
            kept = f"the one before it is untouched: {path}" if path.exists() else "there is none before it"
            raise OSError(
                f"the checkpoint {path} cannot be written ({cause.strerror or cause}); {kept}. Make room and give the "
                f"same command again to go on"
            ) from error
        finally:
            aside.unlink(missing_ok=True)


def _keep(path: Path, previous: Path) -> None:
    """A second name for a file that is about to be replaced, so that at no time neither is there."""
    aside = previous.with_name(f".{previous.name}.part")
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(path)
    except OSError:  # a file system without hard links
        path.replace(previous)
    else:
        aside.replace(previous)


def damage(file: Path) -> str | None:
    """What is wrong with a checkpoint file, by the checksums in it; None if it is sound.

    torch itself does not look at the checksums when it loads. Reading costs about a second per gigabyte.

    Raises:
        OSError: It cannot be read at all, which says nothing of what stands in it.
    """
    try:
        with zipfile.ZipFile(file) as archive:  # as torch writes them, with the directory at the end
            bad = archive.testzip()
    except NOT_AS_WRITTEN as error:
        return f"it is cut short or no checkpoint ({error})"
    except OSError as error:  # a place that no file has, or a stream that bz2 does not take
        if error.errno not in (None, errno.EINVAL):
            raise
        return f"it is cut short or no checkpoint ({error})"
    return None if bad is None else f"its part {bad} does not have the checksum that it was written with"


def checkpoint_of(run_dir: Path, command: str) -> Path | None:
    """Where a run stands: the last checkpoint to train on, the best one to judge; None if there is none.

    Args:
        run_dir: Of the run.
        command: fit, validate, test or predict.

    Raises:
        FileNotFoundError: There is none, and the command needs one.
        ValueError: It is damaged; the message names it, and what is left.
    """
    folder = run_dir / "checkpoints"
    names = [LAST, PREVIOUS] if command == "fit" else ["best.ckpt", LAST]
    for name in names:
        file = folder / name
        if file.is_dir():  # in parts, one a rank: torch reads and checks those
            return file
        if file.exists():
            wrong = damage(file)
            if wrong is None:
                return file
            raise ValueError(f"--run_dir: the checkpoint {file} is damaged: {wrong}; {_way_out(file, command)}")
    if command == "fit":
        return None
    raise FileNotFoundError(f"--run_dir: {run_dir} has no trained model; run `musicfm fit` with the same options first")


def _way_out(file: Path, command: str) -> str:
    previous = file.with_name(PREVIOUS)
    if file != previous and previous.is_file() and damage(previous) is None:
        return (
            f"the one before it is sound: delete the damaged one, and fit goes on from {previous}"
            if command == "fit"
            else f"the last but one is sound: name it by --ckpt_path {previous}"
        )
    return "delete it (fit then begins anew), or name another with --ckpt_path"
