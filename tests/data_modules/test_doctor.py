"""`musicfm doctor` finds every planted fault, names it, and has nothing to say of what is sound."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import command
import numpy as np
import pytest
import soundfile

RATE = 16_000
LENGTH_S = 8


def write(root: Path, name: str, seed: int, times_s: np.ndarray | None = None) -> Path:
    """A track of noise, with a beat every half second unless others are given."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, RATE * LENGTH_S).astype(np.float32), RATE)
    times_s = np.arange(0.25, LENGTH_S, 0.5) if times_s is None else times_s
    rows = [f"{time_s:.3f} {number % 4 + 1}\n" for number, time_s in enumerate(times_s)]
    path.with_suffix(".beats").write_text("".join(rows))
    return path


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """Nine tracks without a fault."""
    root = tmp_path / "sound"
    for number, name in enumerate("abcdefghi"):
        split = "train" if number < 5 else "val" if number < 7 else "test"
        write(root, f"{split}/{name}.wav", number)
    return root


def doctor(root: Path, *more: str | Path) -> tuple[int, str, str]:
    """Exit code, and the output with its white space made even; and stderr."""
    done = command.musicfm("doctor", "--corpus", "beat_folder.BeatFolder", "--root", root, "--jobs", "1", *more)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, " ".join(done.stdout.split()), done.stderr


def table(out: str, row: str) -> list[str]:
    """The figures of a row: found, expected (only for all), usable, hours, beats."""
    (found,) = [line for line in out.splitlines() if line.strip().startswith(row) and "│" in line]
    return [cell.strip() for cell in found.split("│")[1:]]


def test_a_sound_corpus(sound: Path) -> None:
    done = command.musicfm("doctor", "--corpus", "beat_folder.BeatFolder", "--root", sound, "--jobs", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("beat folder: nothing is wrong")
    assert table(done.stdout, "all") == ["9", "9", "9", "0.02", "9"]
    assert table(done.stdout, "train") == ["5", "", "5", "0.01", "5"]
    assert table(done.stdout, "test") == ["2", "", "2", "0.00", "2"]
    assert "doctor beat folder: 9 of 9 tracks, 0.02 h" in done.stdout


def test_every_planted_fault_is_found(sound: Path, tmp_path: Path) -> None:
    shutil.copy(sound / "train/a.wav", sound / "test/again.wav")
    shutil.copy(sound / "train/a.beats", sound / "test/again.beats")
    cut = write(sound, "train/j.mp3", 20)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 3])
    (sound / "train/k.wav").touch()
    soundfile.write(sound / "train/l.wav", [], RATE)
    write(sound, "train/m.wav", 21, np.array([0.5, 1.0, 0.9, 1.5]))
    write(sound, "train/n.wav", 22, np.array([0.5, 1.0, 9.5]))
    write(sound, "train/o.wav", 23).with_suffix(".beats").write_text("0.5 1\n1.0\n")
    write(sound, "train/p.wav", 24, np.delete(np.arange(0.25, LENGTH_S, 0.5), 4))
    write(sound, "train/q.wav", 25, np.arange(0.25, 2.0, 0.5))
    write(sound, "train/crash.wav", 26)
    silent = np.zeros(RATE * LENGTH_S)
    silent[: RATE * 2] = np.random.default_rng(0).uniform(-2, 2, RATE * 2).clip(-1, 1)
    write(sound, "val/r.wav", 27)
    soundfile.write(sound / "val/r.wav", silent, RATE)
    (sound / "val/f.beats").unlink()
    report = tmp_path / "report" / "all.tsv"
    code, said, _ = doctor(sound, "--out", report)
    assert code == 1
    for finding in (
        "not as many tracks as there should be: 1 20 are there, but beat folder should hold 9",
        "cannot be used: 7",
        f"train/j.mp3: {sound}/train/j.mp3: cut short",
        f"train/k.wav: {sound}/train/k.wav: cannot be read as audio",
        f"train/l.wav: {sound}/train/l.wav: holds no samples",
        f"train/m.wav: {sound}/train/m.beats: beat: times must rise, but 0.900 s",
        f"train/n.wav: {sound}/train/n.beats: beat: a time beyond the end of the track, 9.500 s",
        f"train/o.wav: {sound}/train/o.beats:2: expected time and position, got '1.0'",
        "train/crash.wav: the reader itself failed with KeyError",
        "there twice: 1 test/again.wav: the same audio as train/a.wav, which is in another split (test and train)",
        "a group in more than one split: 1 a: in test and train",
        "doubtful: 3",
        "train/p.wav: beat: the tempo jumps at 2 places, first at 1.750 s, where 0.500 s from beat",
        "train/q.wav: beat: labels from 0.2 to 1.8 s, but 8.0 s of audio",
        "val/r.wav: audio: silent for 7",
        f"without beat labels: 1 val/f.wav: {sound}/val/f.beats: is not there",
        "beat folder: to be looked at: not as many tracks as there should be 1, cannot be used 7, there twice 1",
    ):
        assert finding in said, finding
    with report.open() as file:
        rows = {row["track"]: row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)}
    assert len(rows) == 20
    states = {
        state: {name for name, row in rows.items() if row["state"] == state} for state in ("unusable", "doubtful")
    }
    assert states["unusable"] == {
        f"train/{name}" for name in ("j.mp3", *(f"{x}.wav" for x in ("k", "l", "m", "n", "o", "crash")))
    }
    assert states["doubtful"] == {"train/p.wav", "train/q.wav", "val/r.wav", "test/again.wav"}
    assert rows["train/a.wav"]["audio"] == rows["test/again.wav"]["audio"] != rows["train/b.wav"]["audio"]
    assert float(rows["val/r.wav"]["silent"]) == pytest.approx(0.75, abs=0.02)
    assert rows["val/f.wav"]["gaps"].startswith("beat: ") and rows["val/f.wav"]["kinds"] == ""
    assert float(rows["train/a.wav"]["seconds"]) == LENGTH_S


def test_gaps_and_clipping_are_told_but_not_wrong(sound: Path) -> None:
    (sound / "val/f.beats").unlink()
    soundfile.write(sound / "val/g.wav", np.sign(np.sin(np.arange(24_000 * LENGTH_S) / 50)), 24_000)
    code, said, _ = doctor(sound)
    assert code == 0
    assert "without beat labels: 1" in said
    assert "clipped: 1 val/g.wav" in said


def test_a_killed_process_and_a_folder_that_is_not_there(sound: Path) -> None:
    write(sound, "train/kill.wav", 30)
    code, _, stderr = doctor(sound)
    assert code == 2
    assert "was killed, most often for want of memory" in stderr
    code, said, _ = doctor(sound / "absent")
    assert code == 1
    assert "beat folder has none" in said
    done = command.musicfm("doctor", "--corpus", "folder", "--root", sound / "absent")
    assert done.returncode == 2
    assert "no folder" in done.stderr


@pytest.mark.slow
def test_the_tiny_corpus_is_sound_and_torch_is_not_needed(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom musicfm_pl.cli import main\n"
        "if __name__ == '__main__':\n    main(sys.argv[1:])\n"
        "    heavy = {'torch', 'lightning', 'torchaudio'} & set(sys.modules)\n"
        "    sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = command.python("-c", code, "doctor", "--corpus", "tiny", "--jobs", "2", "--out", tmp_path / "tiny.tsv")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tiny: nothing is wrong" in done.stdout
    assert table(done.stdout, "all") == ["27", "open", "27", "0.57", "27", "27", "27", "27", "27"]
    assert len((tmp_path / "tiny.tsv").read_text().splitlines()) == 28
