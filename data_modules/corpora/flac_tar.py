"""`flac_tar`: a tar of FLAC files with a JSON file beside each, as `musicfm export` writes it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import soundfile

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import KINDS, BadTrack, Corpus, Item, Split, Track
from data_modules.spans import Spans


class _Member(NamedTuple):
    """A track in the tar: where its FLAC file lies, and what its JSON file says."""

    first_byte: int
    num_bytes: int
    about: Mapping[str, Any]


class FlacTar(Corpus):
    """Tracks as they were exported: splits, groups and labels are kept.

    Nothing of the tar is unpacked to the disk, whatever the names in it are.

    Args:
        root: The tar.
    """

    name = "flac_tar"
    licence = "as told in the tar, track by track"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is no such tar.
        """
        if not self.root.is_file():
            raise FileNotFoundError(f"flac_tar: no file {self.root}; --corpus.root names a tar")
        members = self._members()
        if not members:
            raise ValueError(f"flac_tar: {self.root} holds no track (a .flac with a .json beside it)")
        return [Item(track_id, str(one.about["group"]), one.about["split"]) for track_id, one in members.items()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`."""
        member = self._members()[item.track_id]
        with self.root.open("rb") as file:
            file.seek(member.first_byte)
            content = file.read(member.num_bytes)
        try:
            waveform_N, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        except soundfile.SoundFileError as error:
            raise BadTrack(f"{item.track_id}: cannot be read as audio ({error})") from error
        if rate != SAMPLE_RATE or waveform_N.ndim != 1:
            raise BadTrack(f"{item.track_id}: {rate} Hz, {waveform_N.ndim} channels, not one channel at {SAMPLE_RATE}")
        try:
            told = member.about["labels"].items()
            labels = {kind: Spans.of(map(tuple, spans)) for kind, spans in told if kind in KINDS}
        except (AttributeError, TypeError, ValueError) as error:
            raise BadTrack(f"{item.track_id}: labels that are none ({error})") from error
        licence = member.about.get("licence")
        # libsndfile scales by 32768, the shards by 32767: the samples come out as they went in.
        return Track(item, waveform_N * np.float32(32768 / 32767), labels, "FLAC, exchanged", licence)

    def _members(self) -> Mapping[str, _Member]:
        return _read_members(self.root, self.root.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read_members(tar: Path, changed_ns: int) -> Mapping[str, _Member]:
    audio: dict[str, tuple[int, int]] = {}
    told: dict[str, Mapping[str, Any]] = {}
    try:
        with tarfile.open(tar) as file:
            for member in file:
                stem, _, suffix = member.name.rpartition(".")
                if not member.isfile():
                    continue
                if suffix == "flac":
                    audio[stem] = (member.offset_data, member.size)
                elif suffix == "json" and (content := file.extractfile(member)) is not None:
                    told[stem] = _about(json.load(content), f"{tar}: {member.name}")
    except (tarfile.TarError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"flac_tar: {tar} is no tar that `musicfm export` wrote, or is damaged ({error})") from error
    return {str(told[stem]["track_id"]): _Member(*audio[stem], told[stem]) for stem in sorted(told) if stem in audio}


def _about(told: Any, where: str) -> Mapping[str, Any]:
    needed = {"track_id", "group", "split", "labels"}
    if not isinstance(told, dict) or not needed <= told.keys() or told["split"] not in get_args(Split):
        raise ValueError(f"flac_tar: {where} lacks one of {', '.join(sorted(needed))}, or names another split")
    return told
