"""The study's Table 1, as models with factors: what the relations say of it can be checked like anything else."""

from __future__ import annotations

import csv
from importlib.resources import files

from musicfm_pl.analysis.arms import Arm
from musicfm_pl.analysis.factors import Level
from musicfm_pl.standings import FIGURES


def published() -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Titles and rows of the study's Table 1, as strings; empty where it gives nothing."""
    text = (files("musicfm_pl") / "published.csv").read_text(encoding="utf-8")
    titles, *rows = csv.reader(text.splitlines())
    return tuple(titles), tuple(tuple(row) for row in rows)


def published_arms() -> list[Arm]:
    """Its rows with their factors; the state of the art of its time has none."""
    titles, rows = published()
    metric_of = {figure.title: figure.metric for figure in FIGURES}
    found = []
    for row in rows:
        cells = dict(zip(titles, row, strict=True))
        if not cells["Encoder"]:
            continue
        factors: dict[str, Level] = {
            "encoder": cells["Encoder"],
            "tokens": cells["Tokens"],
            "rate": float(cells["Hz"]),
            "length": float(cells["Input"].removesuffix("s")),
            "size": float(cells["Size"].removesuffix("M")) * 1e6,
            "data": cells["Data"],
            "mode": "finetune" if cells["Model"].endswith("-finetune") else "probe",
        }
        figures = {metric_of[title]: float(cells[title]) for title in titles if title in metric_of}
        found.append(Arm(cells["Model"], factors, {}, figures))
    return found
