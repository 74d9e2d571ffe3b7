"""Scores by layer and task: shown where several layers of one encoder were probed, and only there."""

from __future__ import annotations

import io
import random
import re
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from musicfm_pl.layer_map import heat_map, layer_heading, layer_maps, layer_note, rows
from musicfm_pl.leaderboard import build
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import markdown, show
from musicfm_pl.results import RunResult, Task, TrackResult
from musicfm_pl.standings import FIGURES

SCORES: dict[Task, dict[str, float | None]] = {
    "beat": {"beat_f": 0.6, "downbeat_f": 0.3},
    "chord": {"chord_majmin": 0.5},
    "structure": {"frame_accuracy": None, "hr05_f": 0.2, "hr3_f": 0.4},
    "key": {"key_weighted": 0.6},
    "tagging": {"map": 0.4, "roc_auc": 0.7},
}


def result(task: Task, layer: int | None, seed: int, summary: dict[str, float | None]) -> RunResult:
    return RunResult(
        run=f"layers/{layer}/{task}/seed{seed}",
        name="Conformer, pretrained",
        role="encoder",
        stage="probe",
        task=task,
        protocol="musicfm",
        corpus="dcml",
        corpus_note="",
        licence="CC0",
        split="test",
        num_tracks=1,
        seed=seed,
        layer=layer,
        num_parameters=1000,
        config_digest="00",
        versions={},
        machine={},
        seconds=1.0,
        summary=summary,
        tracks=(TrackResult("a", "a", summary),),
    )


def study(num_layers: int = 12) -> list[RunResult]:
    """Beats are best known in the middle, keys at the end, chords evenly; two seeds; and a weighting of all."""
    results = []
    for seed in (0, 1):
        for layer in (*range(num_layers + 1), None):
            place = 0.5 if layer is None else layer / num_layers
            gain = {"beat": 0.3 - abs(place - 0.5) * 0.4, "key": 0.3 * place}
            for task, scores in SCORES.items():
                noise = 0.002 * seed
                summary = {m: None if v is None else v + gain.get(task, 0.0) + noise for m, v in scores.items()}
                results.append(result(task, layer, seed, summary))
    return results


def test_a_map_has_the_means_of_each_layer() -> None:
    (found,) = layer_maps(study())
    assert found.layers == tuple(range(13))
    assert found.columns == (*range(13), None)
    assert [figure.metric for figure in found.figures] == [
        *("beat_f", "downbeat_f", "chord_majmin", "hr05_f", "hr3_f", "key_weighted", "map", "roc_auc")
    ], "what is defined nowhere is left out"
    by_metric = {figure.metric: figure for figure in found.figures}
    assert found.mean(12, by_metric["key_weighted"]) == pytest.approx(0.901)
    assert found.mean(None, by_metric["beat_f"]) == pytest.approx(0.901)
    assert found.warmth(6, by_metric["beat_f"]) == pytest.approx(1)
    assert found.warmth(0, by_metric["beat_f"]) == pytest.approx(0)
    assert found.warmth(3, by_metric["chord_majmin"]) == pytest.approx(0.5), "no difference is no colour"


def test_one_layer_or_none_is_no_map() -> None:
    runs = study()
    assert layer_maps([]) == ()
    assert layer_maps([run for run in runs if run.layer in (4, None)]) == ()
    different = [run for run in runs if (run.layer, run.task) in ((1, "beat"), (2, "key"))]
    assert layer_maps(different) == (), "two layers, but no figure that both have"
    pretraining = [replace(run, stage="pretrain", task="pretrain") for run in runs]
    assert layer_maps(pretraining) == ()
    (half,) = layer_maps([run for run in runs if run.layer in (1, 2) or run.task == "key"])
    (key,) = [figure for figure in half.figures if figure.task == "key"]
    (chord,) = [figure for figure in half.figures if figure.task == "chord"]
    assert half.mean(7, key) is not None
    assert half.mean(7, chord) is None


def test_what_is_not_defined_and_what_was_not_run_have_the_words_of_the_leaderboard() -> None:
    runs = [result("structure", layer, 0, {"hr05_f": 0.5, "frame_accuracy": 0.5}) for layer in (0, 1)]
    runs += [result("structure", 2, 0, {"hr05_f": 0.5, "frame_accuracy": None})]
    runs += [result("key", layer, 0, {"key_weighted": 0.5}) for layer in (0, 1)]
    (found,) = layer_maps(runs)
    by_title = {title: texts for title, *texts in rows(found)}
    titles = {figure.metric: figure.title for figure in found.figures}
    assert by_title[titles["frame_accuracy"]] == ["0.500", "0.500", "n/d"]
    assert by_title[titles["key_weighted"]] == ["0.500", "0.500", "not run"]
    assert "mean over 1 seed." in layer_note(found), "what is not defined has no seeds"
    assert ">n/d</text>" in heat_map(found) and ">not run</text>" in heat_map(found)


def test_encoders_corpora_and_protocols_have_maps_of_their_own() -> None:
    runs = study(2)
    others = [replace(run, name="BERT, pretrained") for run in runs] + [replace(run, corpus="tiny") for run in runs]
    others += [replace(run, protocol="marble") for run in runs] + [replace(run, stage="finetune") for run in runs]
    others += [replace(run, corpus_note="fold 3 of our own") for run in runs]
    others += [replace(run, licence="CC BY") for run in runs] + [replace(run, role="baseline") for run in runs]
    found = layer_maps(runs + others)
    assert len(found) == 8
    of = {(map_.name, map_.corpus, map_.corpus_note, map_.licence, map_.protocol, map_.stage) for map_ in found}
    assert len(of) == 7, "a baseline of an encoder's name has a map of its own"
    figure = next(figure for figure in FIGURES if figure.metric == "beat_f")
    assert all(len(map_.cells[(0, figure)].values) == 2 for map_ in found)
    (noted,) = [map_ for map_ in found if map_.corpus_note]
    assert layer_heading(noted) == "Layers of Conformer, pretrained on dcml (fold 3 of our own)"
    (licensed,) = [map_ for map_ in found if map_.licence == "CC BY"]
    assert "licence CC BY," in layer_note(licensed)


def test_two_runs_of_one_layer_and_seed_are_refused() -> None:
    runs = study(2)
    again = replace(runs[3], run="layers/again", summary={"beat_f": 0.1})
    with pytest.raises(ValueError, match=r"layers/0/key/seed0 and layers/again claim the same place .*layer 0"):
        layer_maps([*runs, again])


@given(st.lists(st.floats(0, 1), min_size=2, max_size=14), st.randoms())
def test_warmth_is_a_share_and_order_does_not_count(scores: list[float], chance: random.Random) -> None:
    runs = [result("beat", layer, 0, {"beat_f": score}) for layer, score in enumerate(scores)]
    (found,) = layer_maps(runs)
    warmths = [found.warmth(layer, FIGURES[0]) for layer in found.layers]
    assert all(warmth is not None and -1e-9 <= warmth <= 1 + 1e-9 for warmth in warmths)
    if max(scores) - min(scores) > 0.06:
        assert max(warmths) == pytest.approx(1) and min(warmths) == pytest.approx(0)
    (again,) = layer_maps(chance.sample(runs, len(runs)))
    assert heat_map(again) == heat_map(found)


def test_every_form_shows_it() -> None:
    board = build(study())
    text = markdown(board)
    table = text.split("## Layers of Conformer, pretrained on dcml")[1].split("## ")[0]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("|")
    ]
    assert lines[0] == ["Layer", *map(str, range(13)), "all"]
    (beat,) = [row for row in lines if row[0] == "Beat F1"]
    assert beat[7] == beat[14] == "0.901"
    for width in (80, 200):
        console = Console(record=True, width=width, file=io.StringIO())
        show(board, console)
        said = console.export_text()
        assert "Layers of Conformer, pretrained on dcml" in said
        assert "0.901" in said.split("Layers of Conformer")[1]
    html = page(board)
    (drawing,) = re.findall(r'<svg class="layers".*?</svg>', html, flags=re.DOTALL)
    root = ElementTree.fromstring(drawing)
    assert len(list(root.iter("rect"))) == 8 * 14
    assert not [each for each in root.iter("text") if each.get("class") == "ahead"], "one track shows nothing"
    width, height = float(root.get("width", "0")), float(root.get("height", "0"))
    for rect in root.iter("rect"):
        assert 0 <= float(rect.get("x", "")) <= width - float(rect.get("width", ""))
        assert 0 <= float(rect.get("y", "")) <= height - float(rect.get("height", ""))
        assert 0 < float(rect.get("fill-opacity", "")) <= 0.6
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", html)


def with_works(run: RunResult, number: int) -> RunResult:
    """The same figures, from sixteen works that differ by a little noise."""
    noise = random.Random(number)
    errors = [noise.gauss(0, 0.005) for _ in range(16)]
    scores = [{m: None if v is None else v + e - sum(errors) / 16 for m, v in run.summary.items()} for e in errors]
    return replace(run, tracks=tuple(TrackResult(f"t{i}", f"work{i}", s) for i, s in enumerate(scores)))


def test_only_a_layer_that_is_ahead_by_more_than_chance_is_bold() -> None:
    """Beats are known best in the middle, keys at the end; chords are alike in all layers."""
    runs = [with_works(run, number) for number, run in enumerate(study()) if run.task in ("beat", "key", "chord")]
    runs = [run for run in runs if run.layer in (0, 3, 6, 9, 12, None)]
    (found,) = layer_maps(runs)
    assert {figure.metric: layer for figure, layer in found.ahead.items()} == {
        **{"beat_f": 6, "downbeat_f": 6, "key_weighted": 12}
    }
    board = build(runs)
    (drawing,) = re.findall(r'<svg class="layers".*?</svg>', page(board), flags=re.DOTALL)
    bold = [each.text for each in ElementTree.fromstring(drawing).iter("text") if each.get("class") == "ahead"]
    assert bold == ["0.901", "0.601", "0.901"]
    (beat,) = re.findall(r"\| Beat F1 \|.*", markdown(board).split("## Layers of")[1].split("## ")[0])
    assert beat.count("**") == 2 and "| **0.901** |" in beat, "and the weighting, which has the same, is no layer"


def test_without_layers_nothing_is_added() -> None:
    board = build([run for run in study() if run.layer == 3])
    assert board.layer_maps == ()
    assert "Layers of" not in markdown(board) + page(board)


def test_names_are_escaped() -> None:
    hostile = [replace(run, name='<b>&"') for run in study(2)]
    html = page(build(hostile))
    assert "<b>&" not in html.split("<main>")[1].replace("<b>0", "")
    ElementTree.fromstring(heat_map(layer_maps(hostile)[0]))
