import time
from dataclasses import replace

import mir_eval
import numpy as np
import pytest

from data_modules import SAMPLE_RATE
from data_modules.corpora.accompaniment import INSTRUMENTS, STYLES, band
from data_modules.corpora.base import KINDS, Track
from data_modules.corpora.tiny import Tiny, _tunes, labels_of
from data_modules.corpora.tunes import METRES
from data_modules.labels import check


@pytest.fixture(scope="module")
def track() -> Track:
    corpus = Tiny()
    return corpus.load(next(item for item in corpus.items() if item.track_id == "lullaby"))


def test_what_the_corpus_promises() -> None:
    tunes = _tunes()
    items = Tiny().items()
    assert len(items) == len(tunes) >= 20
    assert {item.split for item in items} == {"train", "val", "test"}
    for split in ("train", "val", "test"):
        ours = [tune for tune in tunes.values() if tune.split == split]
        assert {tune.metre for tune in ours} >= {"3/4", "4/4", "6/8"}
        assert {tune.key.mode for tune in ours} == {"major", "minor"}
        keys = [{str(one.key.transposed(shift)) for _, one, shift in tune.placed()} for tune in ours]
        assert any(len(of_tune) > 1 for of_tune in keys), "none modulates"
    lengths_s = [tune.length_q * tune.quarter_s for tune in tunes.values()]
    assert 20 * 60 < sum(lengths_s) < 40 * 60
    assert min(lengths_s) > 30
    assert max(lengths_s) < 105


@pytest.mark.parametrize("name", list(_tunes()))
def test_labels_and_notes_agree(name: str) -> None:
    tune = _tunes()[name]
    labels = labels_of(tune, 1.0, 1.0 + tune.length_q * tune.quarter_s + 1.0)
    assert set(labels) == set(KINDS)
    check(labels, 2.0 + tune.length_q * tune.quarter_s, name)
    beats, _ = METRES[tune.metre]
    assert labels["beat"].labels[: beats + 1] == (*[str(place + 1) for place in range(beats)], "1")
    np.testing.assert_allclose(np.diff(labels["beat"].starts_s), 60 / tune.tempo)
    for kind in ("chord", "section", "key"):
        np.testing.assert_allclose(labels[kind].starts_s[1:], labels[kind].ends_s[:-1])
    downbeats_s = labels["beat"].starts_s[[label == "1" for label in labels["beat"].labels]]
    for start_s in labels["section"].starts_s:
        assert np.abs(downbeats_s - start_s).min() < 1e-6
    # The accompaniment plays the chords that the labels name.
    comps = [part for part in band(tune, 1.0) if not part.is_drum and part.program == INSTRUMENTS[tune.comp]]
    right = total = 0
    for part in comps:
        for note in part.notes:
            middle_s = note.start_s + 0.03
            index = int(np.searchsorted(labels["chord"].starts_s, middle_s, side="right")) - 1
            root, bitmap, _ = mir_eval.chord.encode(labels["chord"].labels[index])
            total += 1
            right += bool(bitmap[(note.pitch - root) % 12])
    assert total > 50
    assert right == total


def test_the_audio_has_the_chords_of_its_labels(track: Track) -> None:
    """A chroma template matcher of a few lines finds most of the labelled chords in the audio."""
    waveform_N, chords = track.waveform_N, track.labels["chord"]
    right_s = 0.0
    for start_s, end_s, label in chords:
        piece = waveform_N[round(start_s * SAMPLE_RATE) : round(end_s * SAMPLE_RATE)]
        power = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))) ** 2
        frequencies_hz = np.fft.rfftfreq(len(piece), 1 / SAMPLE_RATE)
        band_ = (frequencies_hz > 60) & (frequencies_hz < 1000)
        classes = np.round(12 * np.log2(frequencies_hz[band_] / 440) + 9).astype(int) % 12
        chroma = np.bincount(classes, power[band_], 12)
        templates = {
            (root, mode): chroma[[root, (root + third) % 12, (root + 7) % 12]].sum()
            for root in range(12)
            for mode, third in (("maj", 4), ("min", 3))
        }
        found = max(templates, key=lambda key: templates[key])
        root, bitmap, _ = mir_eval.chord.encode(label)
        right_s += (end_s - start_s) * (found == (root, "maj" if bitmap[4] else "min"))
    assert right_s / (chords.ends_s[-1] - chords.starts_s[0]) > 0.8


def test_the_audio_starts_with_the_first_beat_and_is_repeatable(track: Track) -> None:
    onset_s = np.flatnonzero(np.abs(track.waveform_N) > 0.02)[0] / SAMPLE_RATE
    assert onset_s == pytest.approx(track.labels["beat"].starts_s[0], abs=0.04)
    assert track.waveform_N.dtype == np.float32
    assert np.abs(track.waveform_N).max() <= 1
    np.testing.assert_array_equal(Tiny().load(track.item).waveform_N, track.waveform_N)


def test_a_tune_takes_seconds() -> None:
    corpus = Tiny()
    item = next(item for item in corpus.items() if item.track_id == "rising_sun")
    start_s = time.process_time()
    corpus.load(item)
    assert time.process_time() - start_s < 10


def test_styles_fill_their_bars() -> None:
    for style in STYLES.values():
        beats, beat_q = METRES[style.metre]
        slots = round(beats * beat_q * 2)
        assert {len(row) for row in (style.comp, style.bass, *style.drums.values())} == {slots}


def test_unknown_words_are_named() -> None:
    tune = _tunes()["twinkle"]
    with pytest.raises(ValueError, match="instrument 'kazoo' is none of"):
        band(replace(tune, lead="kazoo"), 0.0)
    with pytest.raises(ValueError, match="style 'punk' is none of"):
        band(replace(tune, style="punk"), 0.0)
    with pytest.raises(ValueError, match="style 'waltz' is in 3/4, the tune in 4/4"):
        band(replace(tune, style="waltz"), 0.0)
