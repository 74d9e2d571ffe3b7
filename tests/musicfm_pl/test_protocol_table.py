"""What `musicfm test` prints: protocols side by side, tags one by one, what is not defined, what is not reproduced."""

from __future__ import annotations

import io
import re

from rich.console import Console

from musicfm_pl.protocol_table import show_protocols
from musicfm_pl.result_schema import Task
from musicfm_pl.results import Evaluation, RunResult, TrackResult


def printed(task: Task, evaluations: dict[str, Evaluation], terminal: bool = False) -> str:
    (own, first), *others = evaluations.items()
    result = RunResult(
        run="a",
        name="b",
        role="encoder",
        stage="probe",
        task=task,
        protocol=own,
        corpus="tiny",
        corpus_note="",
        licence="CC0",
        split="test",
        num_tracks=3,
        seed=0,
        layer=None,
        num_parameters=1,
        config_digest="0",
        versions={},
        machine={},
        seconds=1.0,
        summary=first.summary,
        notes=first.notes,
        tracks=first.tracks,
        others=dict(others),
    )
    stream = io.StringIO()
    show_protocols(result, Console(file=stream, force_terminal=terminal, width=100 if terminal else None))
    return stream.getvalue()


def test_protocols_stand_side_by_side() -> None:
    text = printed(
        "beat",
        {
            "musicfm": Evaluation({"beat_f": 0.5, "downbeat_f": None}, ["trimmed", "common"]),
            "marble": Evaluation({"beat_f": 0.25, "downbeat_f": 0.125}, ["common", "not reproduced of marble: clips"]),
        },
    )
    assert "beat on tiny (3 tracks, split test)" in text
    assert re.search(r"beat_f +│ +0\.500 +│ +0\.250", text)
    assert re.search(r"downbeat_f +│ +not defined +│ +0\.125", text)
    assert "this run" in text
    assert text.count("common") == 1
    assert "• marble: not reproduced of marble: clips" in text


def test_what_a_protocol_is_about_is_bold() -> None:
    figures = {"chord_majmin": 0.5, "chord_root": 0.75}
    evaluations = {"musicfm": Evaluation(figures), "mirex": Evaluation(figures)}
    text = printed("chord", evaluations, terminal=True)
    rows = {name: line for line in text.splitlines() for name in figures if name in line}
    bold = "\x1b[1m"
    assert rows["chord_majmin"].count(bold) == 2
    assert rows["chord_root"].count(bold) == 1


def test_tags_have_a_table_of_their_own() -> None:
    summary = {"map": 0.6, "roc_auc": 0.7, "ap/rock": 0.4, "ap/jazz": 0.8, "auc/rock": 0.6, "auc/jazz": 0.9}
    note = "Left out, as no track of the test split has them: a."
    text = printed("tagging", {"musicfm": Evaluation(summary, [note])})
    assert re.search(r"jazz +│ +0\.800 +│ +0\.900", text)
    assert text.index("jazz") < text.index("rock"), "the best one first"
    assert "ap/" not in text
    assert note in text


def test_a_tag_that_cannot_be_scored_has_a_row() -> None:
    """The head knows "absent", which no track has: its figures are not defined, not forgotten."""
    tags = {"absent": (0.9, 0), "rock": (0.5, 1)}
    tracks = [TrackResult("a", "a", {}, tags=tags), TrackResult("b", "b", {}, tags=tags | {"rock": (0.1, 0)})]
    summary = {"map": 0.0, "roc_auc": 0.0, "ap/rock": 0.0, "auc/rock": 0.0}
    text = printed("tagging", {"musicfm": Evaluation(summary, [], tracks)})
    assert re.search(r"absent +│ +not defined +│ +not defined", text)
    assert text.index("rock") < text.index("absent"), "those that are scored first, however low"
