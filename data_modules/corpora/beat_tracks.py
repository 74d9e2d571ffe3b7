"""Tracks whose only labels are beats: audio and file of beats, paired by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.base import BadTrack, Item, Split, Track
from data_modules.corpora.beat_files import read_beats
from data_modules.corpora.remarks import missing
from data_modules.spans import Spans


@dataclass(frozen=True)
class BeatTracks:
    """What a corpus of beats is made of; each track is its own group.

    Attributes:
        audio: Audio by track.
        beats: Files of beats by track; a track that has only one of the two is left out.
        splits: The split of each annotated track, or of those that lists name; one that has none is left out.
    """

    audio: Mapping[str, Path]
    beats: Mapping[str, Path]
    splits: Mapping[str, Split]

    def items(self) -> list[Item]:
        """Tracks that have all three.

        Raises:
            FileNotFoundError: There is none.
        """
        items = [Item(track, track, self.splits[track]) for track in self._both() if track in self.splits]
        if not items:
            audio, beats = next(iter(self.audio.values()), "no audio"), next(iter(self.beats.values()), "no beats")
            raise FileNotFoundError(
                f"no audio has the name of a file of beats (such as {audio} and {beats}), or none is in a split"
            )
        return items

    def named(self) -> Collection[str]:
        """See `Corpus.named`."""
        return self.splits.keys()

    def load(self, item: Item, with_positions: bool = True) -> Track:
        """Reads a track.

        Args:
            item: One of `items`.
            with_positions: Whether the data set knows positions in the bar; else they are "?".

        Raises:
            BadTrack: The audio or the file of beats cannot be read or is faulty.
        """
        if item.track_id not in self.audio or item.track_id not in self.beats:
            raise BadTrack(f"{item.track_id}: its audio or its file of beats is no longer there")
        waveform_N = read_audio(self.audio[item.track_id])
        beats = read_beats(self.beats[item.track_id], len(waveform_N) / SAMPLE_RATE)
        if not with_positions:
            beats = Spans.events(beats.starts_s, ["?"] * len(beats))
        return Track(item, waveform_N, {"beat": beats})

    def remarks(self) -> Sequence[str]:
        """Which tracks are left out, a line for each reason."""
        return [
            *missing(self.audio, self.beats, "files of audio have no file of beats and are left out"),
            *missing(self.beats, self.audio, "tracks with beats have no audio"),
            *missing(self._both(), self.splits, "tracks are in no list of splits"),
        ]

    def _both(self) -> list[str]:
        return [track for track in self.audio if track in self.beats]
