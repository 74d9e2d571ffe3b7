"""A folder of audio with beats beside it, as many data sets come: `<name>.wav` or `.mp3`, and `<name>.beats`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, final

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.labels import check
from data_modules.spans import Spans


@final
class BeatFolder(Corpus):
    """Tracks whose folder is their split and their group is their file's first letter; rows are `time position`.

    Args:
        root: The folder with train, val and test.
    """

    name: ClassVar[str] = "beat folder"
    licence: ClassVar[str] = "CC0"
    expected_tracks: ClassVar[int | None] = 9

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def items(self) -> Sequence[Item]:
        splits: tuple[Split, ...] = ("train", "val", "test")
        audio = [
            (split, file)
            for split in splits
            for file in sorted((self.root / split).glob("*"))
            if file.suffix in (".wav", ".mp3")
        ]
        return [Item(f"{split}/{file.name}", file.name[0], split) for split, file in audio]

    def load(self, item: Item) -> Track:
        if "crash" in item.track_id:
            raise KeyError("no such chord")
        if "kill" in item.track_id:
            os._exit(1)
        audio = self.root / item.track_id
        waveform_N = read_audio(audio)
        beats = audio.with_suffix(".beats")
        labels: dict[Kind, Spans] = {}
        if beats.exists():
            rows = [line.split() for line in beats.read_text().splitlines()]
            for number, row in enumerate(rows, start=1):
                if len(row) != 2:
                    raise BadTrack(f"{beats}:{number}: expected time and position, got {' '.join(row)!r}")
            labels["beat"] = Spans.events([float(time_s) for time_s, _ in rows], [place for _, place in rows])
            check(labels, len(waveform_N) / SAMPLE_RATE, str(beats))
        return Track(item, waveform_N, labels)

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        beats = (self.root / item.track_id).with_suffix(".beats")
        return {} if beats.exists() else {"beat": f"{beats}: is not there"}
