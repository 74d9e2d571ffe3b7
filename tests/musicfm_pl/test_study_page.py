"""The leaderboard of a whole small study: what it says, that it stays the same, and what happens when a result goes."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from synthetic_study import write_model

from musicfm_pl.cli import main

WIDE = "Conformer 25 30"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("page") / "runs"
    for rate in (25, 75):
        for length in (5, 30):
            gains = {"downbeat_f": 0.06 * (length == 30), "key_weighted": 0.2 * (rate == 25 and length == 30)}
            write_model(root, f"Conformer {rate} {length}", gains, rate=rate, length=length, tasks=["beat", "key"])
    return root


def render(runs: Path, out: Path) -> dict[str, str]:
    main(["leaderboard", "--results", str(runs), "--out", str(out)])
    return {file.name: file.read_text() for file in sorted(out.iterdir())}


def test_twice_the_same_bytes_and_the_studys_answers(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = (render(runs, tmp_path / "out") for _ in range(2))
    assert first == second
    printed = " ".join(capsys.readouterr().out.split())
    assert "holds: Long clips beat short ones" in printed
    page, text = first["leaderboard.html"], first["LEADERBOARD.md"]
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://", page)
    for drawing in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        ElementTree.fromstring(drawing)
    assert page.index("Do the study's conclusions hold?".replace("'", "&#x27;")) < page.index("Probing on dcml")
    assert "As a check, of the published table" in page
    assert "Rate × length" in page and "What scores depend on" in page
    assert "| Length | Long clips beat" in text and "**holds**" in text
    rows = {(r["name"], r["metric"]): r for r in csv.DictReader(io.StringIO(first["leaderboard.csv"]))}
    best = rows[WIDE, "key_weighted"]
    assert float(best["low"]) < float(best["mean"]) < float(best["high"]) and best["num_groups"] == "16"


def test_print_is_light_and_keeps_what_was_unfolded(runs: Path, tmp_path: Path) -> None:
    style = render(runs, tmp_path)["leaderboard.html"].split("<style>")[1].split("</style>")[0]
    screen, printed = style.split("@media print")
    dark = screen.split("prefers-color-scheme: dark")[1].split("* {")[0]
    assert set(re.findall(r"--[\w-]+(?=:)", dark)) == set(re.findall(r"--[\w-]+(?=:)", printed))
    assert "color-scheme: light;" in printed
    hidden = [rule for rule in re.findall(r"[^{}]+\{[^{}]*\}", printed) if "display: none" in rule]
    assert [rule.split("{")[0].strip() for rule in hidden] == [".sources:not([open])"]


def test_only_a_difference_that_holds_is_bold(runs: Path, tmp_path: Path) -> None:
    """Key is ahead by far; downbeats have two rows that are alike; beats are alike everywhere."""
    page = render(runs, tmp_path)["leaderboard.html"]
    assert len(re.findall("<strong>", page)) == 1
    (row,) = re.findall(rf"<tr><th scope=\"row\">{WIDE}<small>.*?</tr>", page)[:1]
    assert "<strong>" in row.split("<td>")[7], "the seventh column is key"


def test_every_cell_leads_to_its_runs(runs: Path, tmp_path: Path) -> None:
    page = render(runs, tmp_path / "out")["leaderboard.html"]
    targets = re.findall(r'<td><a href="#([^"]+)">', page)
    assert len(targets) == 4 * 3 + 4 * 2, "three figures of tasks, two of pretraining"
    places = re.findall(r'<div id="([^"]+)"', page)
    assert len(set(places)) == len(places) and set(targets) == set(places)
    files = set(re.findall(r'<a href="([^"#]+)"', page))
    assert len(files) == 4 * 3 * 3 * 2
    assert all((tmp_path / "out" / file.replace("%20", " ")).exists() for file in files)
    assert "0123456789ab" in page and "work07a" in page and "class_path: musicfm_pl.systems.task.TaskModel" in page
    assert (
        "Encoder Conformer, tokens random, rate 75 Hz, length 30 s, size 1.8 M, data pop909, share 100 %, mode probe."
        in page
    )


def test_a_result_that_goes_is_not_run_and_nothing_else_changes(tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for name in ("one", "other"):
        write_model(root, name, tasks=["beat", "key"], length=5 if name == "one" else 30)
    before = render(root, tmp_path / "before")
    for seed in range(3):
        (root / "one" / "probe" / "key" / f"seed{seed}" / "results.json").unlink()
    after = render(root, tmp_path / "after")
    table = {}
    for when, files in (("before", before), ("after", after)):
        (_, rest) = files["LEADERBOARD.md"].split("## Probing")
        table[when] = [[c.strip(" *") for c in x.split("|")] for x in rest.split("##")[0].splitlines() if "|" in x]
    changed = [
        (old[1], number)
        for old, new in zip(table["before"], table["after"], strict=True)
        for number, (a, b) in enumerate(zip(old, new, strict=True))
        if a != b
    ]
    assert changed == [("one", 9)] and table["after"][2][9] == "not run"
    lines = {when: set(files["leaderboard.csv"].splitlines()) for when, files in (("a", after), ("b", before))}
    assert lines["a"] < lines["b"]
    assert all("one" in line and "key" in line for line in lines["b"] - lines["a"])


def test_another_configuration_is_refused_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_model(tmp_path / "runs", "one", seeds=[0], tasks=["key"])
    file = tmp_path / "runs" / "one" / "probe" / "key" / "seed0" / "config.yaml"
    file.write_text(file.read_text().replace("freeze: true", "freeze: false"))
    for command in ("leaderboard", "relations", "attribution"):
        with pytest.raises(SystemExit) as stop:
            main([command, "--results", str(tmp_path / "runs")])
        assert stop.value.code == 2
        assert "one/probe/key/seed0 was not made with" in capsys.readouterr().err


def test_relations_and_attribution_as_commands(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["relations", "--results", str(runs)])
    printed = capsys.readouterr().out
    assert "Downbeat F1, 5 s → 30 s: +0.06" in printed and "no two models differ in encoder alone" in printed
    main(["relations", "--published", "true"])
    assert "Conformer beats BERT on every task" in capsys.readouterr().out
    main(["attribution", "--results", str(runs), "--out", str(tmp_path)])
    assert "rate × length" in capsys.readouterr().out.replace("\n", " ")
    pytest.importorskip("statsmodels")
    ElementTree.fromstring((tmp_path / "attribution.svg").read_text())
    write_model(tmp_path / "runs", "one", tasks=["key"])
    with pytest.raises(SystemExit):
        main(["attribution", "--results", str(tmp_path / "runs")])
    assert "no factor varies" in capsys.readouterr().err
