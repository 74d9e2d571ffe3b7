"""mir_eval's own fixtures, through our annotation type and our scorers: the scores that its authors expect."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import mir_eval
import pytest

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head
from musicfm_pl.heads.beat import Beat
from musicfm_pl.heads.chord import Chord
from musicfm_pl.heads.key import Key
from musicfm_pl.heads.structure import Structure

FIXTURES = Path(__file__).parents[2] / "fixtures" / "mir_eval"
NUM_TRACKS = 10


def _beats(file: Path) -> Spans:
    times_s = mir_eval.io.load_events(file)
    return Spans.events(times_s, ["1"] * len(times_s))


def _intervals(file: Path) -> Spans:
    intervals_s, labels = mir_eval.io.load_labeled_intervals(file)
    return Spans(intervals_s[:, 0], intervals_s[:, 1], tuple(labels))


def _key(file: Path) -> Spans:
    return Spans.of([(0.0, 30.0, mir_eval.io.load_key(file))])


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
        _intervals,
        {
            f"chord_{name}": name
            for name in ("root", "majmin", "majmin_inv", "thirds", "triads", "sevenths", "sevenths_inv", "tetrads")
        }
        | {f"chord_{name}": name for name in ("mirex", "seg", "overseg", "underseg")},
    ),
    "key": (Key(1), _key, {"key_weighted": "Weighted Score"}),
    "segment": (
        Structure(1),
        _intervals,
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
