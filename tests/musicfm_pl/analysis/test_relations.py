"""The study's conclusions: as its own table has them, and among runs whose truth is known."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from synthetic_study import write_model

from musicfm_pl.analysis.factors import read_runs
from musicfm_pl.analysis.intervals import Effect
from musicfm_pl.analysis.published import published_arms
from musicfm_pl.analysis.relation_file import RelationError, read_relations
from musicfm_pl.analysis.relations import Answer, Finding, Report, judge, report, reports

JOY = {"figures": "all", "expect": "joy"}
NAMES = ("Tokens", "Length", "Encoder", "Rate", "Size", "Data", "Fine-tuning")


def by_name(found: Report) -> Mapping[str, Answer]:
    return {answer.relation.name: answer for answer in found.answers}


def test_the_published_table_bears_out_what_the_study_says_of_it() -> None:
    found = by_name(report("published", published_arms(), read_relations(), published=True))
    assert tuple(found) == NAMES
    verdicts = {name: answer.verdict for name, answer in found.items()}
    # The study calls FM1 against FM2 mixed; and fine-tuning does not help beats (FM7 .868 to .865, FM9 .868 to .861).
    assert verdicts == dict.fromkeys(NAMES, "holds") | {"Tokens": "does not hold", "Fine-tuning": "does not hold"}
    failing = {n: {f.figure for f in a.findings if f.verdict != "holds"} for n, a in found.items()}
    assert failing["Tokens"] == {"Downbeat F1", "Chord acc", "HR.5", "mAP"}
    assert failing["Fine-tuning"] == {"Beat F1"}
    effects = {(f.figure, f.levels): (f.effect.value, f.num_pairs) for a in found.values() for f in a.findings}
    # FM2 to FM3 and FM4 to FM5; FM7 to FM8.
    assert effects["Downbeat F1", "5 s → 30 s"] == (pytest.approx((0.703 - 0.669 + 0.780 - 0.771) / 2), 2)
    assert effects["Chord acc", "330 M → 660 M"] == (pytest.approx(0.689 - 0.714), 1)
    assert all(f.effect.interval is None and f.adjusted_p is None for a in found.values() for f in a.findings)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long clips help downbeats, Conformer is ahead, k-means is ahead in chords, fine-tuning does harm to beats."""
    root = tmp_path_factory.mktemp("relations") / "runs"
    for rate in (25, 75):
        for length in (5, 30):
            gains = {"downbeat_f": 0.06 * (length == 30)}
            write_model(root, f"Conformer {rate} {length}", gains, rate=rate, length=length, seed_spread=0.001)
    behind = dict.fromkeys(("beat_f", "downbeat_f", "chord_majmin", "key_weighted"), -0.06)
    write_model(root, "BERT", behind, encoder="bert.Bert", rate=75, parameters=1_600_000, seed_spread=0.001)
    write_model(root, "k-means", {"downbeat_f": 0.06, "chord_majmin": 0.08}, tokens="kmeans.KMeans", seed_spread=0.001)
    tuned = {"downbeat_f": 0.16, "chord_majmin": 0.1, "key_weighted": 0.1, "beat_f": -0.05}
    write_model(root, "tuned", tuned, stage="finetune", seed_spread=0.001)
    return root


def test_verdicts_among_runs_are_the_truth(runs: Path) -> None:
    (found,) = reports(*read_runs([runs]), read_relations())
    answers = by_name(found)
    assert {name: answer.verdict for name, answer in answers.items()} == {
        "Tokens": "does not hold",
        "Length": "holds",
        "Encoder": "holds",
        "Rate": "holds",
        "Size": "not enough runs",
        "Data": "not enough runs",
        "Fine-tuning": "does not hold",
    }
    assert [f.figure for f in answers["Tokens"].findings if f.verdict != "holds"] == ["Chord acc"]
    assert [f.figure for f in answers["Fine-tuning"].findings if f.verdict != "holds"] == ["Beat F1"]
    assert answers["Size"].because == "no two models differ in size alone"
    (downbeat,) = [f for f in answers["Length"].findings if f.figure == "Downbeat F1"]
    interval = downbeat.effect.interval
    assert interval is not None and interval.low < 0.06 < interval.high and downbeat.num_pairs == 2
    assert "not in Chord acc" in answers["Tokens"].because and "−0.08" in answers["Tokens"].because
    assert found.title == "dcml (nobody played it), protocol musicfm"


def test_the_order_of_runs_does_not_count(runs: Path) -> None:
    results, origins = read_runs([runs])
    mixed = random.Random(0).sample(results, len(results))
    assert reports(mixed, origins, read_relations()) == reports(results, origins, read_relations())


def test_one_seed_and_few_works_are_not_enough(runs: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "short", length=5, seeds=[0], tasks=["beat"])
    write_model(tmp_path / "runs", "long", seeds=[0], tasks=["beat"])
    (found,) = reports(*read_runs([tmp_path / "runs"]), read_relations())
    answer = by_name(found)["Length"]
    assert answer.verdict == "not enough runs" and "one seed" in answer.because
    results, origins = read_runs([runs])
    few = [replace(r, tracks=r.tracks[:8], num_tracks=8, summary=dict.fromkeys(r.summary)) for r in results if r.tracks]
    few = [replace(r, summary=_means(r.tracks)) for r in few]
    (found,) = reports(few, origins, read_relations())
    assert all(a.verdict == "not enough runs" for a in found.answers)
    assert "too few works" in by_name(found)["Encoder"].because


def _means(tracks: Any) -> dict[str, float]:
    return {m: sum(t.metrics[m] for t in tracks) / len(tracks) for m in tracks[0].metrics}


def test_what_only_the_corrected_test_keeps_open_is_said_to_be_so() -> None:
    relation = next(relation for relation in read_relations() if relation.name == "Encoder")
    (claim,) = relation.claims
    assert claim.expect == "more"
    drawn = np.random.default_rng(0).normal(0.0, 0.05, 4000)

    def found(figure: str, value: float, adjusted_p: float) -> Finding:
        effect = Effect(value, 20, 3, ("a",), value + drawn)
        finding = Finding(figure, "BERT → Conformer", claim, effect, 1, (), adjusted_p)
        return judge(finding, relation, published=False)

    open_, kept, held = found("Beat F1", 0.03, 0.6), found("Chord acc", 0.148, 0.755), found("Key acc", 0.2, 0.001)
    assert [one.verdict for one in (open_, kept, held)] == ["not enough runs", "not enough runs", "holds"]
    assert (open_.because, kept.because) == (
        "the interval allows either",
        "the corrected test does not agree (p 0.755)",
    )
    because = Answer(relation, (open_, kept, held)).because
    assert because == f"the interval allows either: {open_}; the corrected test does not agree (p 0.755): {kept}"


def test_only_what_is_judged_by_a_test_is_corrected_for(runs: Path, tmp_path: Path) -> None:
    """A conclusion that is tested is not made less sure by others that go by their intervals alone."""
    file = tmp_path / "relations.yaml"
    tested = {"name": "Tested", "says": "Faster is better.", "vary": "rate"}
    tested["claims"] = [{"figures": ["downbeat_f"], "expect": "more"}]
    others = {"name": "Not", "says": "No matter.", "vary": "rate", "claims": [{"figures": "all", "expect": "little"}]}
    file.write_text(yaml.safe_dump({"tolerance": 0.03, "least": 0.02, "relations": [tested, others]}))
    (found,) = reports(*read_runs([runs]), read_relations(file))
    judged, *rest = (finding for answer in found.answers for finding in answer.findings)
    assert judged.adjusted_p == judged.effect.p is not None
    assert len(rest) == 4 and all(one.adjusted_p is None and one.effect.p is not None for one in rest)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tolerance": -1}, "tolerance: -1 is no number from 0"),
        ({"relations": 3}, "relations: 3 is no list"),
        ({"colour": 1}, "unknown key colour"),
        ({"relations": [{"name": "x"}]}, r"relations\[0\]: missing says, vary, claims"),
        ({"relations": [{"name": "x", "says": "y", "vary": "hue", "claims": []}]}, r"\.vary: 'hue' is none of encoder"),
        (
            {"relations": [{"name": "x", "says": "y", "vary": "rate", "from": 25, "claims": []}]},
            "from and to belong together",
        ),
        (
            {
                "relations": [
                    {"name": "x", "says": "y", "vary": "rate", "claims": [{"figures": "all", "expect": "joy"}]}
                ]
            },
            r"claims\[0\]\.expect: 'joy' is none of more",
        ),
    ],
)
def test_a_file_of_relations_says_what_is_wrong(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = tmp_path / "relations.yaml"
    file.write_text(yaml.safe_dump({"tolerance": 0.03, "least": 0.005, "relations": []} | change))
    with pytest.raises(RelationError, match=message):
        read_relations(file)


def test_relations_of_ones_own(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "relations.yaml"
    claims = [{"figures": ["downbeat_f"], "expect": "less"}]
    own = {"name": "Mine", "says": "Slow is worse.", "vary": "rate", "from": 75, "to": 25, "claims": claims}
    file.write_text(yaml.safe_dump({"tolerance": 0.03, "least": 0.02, "relations": [own]}))
    (found,) = reports(*read_runs([runs]), read_relations(file))
    (answer,) = found.answers
    assert answer.verdict == "does not hold" and [f.levels for f in answer.findings] == ["75 Hz → 25 Hz"]
