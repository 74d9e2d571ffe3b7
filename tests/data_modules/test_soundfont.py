"""Another soundfont plays the same notes with another sound, and the corpus is called by it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import command
import numpy as np
import pytest

from data_modules import SAMPLE_RATE
from data_modules.corpora.base import SPLITS
from data_modules.corpora.dcml import Dcml
from data_modules.corpora.pop909 import Pop909
from data_modules.corpora.tiny import Tiny
from data_modules.shards import Prepared
from data_modules.synth import Note, Part, render


@pytest.fixture(scope="module")
def font(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A soundfont of its own: that of the renderer with every sample in square, for a hollow, buzzing sound."""
    content = bytearray((files("pretty_midi") / "TimGM6mb.sf2").read_bytes())
    at = content.index(b"smpl") + 4
    size = int.from_bytes(content[at : at + 4], "little")
    samples = np.frombuffer(content, np.int16, size // 2, at + 4)
    square = (3000 * np.sign(samples)).astype(np.int16).tobytes()
    content[at + 4 : at + 4 + len(square)] = square
    path = tmp_path_factory.mktemp("fonts") / "Buzzing Font.sf2"
    path.write_bytes(content)
    return path


def test_another_font_is_another_sound_at_the_same_times(font: Path) -> None:
    parts = [Part(0, [Note(0.5, 1.0, 60), Note(1.5, 2.0, 67)])]
    own, other = render(parts, 2.5), render(parts, 2.5, font)
    assert len(own) == len(other) == round(2.5 * SAMPLE_RATE)
    assert np.array_equal(other, render(parts, 2.5, font)), "the same each time"
    brightness = []
    for audio in (own, other):
        energy = np.square(audio).reshape(-1, SAMPLE_RATE // 10).mean(axis=1)
        assert energy[:5].max() < 1e-2 * energy.max() and energy[5] > 0.1 * energy.max(), "the first note at 0.5 s"
        spectrum = np.abs(np.fft.rfft(audio[SAMPLE_RATE // 2 : SAMPLE_RATE]))
        brightness.append((np.arange(len(spectrum)) * spectrum).sum() / spectrum.sum())
    assert brightness[1] > 1.2 * brightness[0]


def test_a_corpus_is_called_by_its_font(font: Path) -> None:
    for corpus, own in ((Tiny(font), Tiny()), (Dcml(soundfont=font), Dcml()), (Pop909(Path(), font), Pop909(Path()))):
        assert corpus.name == f"{own.name}-buzzing-font" and corpus.family == own.family
        assert "rendered with Buzzing Font.sf2" in corpus.note and "TimGM6mb" not in corpus.note
        assert "rendered with Buzzing Font.sf2 under its own licence" in corpus.licence
        assert "TimGM6mb" not in corpus.licence
    assert Tiny().name == "tiny" and Tiny().note == "synthetic performance", "the class is as it was"


def test_what_is_no_soundfont_is_refused_before_anything_is_rendered(tmp_path: Path) -> None:
    for corpus in (Tiny(tmp_path / "a.sf2"), Dcml(soundfont=tmp_path / "a.sf2")):
        with pytest.raises(FileNotFoundError, match=r"corpus\.soundfont: there is no file .*a\.sf2; name a General"):
            corpus.items()
    (tmp_path / "a.sf2").write_bytes(b"RIFF\0\0\0\0WAVE")
    with pytest.raises(ValueError, match=r"corpus\.soundfont: .*a\.sf2 is no SoundFont 2"):
        Tiny(tmp_path / "a.sf2").items()


def test_prepared_by_the_command(font: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a few tunes; a folder knows which font it was made with, by what the file says."""
    few = [replace(item, split=split) for item, split in zip(Tiny().items(), SPLITS, strict=False)]
    monkeypatch.setattr(Tiny, "items", lambda self: few)
    own = tmp_path / "font.sf2"
    shutil.copy(font, own)
    prepare = ("prepare", "--corpus", "tiny", "--corpus.soundfont", own, "--out", tmp_path / "data", "--jobs", "1")
    command.succeed(*prepare)
    assert Prepared(tmp_path / "data").card["corpus"] == "tiny-font"
    own.write_bytes(font.read_bytes() + b"\0")
    code, said = command.fail(*prepare)
    assert code == 2 and "font.sf2 has changed since" in said
