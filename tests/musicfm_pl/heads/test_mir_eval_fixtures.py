"""mir_eval's own fixtures, through our readers, their checks and our scorers: the scores that its authors expect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import mir_eval
import pytest

from data_modules.corpora.beat_files import read_beats
from data_modules.corpora.giantsteps_key import read_key
from data_modules.corpora.lab_files import read_intervals, relabelled, spans_of
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure

FIXTURES = Path(__file__).parents[2] / "fixtures" / "mir_eval"
NUM_TRACKS = 10


LONG_S = 3600.0
"""The fixtures have no audio; this is longer than any of them, so that the readers cut nothing."""


def _beats(file: Path) -> Spans:
    beats = read_beats(file, LONG_S)
    assert set(beats.labels) == {"?"}, "the files have times alone"
    return Spans.events(beats.starts_s, ["1"] * len(beats))


def _chords(file: Path) -> Spans:
    return spans_of("chord", read_intervals(file), LONG_S)


def _sections(file: Path) -> Spans:
    """Sections are called S1, S2, ... by their labels, such as "Verse (Guitar Solo)", which are those of no corpus.

    A map to the seven functions would make one label of two that differ, and so other scores; the figures that are
    expected depend on which sections share a label, and not on what it is.
    """
    names: dict[str, str] = {}
    rows = relabelled(read_intervals(file), lambda label, _: names.setdefault(label, f"S{len(names) + 1}"))
    return spans_of("section", rows, LONG_S)


def _key(file: Path) -> Spans:
    return read_key(file, LONG_S)


CASES: dict[str, tuple[Head, Callable[[Path], Spans], Mapping[str, str]]] = {
    # All are labelled as downbeats, so that figures of downbeats are checked by the same files.
    "beat": (
        Beat(1),
        _beats,
        {
            f"{what}_{ours}": theirs
            for what in ("beat", "downbeat")
            for ours, theirs in (
                ("f", "F-measure"),
                ("cmlt", "Correct Metric Level Total"),
                ("amlt", "Any Metric Level Total"),
            )
        },
    ),
    "chord": (
        Chord(1),
        _chords,
        {
            f"chord_{name}": name
            for name in ("root", "majmin", "majmin_inv", "thirds", "triads", "sevenths", "sevenths_inv", "tetrads")
        }
        | {f"chord_{name}": name for name in ("mirex", "seg", "overseg", "underseg")},
    ),
    "key": (Key(1), _key, {"key_weighted": "Weighted Score"}),
    "segment": (
        Structure(1),
        _sections,
        {
            f"{ours}_{part}": f"{whole}@{window}"
            for ours, window in (("hr05", "0.5"), ("hr3", "3.0"))
            for part, whole in (("p", "Precision"), ("r", "Recall"), ("f", "F-measure"))
        }
        | {"pairwise_f": "Pairwise F-measure", "nce_f": "NCE F-measure", "v_measure": "V-measure"},
    ),
}


def _files(task: str, part: str) -> list[Path]:
    return sorted((FIXTURES / task).glob(f"{part}[0-9][0-9].*"))


def _read(task: str, number: int) -> tuple[Spans, Estimate, dict[str, float]]:
    _, read, _ = CASES[task]
    reference, estimate = (read(_files(task, part)[number]) for part in ("ref", "est"))
    whole = estimate.labels[0] if task == "key" else None
    return reference, Estimate(estimate, whole=whole), json.loads(_files(task, "output")[number].read_text())


def test_all_fixtures_are_here() -> None:
    assert {folder.name for folder in FIXTURES.iterdir() if folder.is_dir()} == set(CASES)
    for task in CASES:
        assert [len(_files(task, part)) for part in ("ref", "est", "output")] == [NUM_TRACKS] * 3


@pytest.mark.parametrize("task", CASES)
def test_nothing_is_lost_in_reading(task: str) -> None:
    """Scores alone may hide a row that is left out of both files."""
    for file in [*_files(task, "ref"), *_files(task, "est")]:
        spans = CASES[task][1](file)
        if task == "beat":
            assert spans.starts_s.tolist() == mir_eval.io.load_events(file).tolist()
        elif task == "key":
            assert spans.labels == (mir_eval.io.load_key(file),)
        else:
            intervals_s, labels = mir_eval.io.load_labeled_intervals(file)
            assert spans.intervals_s.tolist() == intervals_s.tolist()
            assert len(set(zip(spans.labels, labels, strict=True))) == len(set(labels)) == len(set(spans.labels))
            assert task == "segment" or spans.labels == tuple(labels)


@pytest.mark.parametrize("number", range(NUM_TRACKS))
@pytest.mark.parametrize("task", CASES)
def test_scores_of_a_track(task: str, number: int) -> None:
    head, _, names = CASES[task]
    reference, estimate, expected = _read(task, number)
    (figures,) = head.score([reference], [estimate], [float(reference.ends_s.max())]).tracks
    ours = {theirs: figures[name] for name, theirs in names.items()}
    assert ours == pytest.approx({theirs: expected[theirs] for theirs in names.values()}, abs=1e-9)


@pytest.mark.parametrize("task", CASES)
def test_every_figure_that_mir_eval_expects_of_ours_is_compared(task: str) -> None:
    """What our heads report and the fixtures do not have is named here, and nothing else."""
    head, _, names = CASES[task]
    reference, estimate, _ = _read(task, 0)
    (figures,) = head.score([reference], [estimate], [float(reference.ends_s.max())]).tracks
    ours_alone = {"key_weighted_up", "key_weighted_both", "key_accuracy", "key_local_accuracy", "frame_accuracy"}
    assert set(figures) - set(names) <= ours_alone


def test_trimmed_boundaries_through_the_setting() -> None:
    """The fixtures have none that are trimmed: mir_eval itself on their files is the oracle."""
    head = Structure(1, trim=True)
    for number in range(NUM_TRACKS):
        reference, estimate, expected = _read("segment", number)
        (figures,) = head.score([reference], [estimate], [float(reference.ends_s.max())]).tracks
        ref_s, _ = mir_eval.util.adjust_intervals(reference.intervals_s, list(reference.labels), t_min=0)
        est_s, _ = mir_eval.util.adjust_intervals(
            estimate.spans.intervals_s, list(estimate.spans.labels), t_min=0, t_max=ref_s.max()
        )
        trimmed = mir_eval.segment.detection(ref_s, est_s, window=3.0, trim=True)
        assert [figures[f"hr3_{part}"] for part in "prf"] == pytest.approx(list(trimmed))
        assert figures["hr3_f"] != expected["F-measure@3.0"]
