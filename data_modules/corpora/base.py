"""What a corpus is: a list of items, each of which loads as labelled audio."""

from __future__ import annotations

import abc
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data_modules.spans import Spans

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

Tested = Literal["train", "val", "test", "all"]
"""A split, or the tracks of all splits: the whole of a data set that nothing was trained on."""

Kind = Literal["beat", "chord", "section", "key", "tag"]
KINDS: tuple[Kind, ...] = get_args(Kind)
"""The kinds of label a track may carry:

- `beat`: events, labelled by their position in the bar, "1" a downbeat; "?" where it is not known;
- `chord`: spans in Harte syntax, as mir_eval parses it;
- `section`: spans, labelled by one of `labels.FUNCTIONS`, or by a letter where only similarity is known;
- `key`: spans such as "C# minor", as mir_eval parses it;
- `tag`: one span over the whole track for each tag.
"""


class Fault(str):
    """A reason in `Corpus.gaps` that is a fault: there are labels, and something is wrong with their file."""

    __slots__ = ()


class BadTrack(ValueError):
    """A track that cannot be used: the message says which file and why. `prepare` sets it aside and counts it.

    A reader of one kind of label raises it, too; a corpus that can do without that kind makes a gap of it.
    """

    def as_gap(self) -> str:
        """What `Corpus.gaps` says where only one kind of label is lost."""
        return Fault(self)


class Absent(BadTrack):
    """Labels that are not to be had, though no file of theirs is at fault, so that there is nothing to mend in it.

    They are not there; their file says that there are none; they cannot be placed without other labels, which are
    lacking or at fault and told by themselves; the file does not belong to what the data set labels; or they are as
    the data set has them, and too unlikely by our own judgement.
    """

    def as_gap(self) -> str:
        """See `BadTrack.as_gap`."""
        return str(self)


@dataclass(frozen=True)
class Item:
    """A track by name, before anything of it is read.

    Attributes:
        track_id: Unique within the corpus; letters, digits and `._-/ ` as the corpus has them.
        group: The work, song or artist that must not be divided between splits; also the unit of the bootstrap.
        split: train, val or test.
    """

    track_id: str
    group: str
    split: Split


@dataclass(frozen=True)
class Track:
    """A loaded track: its audio and what is known of it.

    Attributes:
        waveform_N: Mono float32 in [-1, 1] at `data_modules.SAMPLE_RATE`.
        labels: Spans by kind; a kind that is not annotated is absent (an empty `Spans` says "annotated, none").
        origin: Format, rate and channels of the file it comes from, as the dataset card counts them; None if there
            is none.
        licence: What the file itself says of its licence or its copyright; None if nothing.
    """

    item: Item
    waveform_N: NDArray[np.float32]
    labels: Mapping[Kind, Spans] = field(default_factory=dict)
    origin: str | None = None
    licence: str | None = None


class Corpus(abc.ABC):
    """A data set. Subclasses are final, one to a file, and cheap to construct: nothing is read before `items`.

    A corpus is pickled to the processes that prepare it.
    """

    name: str
    """Lower case, as it stands in result tables."""
    licence: str
    """Of the audio and the annotations, as one line."""
    note: str = ""
    """What every table made from this corpus must say, such as "synthetic tempo"."""
    expected_tracks: int | None = None
    """Tracks that the published data set holds; None where it is open-ended, or the user's lists choose from it: then
    `named`, if it is known, says how many there should be."""

    @property
    def family(self) -> str:
        """One name for all corpora that have the same tracks by the same ids, such as excerpts or another sound.

        By it a test knows tracks that a head was trained on, see `musicfm_pl.seen_tracks`.
        """
        return self.name

    def fetch(self, say: Callable[[str], None] = print) -> None:  # noqa: B027 - most corpora have nothing to fetch
        """Brings onto the disk what the corpus needs and can be fetched; called once, before `items`.

        Args:
            say: Takes lines for the user: the licence, what is fetched, where it lies.

        Raises:
            FileNotFoundError: Something that only the user can supply is missing; the message says what and where.
        """

    def remarks(self) -> Sequence[str]:
        """What the user should know of the corpus as it lies there, a line each, such as files that are passed over."""
        return ()

    def named(self) -> Collection[str] | None:
        """The tracks that annotations name, or the user's lists where there are some; None if `items` has them all.

        Those that `items` lacks have no audio, or are listed and not annotated. Asked after `items`.
        """
        return None

    def gaps(self, item: Item) -> Mapping[Kind, str]:
        """Why a track lacks a kind of label that its corpus has, by kind; asked after `load`.

        A reason that is a `Fault` says that there are such labels, and what is wrong with them.
        """
        return {}

    @abc.abstractmethod
    def items(self) -> Sequence[Item]:
        """Every track of the corpus in a stable order, without reading audio."""

    @abc.abstractmethod
    def load(self, item: Item) -> Track:
        """Reads or renders one track, the same each time.

        Raises:
            BadTrack: The track cannot be used; the message names the file and the reason.
        """
