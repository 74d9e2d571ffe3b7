import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchmetrics.functional.classification import multilabel_auroc, multilabel_average_precision

from data_modules.spans import Spans
from musicfm_pl.heads.base import Estimate
from musicfm_pl.heads.tagging import Tagging

TAGS = ["drums", "fast", "piano", "slow"]


def _tagged(*tags: str) -> Spans:
    return Spans.of([(0.0, 30.0, tag) for tag in tags])


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(st.sampled_from(TAGS)), min_size=2, max_size=12))
def test_round_trip(tracks: list[set[str]]):
    references = [_tagged(*sorted(tags)) for tags in tracks]
    scores = Tagging(4, tags=TAGS).ceiling(references, [30.0] * len(tracks))
    both_ways = [tag for tag in TAGS if 0 < sum(tag in tags for tags in tracks) < len(tracks)]
    for name in ("map", "roc_auc"):
        assert scores.summary[name] == (1 if both_ways else None)
    assert {name for name in scores.summary if name.startswith("ap/")} == {f"ap/{tag}" for tag in both_ways}


def test_scores_are_torchmetrics_multilabel_macro_means():
    rng = np.random.default_rng(0)
    truth = rng.random((40, 4)) < 0.3
    logits = rng.normal(0, 1, (40, 3, 4)) + truth[:, None, :]
    head = Tagging(4, tags=TAGS)
    references = [_tagged(*(tag for tag, has in zip(TAGS, row, strict=True) if has)) for row in truth]
    estimates = [head.decode(clips.astype(np.float32), 30.0) for clips in logits]
    summary = head.score(references, estimates, [30.0] * 40).summary
    probability = torch.tensor(logits.astype(np.float32)).double().sigmoid().mean(dim=1)
    labels = torch.tensor(truth).long()
    assert summary["map"] == pytest.approx(multilabel_average_precision(probability, labels, 4).item(), abs=1e-6)
    assert summary["roc_auc"] == pytest.approx(multilabel_auroc(probability, labels, 4).item(), abs=1e-6)
    assert summary["map"] == pytest.approx(np.mean([summary[f"ap/{tag}"] for tag in TAGS]))


def test_tags_that_cannot_be_scored_are_named_and_left_out():
    references = [_tagged("drums", "fast", "harp"), _tagged("fast")]
    scores = Tagging(4, tags=TAGS).ceiling(references, [30.0] * 2)
    assert set(scores.summary) == {"map", "roc_auc", "ap/drums", "auc/drums"}
    notes = " ".join(scores.notes)
    assert "no track of the test split has them: piano, slow." in notes
    assert "every track of the test split has them: fast." in notes
    assert "the head does not know them: harp." in notes


def test_all_of_a_long_list_of_tags_are_named():
    tags = [f"tag{number:02}" for number in range(200)]
    notes = " ".join(Tagging(4, tags=tags).ceiling([_tagged("tag00"), _tagged()], [30.0] * 2).notes)
    assert f"no track of the test split has them: {', '.join(tags[1:])}." in notes


def test_the_tags_are_those_of_the_training_split():
    head = Tagging(4)
    head.learn_labels([_tagged("slow", "drums"), _tagged(), _tagged("drums", "fast")])
    assert head.tags == ("drums", "fast", "slow")
    assert head(torch.randn(2, 10, 4), 1).shape == (2, 1, 3)
    assert head.targets(_tagged("slow", "unheard"), 30.0).tolist() == [[0, 0, 1]]


def test_tags_given_by_name_stay():
    head = Tagging(4, tags=["slow", "fast"])
    head.learn_labels([_tagged("drums")])
    assert head.tags == ("slow", "fast")


def test_learning_the_same_tags_again_keeps_the_layers():
    head = Tagging(4)
    head.learn_labels([_tagged("slow")])
    layers = head.layers
    head.learn_labels([_tagged("slow")])
    assert head.layers is layers
    head.load_state_dict(head.state_dict())
    assert head.layers is layers


def test_a_checkpoint_brings_its_tags():
    trained = Tagging(4)
    trained.learn_labels([_tagged("slow", "fast")])
    for head in (Tagging(4), Tagging(4, tags=["drums"])):
        head.load_state_dict(trained.state_dict())
        assert head.tags == ("fast", "slow")
        torch.testing.assert_close(head.state_dict()["layers.3.weight"], trained.layers[3].weight)


def test_no_tags_are_errors_that_say_what_to_do():
    with pytest.raises(RuntimeError, match=r"head\.tags"):
        Tagging(4)(torch.randn(1, 5, 4), 1)
    with pytest.raises(ValueError, match="no track of the training split"):
        Tagging(4).learn_labels([_tagged()])
    with pytest.raises(ValueError, match=r"head\.tags"):
        Tagging(4, tags=[])
    with pytest.raises(ValueError, match=r"head\.tags"):
        Tagging(4, tags=["slow", "slow"])


def test_clips_are_averaged_as_probabilities():
    head = Tagging(4, tags=["fast", "slow"])
    estimate = head.decode(np.array([[9.0, -9.0], [9.0, -9.0], [-9.0, 9.0]], dtype=np.float32), 30.0)
    assert estimate.probabilities == pytest.approx({"fast": 2 / 3, "slow": 1 / 3}, abs=1e-3)
    assert estimate.spans == _tagged("fast")
    logits = np.array([[20.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]], dtype=np.float32)
    by_logits = Tagging(4, tags=["fast", "slow"], pool="logits").decode(logits, 30.0)
    assert by_logits.probabilities == pytest.approx({"fast": 1 / (1 + np.exp(-6)), "slow": 0.5})
    assert head.decode(logits, 30.0).probabilities["fast"] < 0.6
    assert isinstance(estimate, Estimate)
