"""A track from an audio file and readers of its labels; a kind that cannot be read is left out, and it is said why."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from data_modules import SAMPLE_RATE
from data_modules.audio import read_audio
from data_modules.corpora.base import BadTrack, Corpus, Item, Kind, Track
from data_modules.spans import Spans

Reader = Callable[[float], Spans]
"""Reads labels of one kind; takes the length of the audio in seconds, raises BadTrack."""


def load_labelled(item: Item, audio: Path, readers: Mapping[Kind, Reader]) -> tuple[Track, dict[Kind, str]]:
    """The track, and by kind the reason for labels that it lacks.

    Args:
        item: Which track.
        audio: Its audio file.
        readers: Of its labels, by kind.

    Raises:
        BadTrack: The audio cannot be used.
    """
    waveform_N = read_audio(audio)
    labels, gaps = read_labels(readers, len(waveform_N) / SAMPLE_RATE)
    return Track(item, waveform_N, labels), gaps


def gaps_of(corpus: Corpus, item: Item, told: Mapping[str, Mapping[Kind, str]]) -> Mapping[Kind, str]:
    """What `Corpus.gaps` of a corpus says whose `load` finds it out.

    Args:
        corpus: Loads the track if nobody has yet.
        item: Which track.
        told: By the name of the track, what `load` found; it adds to it.

    Raises:
        BadTrack: The track had to be loaded and cannot be used.
    """
    if item.track_id not in told:
        corpus.load(item)
    return told[item.track_id]


def read_labels(readers: Mapping[Kind, Reader], duration_s: float) -> tuple[dict[Kind, Spans], dict[Kind, str]]:
    """The labels by kind, and by kind the reason for those that are lacking, as in `Corpus.gaps`.

    Args:
        readers: By kind.
        duration_s: Length of the audio in seconds.
    """
    labels: dict[Kind, Spans] = {}
    gaps: dict[Kind, str] = {}
    for kind, read in readers.items():
        try:
            labels[kind] = read(duration_s)
        except BadTrack as problem:
            gaps[kind] = problem.as_gap()
    return labels, gaps
