"""The codebook doctor: its figures are those of the run's own validation, and it raises its alarms."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import command
import numpy as np
import pytest
import soundfile
import tiny_pretraining
import torch

from data_modules import SAMPLE_RATE
from data_modules.masking import MelNoise
from musicfm_pl.analysis.remake import sample
from musicfm_pl.codebook_alarms import alarms
from musicfm_pl.codebook_file import FIGURES, CodebookReport, check_report, read_report, read_reports, write_report
from musicfm_pl.result_schema import ResultError
from musicfm_pl.results import read_result
from musicfm_pl.systems.token_examination import TokenExamination


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of music far below the level of the training music."""
    folder = tmp_path_factory.mktemp("codebook") / "quiet"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(3):
        soundfile.write(folder / f"{number}.wav", 3e-4 * rng.standard_normal(11 * SAMPLE_RATE), SAMPLE_RATE)
    return folder


@pytest.fixture(scope="module")
def report(pretrained_run: Path, prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("codebook") / "run" / "codebook.json"
    command.succeed("codebook", "--run", pretrained_run, "--out", out)
    return out


def test_figures_are_those_of_the_validation_that_ended_the_run(report: Path, pretrained_run: Path) -> None:
    """Trained and judged by Lightning, with its own loop, counts and clips."""
    found, validated = read_report(report), read_result(pretrained_run).summary
    (home,) = found.music
    assert (found.trained_on, home.corpus, home.split, found.tokenizer) == (
        "miniature",
        *("miniature", "val"),
        "RandomProjection",
    )
    assert home.overall["loss"] == pytest.approx(validated["val_loss"], rel=1e-5)
    for name in ("masked_accuracy", "unigram_loss", "commonest_accuracy", "loss_above_unigram", "loss_above_chance"):
        assert home.overall[name] == pytest.approx(validated[name], rel=1e-5, abs=1e-6), name
    assert set(found.stability) == {"nonfinite_steps", "loss_spikes", "gradient_spikes", "skipped_steps"}
    assert abs(home.mel["mean"]) < 0.2 and home.mel["std"] == pytest.approx(1, abs=0.2)
    assert {track.group for track in home.tracks} == {"song4", "song5"}
    for name in ("masked_accuracy", "loss", "loss_above_unigram"):
        assert sample(home.tracks, name, home.overall[name]) is not None, "the works give the figure again"


def test_other_music_stands_beside_it(
    pretrained_run: Path, prepared: Path, quiet: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "codebook.json"
    roots = f"[{prepared},{quiet}]"
    command.succeed("codebook", "--run", pretrained_run, "--roots", roots, "--split", "train", "--out", out)
    home, other = read_report(out).music
    printed = " ".join(capsys.readouterr().out.split())
    assert (home.corpus, other.root) == ("miniature", str(quiet))
    assert not any("normalisation" in alarm for alarm in home.alarms)
    assert other.mel["mean"] < -0.25
    (said,) = [alarm for alarm in other.alarms if alarm.startswith("normalisation")]
    assert f"pretrain with --data.root {quiet}" in said
    assert "ALARM normalisation" in printed and "masked accuracy" in printed and "training stability" in printed


def test_an_encoder_alone_has_tokens_but_guesses_nothing(pretrained_run: Path, report: Path, tmp_path: Path) -> None:
    out = tmp_path / "codebook.json"
    alone = pretrained_run / "checkpoints" / "encoder.safetensors"
    command.succeed("codebook", "--run", alone, "--out", out)
    found, whole = read_report(out), read_report(report)
    assert found.run == whole.run
    assert found.music[0].overall["masked_accuracy"] is None and not found.music[0].tracks
    for name in ("perplexity", "dead_codes", "top1_share", "top_percent_share"):
        assert found.music[0].overall[name] == whole.music[0].overall[name]


def test_what_is_no_pretraining_is_refused(tmp_path: Path, pretrained_run: Path) -> None:
    code, said = command.fail("codebook", "--run", tmp_path)
    assert code == 2 and "is no pretraining run" in said
    code, said = command.fail("codebook", "--run", pretrained_run, "--max_clips", "0")
    assert code == 2 and "--max_clips must be at least 1" in said


def test_shares_and_perplexity_of_tokens_that_are_known() -> None:
    """Two books with sixteen codes; the tokens are put in the place of the tokenizer's."""
    model = tiny_pretraining.model((2, 2), num_books=2).eval()
    batch = tiny_pretraining.batch(2.0, 240, MelNoise(probability=0.5, block_s=0.08))
    tokens_BTQ = torch.zeros(2, 50, 2, dtype=torch.int64)
    tokens_BTQ[..., 1] = torch.arange(100).reshape(2, 50) % 4
    model.tokens = lambda mel_BMF: tokens_BTQ  # type: ignore[method-assign]
    examination = TokenExamination(model, with_prediction=True)
    examination.hear(batch, ["a", "b"])
    first, second = examination.books()
    assert set(first) == set(FIGURES)
    assert (first["perplexity"], first["dead_codes"], first["top1_share"]) == (pytest.approx(1), 15, 1)
    assert (second["perplexity"], second["dead_codes"], second["perplexity_share"]) == (pytest.approx(4), 12, 0.25)
    assert (second["top1_share"], second["top10_share"], second["top_percent_share"]) == (0.25, 1, 0.25)
    assert second["tokens"] == 100 and second["chance_loss"] == math.log(16)
    values = batch.mel_BMF.double()
    assert examination.mel() == (pytest.approx(values.mean().item()), pytest.approx(values.std(correction=0).item()))
    tracks = examination.tracks()
    total = sum(sums.num_masked for sums in tracks.values())
    for name in ("masked_accuracy", "loss", "loss_above_unigram"):
        mean = sum(getattr(sums, name) * sums.num_masked for sums in tracks.values()) / total
        assert mean == pytest.approx(((first[name] or 0) + (second[name] or 0)) / 2, rel=1e-5, abs=1e-6)


BOOK = {"codes": 8192.0, "tokens": 100_000.0, "perplexity": 2000.0}
MEL = {"mean": 0.0, "std": 1.0, "mean_db": 7.0, "std_db": 18.0}


@pytest.mark.parametrize(
    ("mel", "book", "is_home", "expected"),
    [
        ({}, {}, True, []),
        ({"mean": 0.24, "std": 1.24}, {}, True, []),
        ({"mean": -0.26}, {}, True, ["its mean is -0.26", "delete data/a/mel"]),
        ({"std": 0.79}, {}, False, ["its standard deviation is 0.79", "the encoder was normalised by other music"]),
        ({}, {"perplexity": 163.0}, True, ["1 of 1 collapsed", "--model.tokenizer.num_codes"]),
        ({}, {"perplexity": 163.0, "tokens": 500.0}, True, []),
    ],
)
def test_alarms_and_their_limits(
    mel: Mapping[str, float], book: Mapping[str, float], is_home: bool, expected: list[str]
) -> None:
    found = alarms("data/a", is_home, MEL | mel, {"mean": 7.0, "std": 18.0}, [BOOK | book])
    assert len(found) == bool(expected)
    assert all(text in found[0] for text in expected)


def test_a_mel_that_was_never_normalised_collapses_the_codebook(
    pretrained_run: Path, report: Path, prepared: Path, tmp_path: Path
) -> None:
    """The mistake that the study's authors warn of, made on purpose: statistics that are not those of the music."""
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_bytes((pretrained_run / "config.yaml").read_bytes())
    state = torch.load(pretrained_run / "checkpoints" / "last.ckpt", weights_only=True)
    state["PretrainData"]["mel"] |= {"mean": -80.0}
    torch.save(state, run / "checkpoints" / "last.ckpt")
    command.succeed("codebook", "--run", run, "--out", tmp_path / "codebook.json")
    (home,) = read_report(tmp_path / "codebook.json").music
    assert f"delete {prepared}/mel" in home.alarms[0]
    collapsed, healthy = home.overall["perplexity"], read_report(report).music[0].overall["perplexity"]
    assert collapsed is not None and healthy is not None
    assert collapsed < healthy / 2


def test_the_file_comes_back_the_same_and_is_found(report: Path, tmp_path: Path) -> None:
    found = read_report(report)
    write_report(tmp_path / "a" / "codebook.json", found)
    assert (tmp_path / "a" / "codebook.json").read_bytes() == report.read_bytes()
    assert read_reports([tmp_path, tmp_path / "a"]) == [found]
    with pytest.raises(ResultError, match=r"mel\.mean: nan is no figure"):
        write_report(tmp_path / "b.json", replace(found, mel={"mean": math.nan, "std": 1.0}))
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 3}, "schema 3, but this version reads codebook reports of schema 2; make it anew"),
        ({"colour": 1}, "needs the keys .*, but has .*colour"),
        ({"run": ""}, "run: '' is no text"),
        ({"music": []}, "music a list that is not empty"),
        ({"music": [{"root": "a"}]}, r"music\[0\]: needs the keys"),
        ({"stability": {"loss_spikes": None}}, r"stability\.loss_spikes: None is no figure"),
    ],
)
def test_a_file_that_is_not_such_a_report_is_refused(report: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ResultError, match=f"codebook.json: .*{message}"):
        check_report(json.loads(report.read_text()) | change, report)


def test_older_reports_are_read_without_a_digest(report: Path, tmp_path: Path) -> None:
    data = json.loads(report.read_text())
    del data["config_digest"]
    older = tmp_path / "codebook.json"
    older.write_text(json.dumps(data | {"schema": 1}))
    assert read_report(older) == replace(read_report(report), config_digest="")
    older.write_text(json.dumps(data))
    with pytest.raises(ResultError, match="needs the keys config_digest"):
        read_report(older)


def test_a_report_says_what_it_is_of(report: Path, pretrained_run: Path) -> None:
    found: CodebookReport = read_report(report)
    assert found.config_digest == read_result(pretrained_run).config_digest
    assert found.examined_with == {"clip_s": 5.0, "seed": 0.0}
    assert found.music[0].clips == 8
