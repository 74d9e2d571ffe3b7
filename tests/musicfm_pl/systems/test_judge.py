"""One set of logits is decoded and scored under every protocol of its task."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.protocols.presets import protocol_names, protocols
from musicfm_pl.systems.judge import Judge

DURATION_S = 20.0
BEATS = Spans.events(np.arange(0.4, DURATION_S, 0.5), [str(number % 4 + 1) for number in range(40)])


def judged(head: Head, reference: Spans) -> Judge:
    judge = Judge(head)
    judge.add("a", reference, head.perfect_logits(head.targets(reference, DURATION_S)), DURATION_S)
    return judge


def test_every_protocol_has_scores_as_if_it_were_alone() -> None:
    head = Beat(4)
    logits_NK = head.perfect_logits(head.targets(BEATS, DURATION_S))
    scores = judged(head, BEATS).scores()
    assert list(scores) == protocol_names("beat")
    for protocol in protocols("beat"):
        alone = head.under(protocol.settings)
        expected = alone.score([BEATS], [alone.decode(logits_NK.numpy(), DURATION_S)], [DURATION_S])
        assert scores[protocol.name].summary == expected.summary
        assert scores[protocol.name].tracks == expected.tracks
        assert scores[protocol.name].summary["beat_f"] > 0.97
    assert any("clips of 10 s" in note for note in scores["marble"].notes)
    assert not any("clips of 10 s" in note for note in scores["musicfm"].notes)


def test_notes_say_how_logits_were_decoded_where_they_were() -> None:
    head = Beat(4, min_bpm=40.0)
    scores = judged(head, BEATS).scores()
    assert "40 to 215 beats a minute" in scores["musicfm"].notes[0]
    assert scores["beat_this"].notes[0] == "Decoded by peaks above one half."
    judge = Judge(head)
    judge.add_estimate("a", BEATS, Estimate(BEATS), DURATION_S)
    assert not any("Decoded" in note for one in judge.scores().values() for note in one.notes)


def test_protocols_can_be_chosen_and_the_own_is_always_there() -> None:
    assert list(Judge(Beat(4), ["beat_this", "musicfm"]).scores()) == ["musicfm", "beat_this"]
    assert list(Judge(Beat(4, trim_s=0.0), []).scores()) == ["untrimmed"]
    with pytest.raises(ValueError, match="no protocol 'beat_that' of beat; known are musicfm"):
        Judge(Beat(4), ["beat_that"])


@pytest.mark.parametrize(
    ("head", "own"),
    [
        (Beat(4), "musicfm"),
        (Beat(4, beats_per_bar=(2, 3, 4), min_bpm=40.0), "musicfm"),  # which it leaves to the head
        (Beat(4, trim_s=0.0), "untrimmed"),
        (Beat(4, decoder="minimal"), "beat_this"),
        (Beat(4, trim_s=1.0), "custom"),
        (Beat(4, min_bpm=40.0, activations="normalised"), "mirex"),  # which leaves decoding to the head
        (Chord(4, self_transition=0.9), "musicfm"),
        (Chord(4, average="tracks"), "by_track"),
        (Key(4, fifths="both"), "mirex"),
    ],
)
def test_a_head_falls_under_the_protocol_that_its_settings_are(head: Head, own: str) -> None:
    judge = Judge(head)
    assert judge.own == own
    labels = {"beat": BEATS, "chord": Spans.of([(0, 20, "C")]), "key": Spans.of([(0, 20, "C major")])}
    scores = judged(head, labels[head.task]).scores()
    assert next(iter(scores)) == own
    assert set(scores) == {own, *protocol_names(head.task)}


def test_protocols_that_decode_alike_share_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    decode = Beat.decode

    def counted(self: Beat, logits_NK: np.ndarray, duration_s: float) -> Estimate:
        calls.append(f"{self.rules.decoder} {self.rules.activations}")
        return decode(self, logits_NK, duration_s)

    monkeypatch.setattr(Beat, "decode", counted)
    judged(Beat(4), BEATS)
    assert sorted(calls) == ["dbn normalised", "dbn subtracted", "minimal subtracted", "two_dbns subtracted"]


def test_a_protocol_that_the_head_cannot_follow_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicfm_pl.systems.judge.protocols", lambda task: protocols("beat"))
    with pytest.raises(ValueError, match="protocol 'musicfm' of key: Key has no rule decoder"):
        Judge(Key(4))


def test_layers_are_shared() -> None:
    head = Beat(4)
    judge = Judge(head)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.fill_(1.0)
    for view in judge._heads.values():
        assert all((parameter == 1).all() for parameter in view.parameters())
