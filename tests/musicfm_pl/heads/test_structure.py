import mir_eval
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logit

from data_modules.labels import FUNCTIONS, check
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate
from musicfm_pl.heads.peaks import local_maxima, prominent_peaks
from musicfm_pl.heads.structure import Structure
from musicfm_pl.systems.judge import Judge

FIGURES = ("hr05_p", "hr05_r", "hr05_f", "hr3_p", "hr3_r", "hr3_f", "pairwise_f", "nce_f", "v_measure")


@st.composite
def _sections(draw: st.DrawFn, labels: tuple[str, ...]) -> Spans:
    lengths_s = draw(st.lists(st.floats(4.0, 40.0), min_size=1, max_size=10))
    names = draw(st.lists(st.sampled_from(labels), min_size=len(lengths_s), max_size=len(lengths_s)))
    edges_s = np.concatenate([[0.0], np.cumsum(lengths_s)])
    return Spans(edges_s[:-1], edges_s[1:], tuple(names))


@settings(max_examples=30, deadline=None)
@given(_sections(FUNCTIONS))
def test_round_trip_of_functions(sections: Spans):
    head = Structure(4)
    head.learn_labels([sections])
    scores = head.ceiling([sections], [float(sections.ends_s[-1])])
    assert scores.summary["hr05_f"] == 1
    assert scores.summary["frame_accuracy"] >= 0.98
    assert scores.summary["pairwise_f"] >= 0.97
    # mir_eval's figures of agreement are 0 where there is only one label.
    assert scores.summary["v_measure"] >= 0.9 or len(set(sections.labels)) == 1


@settings(max_examples=30, deadline=None)
@given(_sections(("A", "A'", "B", "C1")))
def test_round_trip_of_letters_is_of_boundaries(sections: Spans):
    head = Structure(4)
    head.learn_labels([sections])
    duration_s = float(sections.ends_s[-1])
    scores = head.ceiling([sections], [duration_s])
    assert scores.summary["hr05_f"] == 1
    assert all(scores.summary[name] is None for name in ("pairwise_f", "nce_f", "v_measure", "frame_accuracy"))
    assert any("letters" in note for note in scores.notes)
    assert any("boundaries only" in note for note in scores.notes)
    estimate = head.decode(head.perfect_logits(head.targets(sections, duration_s)).numpy(), duration_s)
    check({"section": estimate.spans}, duration_s, "estimate")


@settings(max_examples=30, deadline=None)
@given(_sections(FUNCTIONS), _sections(FUNCTIONS), st.sampled_from([0.0, 2.3]), st.booleans())
def test_scores_are_mir_evals(reference: Spans, estimate: Spans, late_s: float, trim: bool):
    estimate = Spans(estimate.starts_s + late_s, estimate.ends_s + late_s, estimate.labels)
    summary = Structure(4, trim=trim).score([reference], [Estimate(estimate)], [float(reference.ends_s[-1])]).summary
    true_s, true_labels = mir_eval.util.adjust_intervals(reference.intervals_s, list(reference.labels), t_min=0)
    # Cut beforehand: of a span that starts at t_max mir_eval makes one of no length, and refuses it.
    cut = estimate.slice(0.0, float(true_s.max()))
    found_s, found_labels = mir_eval.util.adjust_intervals(
        cut.intervals_s, list(cut.labels), t_min=0, t_max=true_s.max()
    )
    for name, window_s in (("hr05", 0.5), ("hr3", 3.0)):
        if trim and len(reference) == 1:
            assert summary[f"{name}_f"] is None
            continue
        if trim and len(found_s) == 1:
            # mir_eval says the same with a warning.
            assert summary[f"{name}_f"] == 0
            continue
        expected = mir_eval.segment.detection(true_s, found_s, window=window_s, trim=trim)
        assert [summary[f"{name}_{part}"] for part in "prf"] == pytest.approx(list(expected))
    for name, function in (("pairwise_f", mir_eval.segment.pairwise), ("nce_f", mir_eval.segment.nce)):
        assert summary[name] == pytest.approx(function(true_s, true_labels, found_s, found_labels)[2])


def test_letters_in_the_reference_leave_agreement_and_no_accuracy():
    letters = Spans.of([(0, 10, "A"), (10, 20, "B"), (20, 30, "A")])
    functions = Spans.of([(0, 10, "verse"), (10, 20, "chorus"), (20, 30, "verse")])
    summary = Structure(4).score([letters], [Estimate(functions)], [30.0]).summary
    assert summary["pairwise_f"] == 1
    assert summary["v_measure"] == pytest.approx(1)
    assert summary["frame_accuracy"] is None


def test_frame_accuracy_is_by_time_where_a_function_is_annotated():
    reference = Spans.of([(0, 10, "verse"), (12, 20, "chorus"), (20, 30, "A")])
    letters = Spans.of([(0, 4, "intro"), (4, 10, "A"), (10, 20, "B")])
    estimate = Spans.of([(0, 14, "verse"), (14, 30, "chorus")])
    figures = Structure(4).score([reference], [Estimate(estimate)], [30.0]).tracks[0]
    assert figures["frame_accuracy"] == pytest.approx(16 / 18)
    assert Structure(4).score([letters], [Estimate(estimate)], [20.0]).summary["frame_accuracy"] is None


def test_what_touches_an_end_of_the_clip_is_no_boundary():
    sections = Spans.of([(0, 10, "verse"), (10, 20, "chorus")])
    boundary_N = Structure(4).targets(sections.slice(2.0, 18.0), 16.0)[:, 0]
    assert boundary_N.nonzero().flatten().tolist() == [62, 63, 64, 65, 66]
    assert boundary_N[62:67].tolist() == [0.25, 0.5, 1, 0.5, 0.25]
    assert Structure(4, smear_frames=0).targets(sections, 20.0)[:, 0].sum() == 1
    assert not Structure(4).targets(sections.slice(2.0, 8.0), 6.0)[:, 0].any()


def test_the_end_of_the_annotation_is_no_boundary():
    sections = Spans.of([(1, 5, "verse"), (7, 9.3, "chorus")])
    boundary_N = Structure(4, smear_frames=0).targets(sections, 12.0)[:, 0]
    assert boundary_N.nonzero().flatten().tolist() == [8, 40, 56]
    assert Structure(4).ceiling([sections], [12.0]).summary["hr05_f"] == 1


def test_a_clip_without_a_section_is_not_known():
    assert Structure(4).targets(Spans.of([]), 5.0).isnan().all()


def test_functions_and_letters_in_one_corpus():
    mixed = Spans.of([(0, 2, "A"), (2, 4, "chorus")])
    functions_N = Structure(4).targets(mixed, 4.0)[:, 1]
    assert functions_N[:16].isnan().all()
    assert (functions_N[16:] == FUNCTIONS.index("chorus")).all()
    head = Structure(4)
    head.learn_labels([Spans.of([(0, 2, "A")]), mixed])
    assert not head.knows_functions
    head.learn_labels([Spans.of([(0, 2, "verse")]), mixed])
    assert head.knows_functions


def test_a_weak_activation_still_finds_its_boundaries():
    rng = np.random.default_rng(0)
    logits = np.full((8 * 90, 8), -3.0, dtype=np.float32) + rng.normal(0, 0.2, (8 * 90, 8)).astype(np.float32)
    logits[[8 * 30, 8 * 60], 0] = -1.0
    starts_s = Structure(4).decode(logits, 90.0).spans.starts_s
    assert {30.0, 60.0} <= set(starts_s)
    assert Structure(4, threshold=0.1).decode(logits, 90.0).spans.starts_s.tolist() == [0, 30, 60]


def test_a_relative_threshold_does_not_depend_on_how_sure_the_head_is():
    rng = np.random.default_rng(0)
    shape = rng.uniform(0.0, 0.1, 8 * 90)
    shape[[8 * 30, 8 * 60]] = [1.0, 0.6]
    shape[8 * 45] = 0.15
    for scale in (0.9, 0.03):
        logits = np.zeros((8 * 90, 8), dtype=np.float32)
        logits[:, 0] = logit(scale * shape)
        relative = Structure(4, threshold=0.3, relative=True)
        assert relative.decode(logits, 90.0).spans.starts_s.tolist() == [0, 30, 60]
    assert Structure(4, threshold=0.3).decode(logits, 90.0).spans.starts_s.tolist() == [0]


def test_a_function_by_mean_logit_or_mean_probability():
    logits = np.full((80, 8), -9.0, dtype=np.float32)
    logits[:50, 1 + FUNCTIONS.index("verse")] = 1.0
    logits[50:, 1 + FUNCTIONS.index("chorus")] = 20.0
    assert Structure(4).decode(logits, 10.0).spans.labels == ("chorus",)
    assert Structure(4, pool="probabilities").decode(logits, 10.0).spans.labels == ("verse",)


def test_boundary_weight():
    targets = Structure(4).targets(Spans.of([(0, 10, "A"), (10, 20, "B")]), 20.0)[None]
    logits = torch.zeros(1, targets.shape[1], 8)
    once, twice = (Structure(4, boundary_weight=weight).loss(logits, targets) for weight in (1.0, 2.0))
    torch.testing.assert_close(twice, 2 * once)


def test_peaks_are_the_middle_of_a_plateau_and_the_largest_around():
    activation = np.array([0, 1, 1, 1, 0, 0, 2, 0, 1, 0, 0, 0.0])
    assert local_maxima(activation, 1).tolist() == [2, 6, 8, 10]
    assert prominent_peaks(activation, 1, 5, 0.0).tolist() == [2, 6, 8]
    assert prominent_peaks(activation, 2, 5, 0.0).tolist() == [2, 6]
    assert prominent_peaks(activation, 1, 5, 1.0).tolist() == [6]


@given(st.floats(0, 1), st.integers(1, 300))
def test_a_level_activation_has_no_peak(value: float, num_frames: int):
    assert len(prominent_peaks(np.full(num_frames, value), 48, 96, 0.0)) == 0


@pytest.mark.parametrize("settings", [{"smear_frames": -1}, {"peak_s": 0.0}, {"surroundings_s": -1.0}, {"pool": "a"}])
def test_settings_that_make_no_sense_are_named(settings: dict):
    with pytest.raises(ValueError, match=f"head.*{next(iter(settings))}"):
        Structure(4, **settings)


def judged(head: Structure) -> list[str]:
    judge = Judge(head, [])
    letters = Spans.of([(0, 2, "A"), (2, 4, "B")])
    judge.add("song", letters, head.perfect_logits(head.targets(letters, 4.0)), 4.0)
    return list(judge.scores()[judge.own].notes)


def test_how_functions_are_chosen_is_said_where_they_are_known():
    head = Structure(4, pool="probabilities")
    boundary, function = head.decoded()
    assert boundary.startswith("A boundary has the largest") and "function" not in boundary
    assert function == "A section has the function with the largest mean of probabilities."
    head.learn_labels([Spans.of([(0, 2, "A"), (2, 4, "B")])])
    assert head.decoded() == [boundary]
    found = judged(head)
    assert found[0] == boundary and not any("has the function" in note for note in found)
    assert any("It finds boundaries only" in note for note in found)
