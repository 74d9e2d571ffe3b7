"""The composers of the DCML corpora, and how one of them is held out."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

from data_modules.corpora.base import Item

COMPOSERS = {
    "ABC": "Beethoven",
    "beethoven_piano_sonatas": "Beethoven",
    "chopin_mazurkas": "Chopin",
    "corelli": "Corelli",
    "debussy_suite_bergamasque": "Debussy",
    "dvorak_silhouettes": "Dvořák",
    "grieg_lyric_pieces": "Grieg",
    "liszt_pelerinage": "Liszt",
    "medtner_tales": "Medtner",
    "mozart_piano_sonatas": "Mozart",
    "schumann_kinderszenen": "Schumann",
    "tchaikovsky_seasons": "Tchaikovsky",
}
"""By the corpus that a movement is of, which its name begins with."""


def of_track(track_id: str) -> str:
    """The composer of a movement."""
    return COMPOSERS[track_id.split("/")[0]]


def plain(composer: str) -> str:
    """As it is typed: lower case, without accents."""
    letters = unicodedata.normalize("NFKD", composer.casefold())
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


@final
@dataclass(frozen=True)
class Choice:
    """One composer who is treated apart.

    Attributes:
        how: `test`: all their works are for testing, alone; `without`: they are left out; `only`: the others are.
        composer: As `plain` has it.
    """

    how: Literal["test", "without", "only"]
    composer: str

    @classmethod
    def of(cls, test: str | None, without: str | None, only: str | None) -> Choice | None:
        """From the settings of the corpus, of which one at most may be given; None if none is.

        Raises:
            ValueError: Several are, or there is no such composer.
        """
        given: dict[Literal["test", "without", "only"], str | None] = {"test": test, "without": without, "only": only}
        found = [cls(how, plain(composer)) for how, composer in given.items() if composer is not None]
        if len(found) > 1:
            raise ValueError(f"{' and '.join(f'corpus.{one.how}_composer' for one in found)}: give one of them")
        known = sorted({plain(composer) for composer in COMPOSERS.values()})
        if found and found[0].composer not in known:
            raise ValueError(
                f"corpus.{found[0].how}_composer: there is no {found[0].composer!r}; known are {', '.join(known)}"
            )
        return found[0] if found else None

    @property
    def says(self) -> str:
        """In words, for tables."""
        composer = next(one for one in COMPOSERS.values() if plain(one) == self.composer)
        return {
            "test": f"{composer} held out for test, alone there",
            "without": f"without {composer}",
            "only": f"{composer} alone",
        }[self.how]

    def items(self, listed: Sequence[Item]) -> list[Item]:
        """The tracks that are left, in their splits."""
        own = [item for item in listed if plain(of_track(item.track_id)) == self.composer]
        others = [item for item in listed if plain(of_track(item.track_id)) != self.composer]
        if self.how == "test":
            return [*(item for item in others if item.split != "test"), *(replace(item, split="test") for item in own)]
        return own if self.how == "only" else others
