"""Learning curves: one a model with the range of its seeds, and drawings in which each can be told from the others."""

from __future__ import annotations

import itertools
import re
import warnings
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

import pytest
from synthetic_study import write_model

from musicfm_pl.analysis.curves import Curves, ModelCurve, curves
from musicfm_pl.analysis.factors import Level, read_runs
from musicfm_pl.event_logs import KEPT, Curve, scalars_as_json
from musicfm_pl.leaderboard import leaderboard
from musicfm_pl.leaderboard_curves import arrange, curves_section, ticks


def log(runs: Path, name: str, seed: int, **curves: Curve) -> None:
    named = {key.replace("__", "/"): curve for key, curve in curves.items()}
    (runs / name / "pretrain" / f"seed{seed}" / KEPT).write_text(scalars_as_json(named))


def test_they_are_those_of_the_logs(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "one", seeds=[0], tasks=["key"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch.utils.tensorboard import SummaryWriter

        writer = SummaryWriter(str(tmp_path / "runs" / "one" / "pretrain" / "seed0"))
        for step in range(300):
            writer.add_scalar("train/loss", 8.0 - step / 100, step)
        writer.add_scalar("val/loss", 5.0, 299)
        writer.close()
    loss, val = curves(*read_runs([tmp_path / "runs"]))
    (model,) = loss.models
    assert (model.name, model.runs) == ("one", ("one/pretrain/seed0",))
    assert (model.steps[0], model.mean[0]) == (0, 8.0)
    assert model.steps[-1] == 299 and model.mean[-1] == pytest.approx(5.01) and model.low == model.mean == model.high
    assert 100 < len(model.steps) < 200 and val.title == "Validation loss"


def test_loss_above_chance_and_use_of_the_codebook_are_drawn(tmp_path: Path) -> None:
    write_model(tmp_path / "runs", "one", seeds=[0], tasks=["key"])
    use: dict[str, Curve] = {
        "val__loss_above_chance": {10: 0.1, 20: -1.0},
        "val__perplexity": {10: 48.0, 20: 48.0},
        "val__dead_codes": {10: 330.0, 20: 330.0},
    }
    log(tmp_path / "runs", "one", 0, **use)
    found = curves(*read_runs([tmp_path / "runs"]))
    assert [one.models[0].mean for one in found] == [(0.1, -1.0), (48.0, 48.0), (330.0, 330.0)]
    titles = re.findall("<h3>(.*?)</h3>", curves_section(found))
    assert [title.split(" (")[0] for title in titles] == [
        "Loss above chance", "Perplexity of the tokens", "Codes never a target",
    ]  # fmt: skip


def test_a_model_is_the_mean_and_the_range_of_its_seeds(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_model(runs, "one", tasks=["key"])
    log(runs, "one", 0, val__loss={10: 4.0, 20: 3.0, 30: 2.0})
    log(runs, "one", 1, val__loss={10: 5.0, 20: float("nan"), 30: 3.0})
    log(runs, "one", 2, val__loss={10: 6.0, 20: 5.0})
    ((found,),) = [one.models for one in curves(*read_runs([runs]))]
    assert found.steps == (10, 20), "what all seeds reached"
    assert found.mean == pytest.approx((5.0, 4.0)) and found.low == (4.0, 3.0) and found.high == (6.0, 5.0)
    assert len(found.runs) == 3


def test_models_that_no_factor_tells_apart_have_their_names(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name, steps in (("short", 1000), ("long", 2000)):
        write_model(runs, name, seeds=[0], tasks=["key"], steps=steps)
        log(runs, name, 0, val__loss={10: 4.0, 20: 3.0})
    results, origins = read_runs([runs])
    found = curves(results, origins)
    assert len(found[0].models) == 2
    _, labels = arrange(found[0].models)
    assert sorted(labels.values()) == ["long", "short"], "no factor tells them apart"


def model(name: str, value: float = 3.0, **factors: Level) -> ModelCurve:
    runs = (f"{name}/{'-'.join(map(str, factors.values()))}",)
    return ModelCurve(name, factors, runs, (1, 2), (value, value), (value - 1, value), (value + 1, value))


def of_the_study() -> list[ModelCurve]:
    """Rate by length, and at 25 Hz and 5 s k-means and BERT."""
    same: dict[str, Level] = {"encoder": "Conformer", "tokens": "random", "size": 8e5, "data": "dcml-demo"}
    found = [
        model(f"{rate} {length}", **same | {"rate": float(rate), "length": float(length)})
        for rate, length in itertools.product((75, 50, 25), (30, 5, 15, 10))
    ]
    at = {"rate": 25.0, "length": 5.0}
    return [*found, model("k", **same | at | {"tokens": "k-means"}), model("b", **same | at | {"encoder": "BERT"})]


def test_small_multiples_hold_seven_lines_at_most() -> None:
    models = of_the_study()
    panels, labels = arrange(models)
    assert Counter(panels.values()) == {"25 Hz": 6, "50 Hz": 4, "75 Hz": 4}
    assert len({(panels[m.runs], labels[m.runs]) for m in models}) == len(models)
    assert labels[models[-2].runs] == "Conformer, k-means tokens, 5 s"
    few, _ = arrange(models[:4])
    assert set(few.values()) == {""}, "few models need one panel"
    many = [model(f"other {number}") for number in range(20)]
    assert set(arrange(many)[1].values()) == {f"other {number}" for number in range(20)}


def test_lines_differ_and_a_model_looks_alike_in_every_panel() -> None:
    models = of_the_study()
    page = curves_section([Curves("Loss", tuple(models)), Curves("Accuracy", tuple(models[3:]))])
    drawings = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg viewBox.*?</svg>", page)]
    assert len(drawings) == 3 + 3
    looks: dict[str, set[tuple[str, str]]] = {}
    for drawing in drawings:
        lines = list(drawing.iter("polyline"))
        assert 1 <= len(lines) <= 7
        of_panel = [(line.get("class", ""), line.get("stroke-dasharray", "")) for line in lines]
        assert len({colour for colour, _ in of_panel}) == len(lines), "colours"
        assert len(list(drawing.iter("polygon"))) == len(lines), "bands"
        for line, look in zip(lines, of_panel, strict=True):
            looks.setdefault(line[0].text.partition(":")[0], set()).add(look)  # type: ignore[union-attr]
        for points in (
            point.split(",") for shape in drawing.iter("polygon") for point in shape.get("points", "").split()
        ):
            assert 0 <= float(points[0]) <= 340 and 0 <= float(points[1]) <= 190
    assert all(len(of_label) == 1 for of_label in looks.values()) and len(looks) == 6
    keys = [re.findall(r"</svg> (.*?)</li>", key) for key in re.findall(r'<ul class="key curves">(.*?)</ul>', page)]
    assert [set(key) for key in keys] == [set(looks)] * 2


def test_the_page_has_them_and_stays_alone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for rate, length in itertools.product((25, 75), (5, 10, 15, 30)):
        name = f"Conformer {rate} {length}"
        write_model(runs, name, seeds=[0, 1], tasks=["key"], rate=rate, length=length)
        for seed in (0, 1):
            log(runs, name, seed, val__loss={10: 4.0 + seed, 20: 3.0})
    pages = []
    for _ in range(2):
        leaderboard(runs, tmp_path / "out")
        pages.append((tmp_path / "out" / "leaderboard.html").read_text())
    assert pages[0] == pages[1] and not re.search(r"<script|<link|<img|url\(|https?://", pages[0])
    section = pages[0].split("<h2>Learning curves</h2>")[1].split("</section>")[0]
    assert re.findall("<figcaption>(.*?)</figcaption>", section) == ["25 Hz", "75 Hz"]
    assert re.findall(r"</svg> (.*?)</li>", section) == ["5 s", "10 s", "15 s", "30 s"]


@pytest.mark.parametrize(
    ("low", "high"), [(0.0, 1.0), (2.17, 5.5), (0.17, 0.33), (-3.1, -0.2), (1e-5, 3e-5), (7.0, 7.0)]
)
def test_ticks_are_round_and_few(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 1 <= len(found) <= 6 and all(low - 1e-9 <= tick <= high + 1e-9 for tick in found)
    assert all(
        len(f"{tick:.4g}".lstrip("-").replace(".", "").lstrip("0")) <= 2 or "e" in f"{tick:.4g}" for tick in found
    )
