"""`musicfm export`: a prepared folder as one tar of FLAC files, for exchange with others and with other programs."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pyarrow.parquet as pq
import soundfile
from rich.console import Console
from rich.progress import track as progress_of

from data_modules import SAMPLE_RATE
from data_modules.remote import Remote
from data_modules.shards import Prepared, written_aside


def export(root: str, out: Path, remote: Remote | None = None) -> None:
    """Writes a tar: for each track `0000000.flac`, and `0000000.json` with its name, group, split and labels.

    The names are numbers, so that no track can be called what leads out of a folder; two files with one stem are
    what readers of WebDataset expect. `musicfm prepare --corpus flac_tar --root music.tar` takes it in again.

    Args:
        root: A prepared folder, or the address of one.
        out: The tar.
        remote: Cache and patience with an address.

    Raises:
        BadRecord: A track is damaged; nothing is written.
    """
    console = Console()
    prepared = Prepared(root, remote)
    licences = _column(prepared, "licence")
    with written_aside(out) as file, tarfile.open(fileobj=file, mode="w|") as tar:
        for number, entry in enumerate(progress_of(prepared.entries, description="export", transient=True)):
            audio = io.BytesIO()
            soundfile.write(audio, prepared.read(entry), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
            about = {
                "track_id": entry.track_id,
                "group": entry.group,
                "split": entry.split,
                "corpus": prepared.card["corpus"],
                "licence": licences[number] or prepared.card["licence"],
                "labels": {kind: list(spans) for kind, spans in entry.labels.items()},
            }
            for suffix, content in (("flac", audio.getvalue()), ("json", json.dumps(about).encode())):
                member = tarfile.TarInfo(f"{number:07d}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    console.print(f"written: {out}, {len(prepared.entries)} tracks", markup=False, highlight=False)


def _column(prepared: Prepared, name: str) -> list[str | None]:
    file = prepared.storage.local_file("index.parquet")
    if name not in pq.read_schema(file).names:
        return [None] * len(prepared.index)
    return list(pq.read_table(file, columns=[name])[name].to_pylist())
