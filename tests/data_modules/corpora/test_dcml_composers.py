"""One composer of the DCML corpora held out: nothing of theirs is trained on, and nobody else's is tested on."""

from __future__ import annotations

from pathlib import Path

import pytest

from data_modules.corpora.dcml import Dcml, Profile
from data_modules.corpora.dcml_composers import COMPOSERS, of_track, plain

NAMES = sorted(set(COMPOSERS.values()))


@pytest.mark.parametrize("profile", ["demo", "full"])
@pytest.mark.parametrize("composer", NAMES)
def test_a_composer_is_wholly_for_test(composer: str, profile: Profile) -> None:
    listed = Dcml(profile=profile).items()
    held_out = Dcml(profile=profile, test_composer=composer).items()
    home = Dcml(profile=profile, without_composer=plain(composer)).items()
    alone = Dcml(profile=profile, only_composer=composer.upper()).items()
    assert {of_track(item.track_id) for item in held_out if item.split == "test"} == {composer}
    assert composer not in {of_track(item.track_id) for item in held_out if item.split != "test"}
    assert {i.track_id for i in held_out if i.split == "test"} == {i.track_id for i in alone}
    trained = [[item for item in items if item.split != "test"] for items in (held_out, home)]
    assert trained[0] == trained[1], "a model of either folder is the same"
    assert sorted([*home, *alone], key=lambda item: item.track_id) == sorted(listed, key=lambda item: item.track_id)


def test_it_is_another_corpus() -> None:
    held_out, home = Dcml(test_composer="Dvořák"), Dcml(without_composer="dvorak")
    assert (held_out.name, home.name) == ("dcml-demo-test-dvorak", "dcml-demo-without-dvorak")
    assert {one.family for one in (held_out, home, Dcml(), Dcml(profile="full"))} == {"dcml"}, "of the same works"
    assert held_out.note.endswith("; Dvořák held out for test, alone there")
    assert "190" not in held_out.note and "190" in Dcml().note


def test_settings_that_say_nothing_clear_are_refused() -> None:
    with pytest.raises(ValueError, match=r"corpus\.only_composer: there is no 'bach'; known are beethoven, chopin"):
        Dcml(only_composer="Bach")
    with pytest.raises(ValueError, match=r"corpus\.test_composer and corpus\.without_composer: give one of them"):
        Dcml(Path("x"), test_composer="corelli", without_composer="corelli")
