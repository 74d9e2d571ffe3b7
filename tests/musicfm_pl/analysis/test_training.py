"""How pretraining went, run by run: from results and configurations as runs write them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from study_results import study, text_of

from musicfm_pl.analysis.factors import Origin
from musicfm_pl.analysis.training import TRAINING_TITLES, training_rows
from musicfm_pl.leaderboard import build
from musicfm_pl.leaderboard_html import page
from musicfm_pl.leaderboard_text import markdown
from musicfm_pl.results import RunResult
from musicfm_pl.tokenizers.centroids import Header, write_centroids

FIGURES: dict[str, float | None] = {
    **{"masked_accuracy": 0.1234, "loss_above_chance": -1.5, "loss_above_unigram": 0.25, "chance_accuracy": 1 / 500},
    **{"perplexity": 321.04, "dead_codes": 12.5, "steps": 1200.0},
    **{"loss_spikes": 3.0, "gradient_spikes": 2.0, "nonfinite_steps": 1.0, "skipped_steps": 4.0},
}


def run(name: str) -> RunResult:
    first = next(result for result in study() if result.stage == "pretrain")
    return replace(first, run=name, name="Another", summary=FIGURES)


def origin(tokens: str, **settings: object) -> Origin:
    config = {"model": {"init_args": {"tokenizer": {"class_path": "a.B", "init_args": settings}}}}
    return Origin(Path(), config=config, factors={"tokens": tokens, "rate": 25.0})


def centroids(file: Path, features: str, layer: int | None) -> None:
    header = Header(
        *(2, features, 0, 4, {}, layer, "runs/teacher" if layer else None, None, "tiny", "00", {}, 0.5, ()),  # type: ignore[arg-type]
    )
    write_centroids(file, header, torch.zeros(2, 3), torch.ones(2, dtype=torch.int64))


def test_a_row_a_run(tmp_path: Path) -> None:
    centroids(tmp_path / "mfcc", "mfcc", None)
    centroids(tmp_path / "hidden", "hidden", 6)
    names = ("a", "b", "c", "d", "e")
    rows = training_rows(
        [*map(run, reversed(names)), *(result for result in study() if result.stage != "pretrain")],
        {
            "a": origin("random", num_codes=500, num_books=8),
            "b": origin("k-means", file=str(tmp_path / "mfcc")),
            "c": origin("k-means", file=str(tmp_path / "hidden")),
            "d": origin("k-means", file=str(tmp_path / "gone")),
        },
    )
    assert [row[:5] for row in rows] == [
        ("a", "random", "500 × 8", "log-mel", "25 Hz"),
        ("b", "k-means", "500", "MFCC", "25 Hz"),
        ("c", "k-means", "500", "layer 6 of runs/teacher", "25 Hz"),
        ("d", "k-means", "500", "not known: its file is not there", "25 Hz"),
        ("e", "–", "500", "–", "–"),
    ]
    assert {row[5:] for row in rows} == {
        ("1,200", "0.123", "−1.500", "+0.250", "321.0", "12.5", "3", "2", "1", "4"),
    }


def test_the_page_and_the_text_have_it() -> None:
    """Runs of before the guard counted have no counts, which is not the same as none."""
    board = build([*study(), run("pretrain/<b>")])
    html, text = page(board), markdown(board)
    section = html.split("How pretraining went")[1].split("</section>")[0]
    assert section.count("<tr>") == 1 + 4 and "pretrain/&lt;b&gt;" in section
    assert all(f'scope="col">{title}</th>' in section for title in TRAINING_TITLES)
    assert "−1.500" in text_of(section)
    (before,) = [line for line in text.splitlines() if line.startswith("| probe/Conformer/seed0/pretrain")]
    assert before.rstrip(" |").endswith("| – | – | – | –") and "| 0 |" not in before
    assert "How pretraining went" not in page(build([one for one in study() if one.stage != "pretrain"]))
