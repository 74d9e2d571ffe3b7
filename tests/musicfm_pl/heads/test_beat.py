import mir_eval
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from steady_beats import noisy_logits, steady_beats

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate
from musicfm_pl.heads.beat import Beat


@pytest.fixture(scope="module")
def head() -> Beat:
    return Beat(4)


@settings(max_examples=15, deadline=None)
@given(
    bpm=st.floats(60, 200),
    beats_per_bar=st.sampled_from([3, 4]),
    first_s=st.floats(0, 1),
    jitter=st.floats(0, 0.01),
    num_s=st.floats(15, 40),
    decoder=st.sampled_from(["dbn", "minimal"]),
)
def test_round_trip(bpm: float, beats_per_bar: int, first_s: float, jitter: float, num_s: float, decoder: str):
    beats = steady_beats(num_s, bpm, beats_per_bar, first_s, jitter)
    # Trimmed, a beat at 5 s may be counted on one side only.
    summary = Beat(4, decoder=decoder, trim_s=0.0).ceiling([beats], [num_s]).summary
    # madmom may not see the last beat, of which it hears only the beginning.
    for what, number in (("beat", len(beats)), ("downbeat", beats.labels.count("1"))):
        assert summary[f"{what}_f"] >= 2 * (number - 1) / (2 * number - 1) - 1e-9
    assert summary["beat_amlt"] >= 0.97


@pytest.mark.parametrize("beats_per_bar", [2, 6])
def test_round_trip_of_other_bars(beats_per_bar: int):
    beats = steady_beats(30.0, 150, beats_per_bar)
    summary = Beat(4, beats_per_bar=(2, 3, 4, 6)).ceiling([beats], [30.0]).summary
    assert all(value == 1 for value in summary.values())


def test_scores_are_mir_evals(head: Beat):
    reference = steady_beats(30.0, 100, 4, jitter=0.03)
    estimate = head.decode(noisy_logits(head, reference, 30.0, 3.0), 30.0)
    scores = head.score([reference], [estimate], [30.0])
    assert 0 < scores.summary["beat_f"] < 1
    assert scores.summary == scores.tracks[0]
    for what, labels in (("beat", None), ("downbeat", ("1",))):
        true_s, found_s = (
            np.array([start for start, _, label in spans if labels is None or label in labels])
            for spans in (reference, estimate.spans)
        )
        expected = mir_eval.beat.evaluate(true_s, found_s)
        for ours, theirs in (
            ("f", "F-measure"),
            ("cmlt", "Correct Metric Level Total"),
            ("amlt", "Any Metric Level Total"),
        ):
            assert scores.summary[f"{what}_{ours}"] == pytest.approx(expected[theirs])


def test_trim_is_a_setting():
    reference = Spans.events([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], ["1", "2", "3", "4", "1", "2", "3"])
    late = Estimate(Spans.events([5.0, 6.0, 7.0], ["1", "2", "3"]))
    assert Beat(4).score([reference], [late], [8.0]).summary["beat_f"] == 1
    assert Beat(4, trim_s=0.0).score([reference], [late], [8.0]).summary["beat_f"] == pytest.approx(0.6)


def test_positions_that_are_not_known(head: Beat):
    known = steady_beats(20.0, 120, 4)
    unknown = Spans.events(known.starts_s, ["?"] * len(known))
    target_N2 = head.targets(unknown, 20.0)
    assert target_N2[:, 1].isnan().all()
    assert torch.equal(target_N2[:, 0], head.targets(known, 20.0)[:, 0])
    perfect = head.decode(head.perfect_logits(head.targets(known, 20.0)).numpy(), 20.0)
    scores = head.score([unknown, known], [perfect, perfect], [20.0] * 2)
    assert scores.tracks[0]["beat_f"] == 1
    assert scores.tracks[0]["downbeat_f"] is None
    assert scores.summary["downbeat_f"] == 1
    assert scores.notes[-1] == (
        "downbeat figures leave out 1 of 2 tracks, whose positions in the bar are not known, or which have no "
        "downbeat that is scored."
    )


@pytest.mark.parametrize("num_true", [0, 1, 2])
@pytest.mark.parametrize("num_found", [0, 1, 2])
def test_few_beats(head: Beat, num_true: int, num_found: int):
    reference = Spans.events(np.arange(num_true) + 6.0, ["1"] * num_true)
    estimate = Estimate(Spans.events(np.arange(num_found) + 6.0, ["1"] * num_found))
    summary = head.score([reference], [estimate], [10.0]).summary
    both = min(num_true, num_found)
    expected_f = 2 * both / (num_true + num_found) if num_true else None
    assert summary["beat_f"] == (pytest.approx(expected_f) if num_true else None)
    assert (summary["beat_cmlt"] is None) == (num_true < 2)


def test_targets_are_widened_and_stay_in_the_clip():
    beats = Spans.events([0.0, 0.206, 0.999], ["1", "2", "3"])
    target_N2 = Beat(4).targets(beats, 1.0)
    assert target_N2[:3, 0].tolist() == [1, 0.5, 0]
    assert target_N2[8:13, 0].tolist() == [0, 0.5, 1, 0.5, 0]
    assert target_N2[48:, 0].tolist() == [0.5, 1]
    assert target_N2[:, 1].nonzero().flatten().tolist() == [0, 1]
    assert Beat(4, widen_frames=0).targets(beats, 1.0)[:, 0].sum() == 3
    assert Beat(4, widen_frames=2).targets(beats, 1.0)[8:13, 0].tolist() == [0.25, 0.5, 1, 0.5, 0.25]


def _beat_this_loss(logits_N: np.ndarray, targets_N: np.ndarray, tolerance: int, weight: float) -> float:
    """Frame by frame, as the paper words it; the outer frames do not count."""
    losses = []
    for frame in range(2 * tolerance, len(logits_N) - 2 * tolerance):
        highest = logits_N[frame - tolerance : frame + tolerance + 1].max()
        if targets_N[frame]:
            losses.append(weight * np.log1p(np.exp(-highest)))
        elif targets_N[frame - 2 * tolerance : frame + 2 * tolerance + 1].any():
            losses.append(0.0)
        else:
            losses.append(np.log1p(np.exp(highest)))
    return float(np.mean(losses))


@pytest.mark.parametrize(("tolerance", "weight"), [(1, 1.0), (3, 1.0), (3, 7.0)])
def test_shift_tolerant_loss_is_beat_thises(tolerance: int, weight: float):
    head = Beat(4, shift_tolerance=tolerance, beat_weight=weight, downbeat_weight=weight)
    targets_N2 = head.targets(steady_beats(6.0, 130, 4), 6.0)
    assert set(targets_N2.unique().tolist()) == {0, 1}, "not widened"
    logits_N2 = torch.randn(targets_N2.shape, generator=torch.Generator().manual_seed(tolerance))
    expected = [
        _beat_this_loss(logits_N2[:, column].numpy(), targets_N2[:, column].numpy(), tolerance, weight)
        for column in range(2)
    ]
    assert head.loss(logits_N2[None], targets_N2[None]).item() == pytest.approx(np.mean(expected), rel=1e-5)


def test_a_shift_within_the_tolerance_costs_nothing():
    head = Beat(4, shift_tolerance=3)
    beats = steady_beats(10.0, 100, 4, first_s=0.5)
    targets, plain = head.targets(beats, 10.0)[None], Beat(4, widen_frames=0)
    exact = head.perfect_logits(targets[0])[None]
    for frames in (-3, 2):
        shifted = exact.roll(frames, dims=1)
        torch.testing.assert_close(head.loss(shifted, targets), head.loss(exact, targets))
        assert plain.loss(shifted, targets) > 100 * plain.loss(exact, targets)
    assert head.loss(exact.roll(5, dims=1), targets) > 100 * head.loss(exact, targets)


def test_shift_tolerant_loss_of_what_is_not_known_and_of_short_clips():
    head = Beat(4, shift_tolerance=3)
    targets = head.targets(steady_beats(6.0, 130, 4), 6.0)[None]
    logits = torch.randn(targets.shape, requires_grad=True)
    half = targets.clone()
    half[..., 1] = torch.nan
    expected = head.loss(torch.cat([logits[..., :1]] * 2, dim=2), torch.cat([targets[..., :1]] * 2, dim=2))
    torch.testing.assert_close(head.loss(logits, half), expected)
    nothing = head.loss(logits, torch.full_like(targets, torch.nan))
    nothing.backward()
    assert nothing.item() == 0 and logits.grad is not None
    assert head.loss(torch.zeros(1, 5, 2), torch.zeros(1, 5, 2)).item() == pytest.approx(np.log(2))


def test_window_and_averages_are_settings():
    reference = steady_beats(20.0, 60, 4, first_s=0.5)
    late = Estimate(Spans.events(reference.starts_s + 0.1, reference.labels))
    assert Beat(4).score([reference], [late], [21.0]).summary["beat_f"] == 0
    assert Beat(4, window_s=0.11).score([reference], [late], [21.0]).summary["beat_f"] == 1
    fast = steady_beats(20.0, 180, 4)
    both = ([reference, fast], [late, Estimate(fast)], [21.0, 20.0])
    true, hit = (reference.starts_s > 5).sum() + (fast.starts_s > 5).sum(), (fast.starts_s > 5).sum()
    assert Beat(4).score(*both).summary["beat_f"] == pytest.approx(0.5)
    assert Beat(4, average="beats").score(*both).summary["beat_f"] == pytest.approx(hit / true)


def test_weights_raise_the_loss_of_missed_beats():
    beats = steady_beats(6.0, 120, 4)
    targets = Beat(4).targets(beats, 6.0)[None]
    missed = torch.full_like(targets, -3.0)
    assert Beat(4, beat_weight=5.0).loss(missed, targets) > 1.5 * Beat(4).loss(missed, targets)


@pytest.mark.parametrize(
    "settings",
    [
        {"decoder": "hmm"},
        {"beats_per_bar": ()},
        {"beats_per_bar": (0,)},
        {"min_bpm": 100.0, "max_bpm": 90.0},
        {"widen_frames": -1},
        {"min_downbeat_bpm": 80.0},
        {"window_s": 0.0},
        {"average": "micro"},
        {"activations": "raw"},
        {"tool": "scipy"},
        {"shift_tolerance": -1},
        {"shift_tolerance": 3, "widen_frames": 1},
    ],
)
def test_settings_that_make_no_sense_are_named(settings: dict):
    with pytest.raises(ValueError, match=f"head.{next(iter(settings))}"):
        Beat(4, **settings)


@pytest.mark.parametrize(("settings", "reach"), [({}, 1), ({"widen_frames": 2}, 2), ({"shift_tolerance": 3}, 6)])
def test_one_position_that_is_not_known_hides_downbeats_around_itself_alone(settings: dict[str, int], reach: int):
    known = steady_beats(20.0, 120, 4)
    labels = list(known.labels)
    at = 17
    labels[at] = "?"
    reference = Spans.events(known.starts_s, labels)
    head = Beat(4, **settings)
    target_N2, full_N2 = head.targets(reference, 20.0), head.targets(known, 20.0)
    hidden = target_N2[:, 1].isnan().nonzero().flatten().tolist()
    frame = round(known.starts_s[at] * 50)
    assert hidden == list(range(frame - reach, frame + reach + 1))
    assert torch.equal(target_N2[:, 0], full_N2[:, 0])
    seen = ~target_N2[:, 1].isnan()
    is_one = known.labels[at] == "1"
    assert is_one or torch.equal(target_N2[seen, 1], full_N2[seen, 1])


@pytest.mark.parametrize("at", [20, 21])
def test_a_downbeat_found_where_the_position_is_not_known_is_neither_right_nor_wrong(head: Beat, at: int):
    known = steady_beats(20.0, 120, 4)
    reference = Spans.events(known.starts_s, ["?" if n == at else label for n, label in enumerate(known.labels)])
    for label in ("1", "2"):
        found = Spans.events(known.starts_s, [label if n == at else one for n, one in enumerate(known.labels)])
        (track,) = head.score([reference], [Estimate(found)], [20.0]).tracks
        assert track["downbeat_f"] == 1
