from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import Absent, BadTrack, Fault
from data_modules.corpora.pop909 import Pop909
from data_modules.corpora.pop909_form import bars_of, sections_of

# The real songs lie beside the checkout where a developer has put them; they are no part of the project.
REAL = Path(__file__).parents[3].parent / "shared" / "corpora" / "pop909"

BEAT_S = 0.5
TUNES = {
    "A": [60, 62, 64, 65, 67, 65, 64, 62, 60, 64, 67, 64, 60, 62, 64, 60],
    "B": [72, 71, 69, 67, 69, 67, 65, 64, 65, 64, 62, 60, 62, 64, 62, 60],
    "i": [-1] * 16,
}


def write_song(folder: Path, phrases: str = "i4A4B4A4", odd_bar_after: int | None = None) -> Path:
    """A song of 4-bar phrases in 4/4, with one bar of two beats after so many bars if wanted."""
    song = folder / "001"
    song.mkdir(parents=True)
    downbeats = list(range(0, 64, 4))
    num_beats = 64
    if odd_bar_after is not None:
        at = 4 * odd_bar_after
        downbeats = [beat for beat in downbeats if beat <= at] + [beat + 2 for beat in downbeats if beat >= at]
        num_beats += 2
    midi = pretty_midi.PrettyMIDI()
    tracks = [pretty_midi.Instrument(0, name=name) for name in ("MELODY", "BRIDGE", "PIANO")]
    midi.instruments = tracks
    for bar, downbeat in enumerate(sorted(set(downbeats))):
        start_s = 1.0 + downbeat * BEAT_S
        tracks[2].notes.append(pretty_midi.Note(80, 48, start_s, start_s + 1.9))
        if odd_bar_after is not None and bar == odd_bar_after:
            continue
        place = bar if odd_bar_after is None or bar < odd_bar_after else bar - 1
        for number in range(4):
            pitch = TUNES["iABA"[place // 4]][4 * (place % 4) + number]
            if pitch >= 0:
                onset_s = start_s + number * BEAT_S
                tracks[0].notes.append(pretty_midi.Note(90, pitch, onset_s, onset_s + 0.4))
    midi.write(str(song / "001.mid"))
    rows = [f"{1.0 + beat * BEAT_S} 0.0 {float(beat in downbeats)}" for beat in range(num_beats)]
    (song / "beat_midi.txt").write_text("\n".join(rows))
    (song / "beat_audio.txt").write_text("3.5\t1.0\n4.0\t2.0\n")
    (song / "chord_midi.txt").write_text("1.0\t17.0\tC:maj\n17.0\t33.0\tA:min7/b3\n")
    (song / "key_audio.txt").write_text("3.5\t19.5\tC:maj\n19.5\t35.5\tGb:min\n")
    (song / "human_label1.txt").write_text(phrases + "\n")
    return song


def test_labels_of_a_song(tmp_path: Path) -> None:
    write_song(tmp_path)
    corpus = Pop909(tmp_path)
    (item,) = corpus.items()
    assert (item.track_id, item.group, item.split) == ("001", "001", "train")
    track = corpus.load(item)
    assert corpus.gaps(item) == {}
    labels = track.labels
    assert labels["beat"].labels[:5] == ("1", "2", "3", "4", "1")
    assert list(labels["chord"]) == [(1.0, 17.0, "C:maj"), (17.0, 33.0, "A:min7/b3")]
    # The key comes in the time of the recording, whose first beat is at 3.5 s.
    assert list(labels["key"]) == [(1.0, 17.0, "C major"), (17.0, 33.0, "Gb minor")]
    assert list(labels["section"]) == [(1, 9, "intro"), (9, 17, "A"), (17, 25, "B"), (25, 33, "A")]
    assert all(tag.startswith("instrument---") for tag in labels["tag"].labels)
    onset_s = np.flatnonzero(np.abs(track.waveform_N) > 0.02)[0] / SAMPLE_RATE
    assert onset_s == pytest.approx(1.0, abs=0.05)
    np.testing.assert_array_equal(corpus.load(item).waveform_N, track.waveform_N)


def test_an_odd_bar_counts_only_where_the_melody_says_so(tmp_path: Path) -> None:
    # Two beats are put in after 8 bars: B and the second A come that much later.
    write_song(tmp_path, odd_bar_after=8)
    corpus = Pop909(tmp_path)
    sections = corpus.load(corpus.items()[0]).labels["section"]
    assert sections.labels == ("intro", "A", "B", "A")
    assert sections.starts_s[-1] == pytest.approx(1.0 + (12 * 4 + 2) * BEAT_S)


def test_bars() -> None:
    times_s = np.arange(26) * 0.5
    marks = np.zeros(26, dtype=bool)
    marks[[2, 6, 10, 12, 16, 20, 24]] = True
    bars = bars_of(times_s, marks, "x")
    assert bars.positions[:7] == ("3", "4", "1", "2", "3", "4", "1")
    assert bars.positions[9:13] == ("4", "1", "2", "1")
    marks = np.zeros(26, dtype=bool)
    marks[[6, 12, 18, 24]] = True
    bars = bars_of(times_s, marks, "x")
    assert bars.length == 3
    assert bars.positions[:8] == ("?", "?", "?", "1", "2", "3", "1", "2")
    with pytest.raises(BadTrack, match="x: only 1 downbeats"):
        bars_of(times_s, np.arange(26) == 3, "x")
    with pytest.raises(BadTrack, match="x: no regular bars"):
        bars_of(times_s, np.isin(np.arange(26), [0, 2, 5, 9, 14, 20, 21]), "x")


def test_sections() -> None:
    times_s = np.arange(64) * 0.5
    bars = bars_of(times_s, np.arange(64) % 4 == 0, "x")
    rows = list(sections_of("i2X2xb4X4o4", bars, np.full(300, -1), "x"))
    assert [label for _, _, label in rows] == ["intro", "X", "inst", "X2", "outro"]
    assert rows[2][:2] == (8, 16)
    with pytest.raises(BadTrack, match="x: '4A' is no list of phrases"):
        sections_of("4A", bars, np.full(300, -1), "x")
    with pytest.raises(BadTrack, match="x: 86 bars of phrases, but the song has only 16"):
        sections_of("C86", bars, np.full(300, -1), "x")
    with pytest.raises(Absent, match=r"x: left out, .* do not sound alike \(0\.00 of .* at least 0\.3 should\)"):
        sections_of("A4A4", bars, np.arange(300), "x")


def test_what_is_missing_is_said_and_the_rest_is_used(tmp_path: Path) -> None:
    song = write_song(tmp_path)
    (song / "human_label1.txt").unlink()
    (song / "chord_midi.txt").write_text("1.0 2.0 H:maj\n")
    (song / "key_audio.txt").write_text("1.0 C:maj\n")
    corpus = Pop909(tmp_path)
    (item,) = corpus.items()
    assert set(corpus.load(item).labels) == {"beat", "tag"}
    gaps = corpus.gaps(item)
    assert set(gaps) == {"section", "chord", "key"}
    assert "human_label1.txt: no such file" in gaps["section"]
    assert "'H:maj' is no chord" in gaps["chord"]
    assert "key_audio.txt:1: expected 3 columns, got '1.0 C:maj'" in gaps["key"]


def test_bad_midi_is_named(tmp_path: Path) -> None:
    song = write_song(tmp_path)
    (song / "001.mid").write_bytes((song / "001.mid").read_bytes()[:90])
    corpus = Pop909(tmp_path)
    with pytest.raises(BadTrack, match=r"001\.mid: cannot be read as MIDI"):
        corpus.load(corpus.items()[0])


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent; expected the folder of POP909"):
        Pop909(tmp_path / "absent").items()
    with pytest.raises(FileNotFoundError, match="no song in"):
        Pop909(tmp_path).items()


@pytest.mark.skipif(not REAL.is_dir(), reason="the songs of POP909 are not beside this checkout")
def test_real_songs() -> None:
    corpus = Pop909(REAL)
    items = corpus.items()
    splits = [item.split for item in items]
    assert (len(items), splits.count("val"), splits.count("test")) == (300, 30, 100)
    by_group: dict[str, set[str]] = {}
    for item in items:
        by_group.setdefault(item.group, set()).add(item.split)
    assert len(by_group) == 298
    assert all(len(found) == 1 for found in by_group.values())
    gaps = [corpus.gaps(item) for item in items[::6]]
    assert sum("section" in one for one in gaps) <= 5
    assert not any(isinstance(reason, Fault) for one in gaps for reason in one.values())
    assert not any(set(one) - {"section"} for one in gaps)
    track = corpus.load(items[0])
    assert set(track.labels) == {"beat", "chord", "key", "section", "tag"}
    assert track.labels["key"].labels == ("Gb major",)
    assert track.labels["section"].labels[:4] == ("intro", "A", "B", "A")
