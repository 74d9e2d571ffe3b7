"""The conclusions of a study as data: a YAML of relations between models, read and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from musicfm_pl.analysis.factors import FACTORS

Expectation = Literal["more", "less", "little", "some"]
Over = Literal["each", "mean"]
Pairs = Literal["all", "ends"]


class RelationError(ValueError):
    """A file of relations that cannot be used: the message says which key."""


@dataclass(frozen=True)
class Claim:
    """What a relation says of some figures.

    Attributes:
        figures: Metrics; empty for all of the leaderboard.
        expect: The second model has more, less, little different, or some difference either way.
        over: Each figure by itself, or their mean.
    """

    figures: tuple[str, ...]
    expect: Expectation
    over: Over = "each"


@dataclass(frozen=True)
class Relation:
    """A conclusion: what follows when one factor changes and nothing else.

    Attributes:
        vary: The factor.
        from_level: Of the first model, as text; empty for any.
        to_level: Of the second.
        pairs: Of levels, where they are not named: all, or the ends.
        where: Levels of other factors, as text.
        tolerance: A difference within it is little.
        least: A difference below it is none.
    """

    name: str
    says: str
    vary: str
    claims: tuple[Claim, ...]
    from_level: str = ""
    to_level: str = ""
    pairs: Pairs = "all"
    where: tuple[tuple[str, str], ...] = ()
    tolerance: float = 0.0
    least: float = 0.0


def read_relations(file: Path | None = None) -> tuple[Relation, ...]:
    """Relations from a file, by default the study's.

    Raises:
        FileNotFoundError: There is no such file.
        RelationError: A key is missing, unknown or of no use.
    """
    source = file or files("musicfm_pl.analysis") / "relations.yaml"
    at = str(file or "relations.yaml")
    try:
        data = yaml.safe_load(source.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise RelationError(f"{at}: no YAML ({error})") from error
    _keys(data, at, ("tolerance", "least", "relations"), ())
    limits = {key: data[key] for key in ("tolerance", "least")}
    for key, value in limits.items():
        if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
            raise RelationError(f"{at}: {key}: {value!r} is no number from 0")
    if not isinstance(data["relations"], list):
        raise RelationError(f"{at}: relations: {data['relations']!r} is no list")
    return tuple(_relation(one, f"{at}: relations[{i}]", limits) for i, one in enumerate(data["relations"]))


def _relation(data: Any, at: str, limits: Mapping[str, float]) -> Relation:
    _keys(data, at, ("name", "says", "vary", "claims"), ("from", "to", "pairs", "where", "tolerance", "least"))
    known = (*FACTORS, "mode")
    where = data.get("where", {})
    for factor in (data["vary"], *where):
        _choice(factor, known, f"{at}.vary" if factor == data["vary"] else f"{at}.where")
    if ("from" in data) != ("to" in data):
        raise RelationError(f"{at}: from and to belong together")
    claims = []
    for index, claim in enumerate(data["claims"]):
        here = f"{at}.claims[{index}]"
        _keys(claim, here, ("figures", "expect"), ("over",))
        figures = () if claim["figures"] == "all" else tuple(map(str, claim["figures"]))
        expect = _choice(claim["expect"], get_args(Expectation), f"{here}.expect")
        claims.append(Claim(figures, expect, _choice(claim.get("over", "each"), get_args(Over), f"{here}.over")))
    return Relation(
        name=str(data["name"]),
        says=str(data["says"]),
        vary=data["vary"],
        claims=tuple(claims),
        from_level=str(data.get("from", "")),
        to_level=str(data.get("to", "")),
        pairs=_choice(data.get("pairs", "all"), get_args(Pairs), f"{at}.pairs"),
        where=tuple((factor, str(level)) for factor, level in where.items()),
        tolerance=float(data.get("tolerance", limits["tolerance"])),
        least=float(data.get("least", limits["least"])),
    )


def _choice(value: Any, choices: tuple[str, ...], at: str) -> Any:
    if value not in choices:
        raise RelationError(f"{at}: {value!r} is none of {', '.join(choices)}")
    return value


def _keys(data: object, at: str, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    if not isinstance(data, dict):
        raise RelationError(f"{at}: needs the keys {', '.join(required)}, but has {data!r}")
    if unknown := [str(key) for key in data if key not in (*required, *optional)]:
        raise RelationError(f"{at}: unknown key {', '.join(unknown)}; known are {', '.join((*required, *optional))}")
    if missing := [key for key in required if key not in data]:
        raise RelationError(f"{at}: missing {', '.join(missing)}")
