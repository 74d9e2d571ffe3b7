import re

import mir_eval
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_modules.corpora.tune_notation import parse
from data_modules.corpora.tunes import Key

TUNE = """# A comment.
title: Test
origin: nowhere
split: train
metre: 3/4
tempo: 90
key: Eb minor
style: waltz
lead: flute
solo: oboe
comp: piano
bass: cello
arrangement: intro verse verse2+2 inst

[intro]
chords: i | N
[verse]
pickup: 5,e 5,e
chords: i . V7/3 | #viio | III+ | iv6
melody: 1 #4' 0 | 3h. | 2q. 7,,e b2 | 1e 1e 1s 1s 1e 1
[inst = verse]
[verse2]
key: F# major
chords: Imaj7
"""


def test_a_tune() -> None:
    tune = parse(TUNE, "test.txt")
    assert (tune.tempo, tune.metre, str(tune.key)) == (90, "3/4", "Eb minor")
    assert [(begin_q, one.name, shift) for begin_q, one, shift in tune.placed()] == [
        (0, "intro", 0), (6, "verse", 0), (18, "verse2", 2), (21, "inst", 0),
    ]  # fmt: skip
    verse = tune.arrangement[1][0]
    assert [chord.label(verse.key) for chord in verse.chords] == [
        "Eb:min", "Bb:7/3", "D:dim", "Gb:aug", "Ab:min6",
    ]  # fmt: skip
    assert [(chord.onset_q, chord.length_q) for chord in verse.chords[:3]] == [(0, 2), (2, 1), (3, 3)]
    pitches = [tone.pitch(verse.key) for tone in verse.melody if tone.degree]
    assert pitches[:6] == [63, 63 + 5 + 1 + 12, 66, 65, 63 + 10 - 24, 64]
    assert [tone.onset_q for tone in verse.pickup] == [-1, -0.5]
    assert verse.melody[-1].onset_q + verse.melody[-1].length_q == verse.length_q == 12
    assert str(tune.arrangement[2][0].key.transposed(2)) == "Ab major"
    assert tune.arrangement[3][0].melody == verse.melody
    assert [one.function for one, _ in tune.arrangement] == ["intro", "verse", "verse", "inst"]


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(TUNE.splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("split: train", "split: dev", "split 'dev' is none of train, val, test"),
        ("metre: 3/4", "metre: 5/4", "metre '5/4' is none of"),
        ("tempo: 90", "tempo: fast", "tempo 'fast' is no number"),
        ("tempo: 90", "speed: 90", "unknown header 'speed'"),
        ("key: Eb minor", "key: H minor", "'H minor' is no key"),
        ("lead: flute", "lead flute", "expected `name: value`"),
        ("verse2+2 inst", "verse2+2 coda", "the arrangement names 'coda'"),
        ("[verse2]", "[refrain]", "section 'refrain' is none of"),
        ("[verse2]", "[verse]", "section 'verse' is there already"),
        ("[inst = verse]", "[inst = coda]", "no section 'coda' above"),
        ("[inst = verse]", "[in st]", "is no section"),
        ("| 3h. |", "| 3h |", "bar 2 of the melody has 2 quarters, not 3"),
        ("#viio", "#viih", "'#viih' is no chord"),
        ("#viio", "i i", "a bar of 3 beats cannot be shared by 2 chords"),
        ("#viio", "VIIo", "'VIIo' is no chord"),
        ("0 | 3h.", "8 | 3h.", "'8' is no note"),
        ("pickup:", "upbeat:", "unknown line 'upbeat'"),
        ("| iv6", "", "12 of melody; they must be equal"),
    ],
)
def test_errors_name_file_and_line(old: str, new: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"^test\.txt:\d+: .*" + re.escape(message)) as caught:
        parse(TUNE.replace(old, new), "test.txt")
    if "must be equal" not in message and "arrangement" not in message and "fast" not in new:
        line = int(str(caught.value).split(":")[1])
        # A wrong metre or key is noticed where it is first needed.
        assert line == line_of(old) or old.startswith(("metre", "key"))


def test_a_missing_header_is_named() -> None:
    with pytest.raises(ValueError, match="the header `bass:` is missing"):
        parse(TUNE.replace("bass: cello\n", ""), "test.txt")


@given(
    st.sampled_from(["C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B", "C#", "G#"]),
    st.sampled_from(["major", "minor"]),
    st.integers(1, 7),
    st.integers(-1, 1),
    st.integers(-11, 11),
)
def test_spelling_sounds_as_the_pitch(tonic: str, mode: str, degree: int, alter: int, shift: int) -> None:
    key = Key(tonic, mode)
    mir_eval.key.validate_key(str(key))
    name = key.spell(degree, alter)
    assert mir_eval.chord.pitch_class_to_semitone(name) % 12 == key.pitch(degree, alter) % 12
    assert key.transposed(shift).pitch(degree, alter) % 12 == (key.pitch(degree, alter) + shift) % 12
