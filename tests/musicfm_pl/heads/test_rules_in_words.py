"""Whatever a head's rules say of decoding or scoring, its notes say to the reader of the figures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest

from data_modules.spans import Spans
from musicfm_pl.heads.base import Head, Rules
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure
from musicfm_pl.heads.tagging import Tagging

HEADS: dict[str, Head] = {head.task: head for head in (Beat(4), Chord(4), Structure(4), Key(4), Tagging(4, tags=["a"]))}
RULES = [(task, rule.name) for task, head in HEADS.items() for rule in fields(head.rules)]


def changed(rules: Rules, name: str) -> Iterator[Rules]:
    """Rules with other values of one field."""
    kind, value = get_type_hints(type(rules))[name], getattr(rules, name)
    others: list[Any]
    if get_origin(kind) is Literal:
        others = [choice for choice in get_args(kind) if choice != value]
    elif kind is bool:
        others = [not value]
    elif kind is float:
        others = [value + 0.5]
    else:
        others = [(*value, 7)]
    return (replace(rules, **{name: other}) for other in others)


def words(head: Head, rules: Rules) -> list[str]:
    view = head.under({rule.name: getattr(rules, rule.name) for rule in fields(rules)})
    return [*view.decoded(), *view.score([Spans.of([])], [view.decode(_silence(view), 9.0)], [9.0]).notes]


def _silence(head: Head) -> Any:
    return head.perfect_logits(head.targets(Spans.of([]), 9.0)).numpy()


@pytest.mark.parametrize(("task", "name"), RULES)
def test_every_rule_is_told(task: str, name: str) -> None:
    """By default, or at least where another choice gives it a meaning: tempi of downbeats matter to two DBNs alone."""
    head = HEADS[task]
    bases = [head.rules]
    bases += [base for rule in fields(head.rules) if rule.name != name for base in changed(head.rules, rule.name)]
    assert any(True for _ in changed(head.rules, name)), f"{name} of {task} has no other value that could be told"
    told = [all(words(head, other) != words(head, base) for other in changed(base, name)) for base in bases]
    assert any(told), f"the notes of {task} do not depend on {name}: see Head.decoded and Head.score"


@pytest.mark.parametrize("task", HEADS)
def test_words_are_few_and_whole(task: str) -> None:
    head = HEADS[task]
    for rules in (head.rules, *(other for rule in fields(head.rules) for other in changed(head.rules, rule.name))):
        for said in head.under({rule.name: getattr(rules, rule.name) for rule in fields(rules)}).decoded():
            assert said.endswith(".") and said.count(". ") == 0 and len(said) < 200
