"""`magnatagatune`: 25 863 clips of 29 s with tags from a game (Law et al., ISMIR 2009), in either of two splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, final, get_args

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora import audio_files, magnatagatune_tables
from data_modules.corpora.base import Corpus, Item, Kind, Track
from data_modules.corpora.magnatagatune_tables import Clip
from data_modules.corpora.remarks import without_audio
from data_modules.labels import check
from data_modules.spans import Spans

Division = Literal["won", "full"]

_TRACKS: dict[Division, int] = {"won": 21_108, "full": 25_863}
"""Of won: as the Music Semantic Understanding Benchmark counts (README of Doh et al., arXiv 2211.14558). Of full: with
the three that are empty; without them JukeMIR's tests count 18 706, 1 825 and 5 329 in the three splits."""


@final
class MagnaTagATune(Corpus):
    """MagnaTagATune with its 50 most frequent tags, as `magnatagatune-won` or as `magnatagatune-full`.

    `won` is the cleaned split of Won et al. (2020), which leaves out clips without any of these tags; `full` takes
    every clip, the folders 0 to b for training, c for validation, d to f for test. Figures on the full split are
    about 0.08 mAP lower: never compare the two.

    A group is an album, which a folder holds whole; artists with several albums may be in several splits, in the
    published splits as here. Three mp3 files are empty as published; `load` refuses them by name.

    Args:
        root: The folder that holds `annotations_final.csv` and, in `mp3` or by themselves, the folders 0 to f.
        split: won or full.
        split_files: For won, the folder with train.npy, valid.npy, test.npy, tags.npy and binary.npy; `root` if
            not given.
    """

    name = "magnatagatune"
    family = "magnatagatune"
    licence = "audio: CC BY-NC-SA 1.0, Magnatune; tags: TagATune, no licence stated (Law et al., ISMIR 2009)"

    def __init__(self, root: Path, split: Division = "won", split_files: Path | None = None) -> None:
        if split not in get_args(Division):
            raise ValueError(f"split: {split!r} is unknown; choose one of {', '.join(get_args(Division))}")
        self.root = Path(root)
        self.split: Division = split
        self.split_files = Path(split_files) if split_files is not None else self.root
        self.name = f"magnatagatune-{split}"
        self.expected_tracks = _TRACKS[split]

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; a clip's name is its path.

        Raises:
            FileNotFoundError: A table is missing.
            ValueError: A table is damaged, or they do not belong together.
        """
        return [Item(clip, _album(clip), row.split) for clip, row in self._clips().items()]

    def load(self, item: Item) -> Track:
        """See `Corpus.load`; a clip with none of the tags has an empty list of them."""
        row = self._clips()[item.track_id]
        waveform_N = read_audio(audio_files.first_file(self._audio(item.track_id)))
        duration_s = len(waveform_N) / SAMPLE_RATE
        labels: dict[Kind, Spans] = {"tag": Spans.of((0.0, duration_s, tag) for tag in row.tags)}
        check(labels, duration_s, row.source)
        return Track(item, waveform_N, labels)

    def remarks(self) -> Sequence[str]:
        """See `Corpus.remarks`."""
        rows = magnatagatune_tables.won_remarks(self.root, self.split_files) if self.split == "won" else []
        return [*rows, *without_audio({clip: self._audio(clip) for clip in self._clips()})]

    def _clips(self) -> Mapping[str, Clip]:
        if self.split == "full":
            return magnatagatune_tables.full(self.root)
        return magnatagatune_tables.won(self.root, self.split_files)

    def _audio(self, clip: str) -> list[Path]:
        stem = clip.removesuffix(".mp3")
        return audio_files.candidates(self.root / "mp3" / stem) + audio_files.candidates(self.root / stem)


def _album(clip: str) -> str:
    """Artist and album: names are <artist>-<album>-<track>-<title>-<start>-<end>, without other hyphens."""
    return "-".join(clip.partition("/")[2].removesuffix(".mp3").split("-")[:2])
