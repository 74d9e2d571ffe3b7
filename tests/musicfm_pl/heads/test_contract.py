"""What every head must do, tested on all that are found, unasked."""

import copy
import importlib
import inspect
import io
import pickle
import pkgutil

import numpy as np
import pytest
import torch

import musicfm_pl.heads
from data_modules.corpora.base import KINDS
from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate, Head

DIM = 8
DURATION_S = 61.3


def _concrete_heads() -> list[type[Head]]:
    for module in pkgutil.walk_packages(musicfm_pl.heads.__path__, "musicfm_pl.heads."):
        importlib.import_module(module.name)
    found, waiting = [], [Head]
    while waiting:
        subclasses = waiting.pop().__subclasses__()
        waiting += subclasses
        found += [each for each in subclasses if each.__module__.startswith("musicfm_pl.") and each not in found]
    return sorted((each for each in found if not inspect.isabstract(each)), key=lambda each: each.__name__)


HEADS = _concrete_heads()


def _sections(names: str, step_s: float) -> Spans:
    labels = names.split(",")
    edges_s = np.append(np.arange(len(labels)) * step_s, DURATION_S)
    return Spans(edges_s[:-1], edges_s[1:], tuple(labels))


BEATS_S = np.arange(0.42, DURATION_S, 0.6)
REFERENCES = {
    "beat": [Spans.events(BEATS_S, [str(number % 4 + 1) for number in range(len(BEATS_S))])] * 2,
    "chord": [_sections("C:maj,A:min/b3,N,Eb:maj,G:7,D:min", 9.7), _sections("F#:min,B:maj", 30.0)],
    "section": [_sections("intro,verse,chorus,verse,outro", 13.0), _sections("verse,inst,bridge", 20.0)],
    "key": [_sections("C major,A minor", 41.0), _sections("F# minor", 1.0)],
    "tag": [
        Spans.of([(0.0, DURATION_S, "rock"), (0.0, DURATION_S, "fast")]),
        Spans.of([(0.0, DURATION_S, "slow")]),
    ],
}


@pytest.fixture(params=HEADS, ids=lambda each: each.__name__)
def head(request: pytest.FixtureRequest) -> Head:
    torch.manual_seed(0)
    head = request.param(DIM)
    head.learn_labels(REFERENCES[head.kind])
    return head.eval()


def _targets(head: Head) -> torch.Tensor:
    return torch.stack([head.targets(reference, DURATION_S) for reference in REFERENCES[head.kind]])


def test_the_five_tasks_of_the_study_have_a_head():
    assert {each.task for each in HEADS} == {"beat", "chord", "structure", "key", "tagging"}
    assert len(HEADS) == 5


@pytest.mark.parametrize("each", HEADS)
def test_is_final_and_says_what_it_is(each: type[Head]):
    assert getattr(each, "__final__", False), "mark it with typing.final"
    assert not each.__subclasses__()
    assert each.kind in KINDS
    assert each.rate_hz is None or each.rate_hz > 0
    first, *others = list(inspect.signature(each).parameters.values())
    assert first.name == "dim"
    assert all(parameter.default is not inspect.Parameter.empty for parameter in others)


def test_shapes(head: Head):
    num_frames = head.num_frames(DURATION_S)
    logits_BNK = head(torch.randn(2, 300, DIM), num_frames)
    assert logits_BNK.shape == (2, num_frames, head.num_outputs)
    targets_BNJ = _targets(head)
    assert targets_BNJ.shape[:2] == (2, num_frames)
    assert targets_BNJ.dtype == torch.float32
    assert head.perfect_logits(targets_BNJ[0]).shape == (num_frames, head.num_outputs)


@pytest.mark.parametrize("hidden_dim", [0, 16])
def test_layers(head: Head, hidden_dim: int):
    other = type(head)(DIM, hidden_dim=hidden_dim)
    other.learn_labels(REFERENCES[head.kind])
    num_linear = sum(isinstance(layer, torch.nn.Linear) for layer in other.modules())
    assert num_linear == (2 if hidden_dim else 1)


def test_perfect_logits_have_nearly_the_least_loss_and_the_right_scores(head: Head):
    references = REFERENCES[head.kind]
    targets_BNJ = _targets(head)
    perfect_BNK = torch.stack([head.perfect_logits(targets_NJ) for targets_NJ in targets_BNJ])
    torch.manual_seed(1)
    random_loss = head.loss(torch.randn_like(perfect_BNK), targets_BNJ)
    assert head.loss(perfect_BNK, targets_BNJ) < random_loss / 3

    scores = head.ceiling(references, [DURATION_S] * 2)
    for name in head.headline:
        assert scores.summary[name] == pytest.approx(1, abs=0.02), name
    assert len(scores.tracks) == 2


def test_loss_is_a_scalar_with_gradients_to_all_parameters(head: Head):
    head.train()
    num_frames = head.num_frames(DURATION_S)
    loss = head.loss(head(torch.randn(2, 300, DIM), num_frames), _targets(head))
    assert loss.shape == () and loss.isfinite()
    loss.backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())


def test_what_is_not_known_does_not_count(head: Head):
    targets_BNJ = _targets(head)
    logits_BNK = torch.randn(2, targets_BNJ.shape[1], head.num_outputs)
    targets_BNJ[1] = torch.nan
    changed_BNK = logits_BNK.clone()
    changed_BNK[1] += 100
    alone = head.loss(logits_BNK[:1], targets_BNJ[:1])
    torch.testing.assert_close(head.loss(logits_BNK, targets_BNJ), alone)
    torch.testing.assert_close(head.loss(changed_BNK, targets_BNJ), alone)


def test_nothing_known_is_a_loss_of_zero_with_a_gradient(head: Head):
    targets_BNJ = torch.full_like(_targets(head), torch.nan)
    logits_BNK = torch.randn(2, targets_BNJ.shape[1], head.num_outputs, requires_grad=True)
    loss = head.loss(logits_BNK, targets_BNJ)
    loss.backward()
    assert loss.item() == 0
    assert logits_BNK.grad is not None and not logits_BNK.grad.any()


def test_half_precision_logits_have_a_float32_loss(head: Head):
    targets_BNJ = _targets(head)
    logits_BNK = torch.randn(2, targets_BNJ.shape[1], head.num_outputs)
    loss = head.loss(logits_BNK.bfloat16(), targets_BNJ)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, head.loss(logits_BNK, targets_BNJ), rtol=0.02, atol=0)


def test_a_checkpoint_brings_all_back_to_a_head_that_saw_no_corpus(head: Head):
    buffer = io.BytesIO()
    torch.save(head.state_dict(), buffer)
    buffer.seek(0)
    other = type(head)(DIM)
    other.load_state_dict(torch.load(buffer, weights_only=True))
    other.eval()
    h_BTD = torch.randn(1, 30, DIM)
    torch.testing.assert_close(other(h_BTD, 5), head(h_BTD, 5))
    logits_NK = head(h_BTD, 5)[0].detach().numpy()
    assert other.decode(logits_NK, 2.0) == head.decode(logits_NK, 2.0)


def test_pickles_and_copies(head: Head):
    h_BTD = torch.randn(1, 30, DIM)
    for other in (pickle.loads(pickle.dumps(head)), copy.deepcopy(head)):
        torch.testing.assert_close(other(h_BTD, 5), head(h_BTD, 5))
        torch.testing.assert_close(_targets(other), _targets(head), equal_nan=True)


def test_estimates_of_any_logits_lie_in_the_track_and_can_be_scored(head: Head):
    references = REFERENCES[head.kind]
    rng = np.random.default_rng(0)
    estimates = []
    for scale in (0.0, 5.0):
        num_frames = head.num_frames(DURATION_S) if head.rate_hz else 3
        logits_NK = rng.normal(0, scale, (num_frames, head.num_outputs)).astype(np.float32)
        estimate = head.decode(logits_NK, DURATION_S)
        if len(estimate.spans):
            assert estimate.spans.starts_s.min() >= 0
            assert estimate.spans.ends_s.max() <= DURATION_S
        estimates.append(estimate)
    scores = head.score(references, estimates, [DURATION_S] * 2)
    figures = [value for part in (scores.summary, *scores.tracks) for value in part.values() if value is not None]
    assert all(type(value) is float and 0 <= value <= 1 for value in figures)
    assert set(head.headline) <= set(scores.summary)


def test_nothing_annotated_is_not_defined_rather_than_a_warning(head: Head):
    empty = Spans.of([])
    estimate = head.decode(head.perfect_logits(_targets(head)[0]).numpy(), DURATION_S)
    scores = head.score([empty, empty], [estimate, estimate], [DURATION_S] * 2)
    assert all(scores.summary[name] is None for name in head.headline)


def test_nothing_estimated_is_no_warning(head: Head):
    nothing = Estimate(Spans.of([]), probabilities=dict.fromkeys(getattr(head, "tags", ()), 0.0))
    scores = head.score(REFERENCES[head.kind], [nothing, nothing], [DURATION_S] * 2)
    # The two ends of a track count as boundaries found.
    assert all((scores.summary[name] or 0) < 0.7 for name in head.headline)


def test_no_track_at_all_is_no_warning(head: Head):
    assert head.score([], [], []).tracks == []
