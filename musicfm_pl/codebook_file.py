"""The record of `musicfm codebook`: how a run's tokens and encoder fare on some music, checked whenever it is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from musicfm_pl.result_schema import ResultError
from musicfm_pl.results import TrackResult, write_aside

FILE_NAME = "codebook.json"
"""What the file is called where it is to be found among the results of runs."""
SCHEMA = 2
"""1 did not say with which configuration the run was trained."""
READABLE = (1, SCHEMA)
FIGURES = (
    *("tokens", "codes", "perplexity", "perplexity_share", "dead_codes", "dead_share"),
    *("top1_share", "top10_share", "top_percent_share", "masked_tokens", "masked_accuracy", "commonest_accuracy"),
    *("chance_accuracy", "loss", "unigram_loss", "chance_loss", "loss_above_unigram", "loss_above_chance"),
)
"""Of each codebook, and as a mean over them."""
MEL_FIGURES = ("mean", "std", "mean_db", "std_db")
STABILITY = ("nonfinite_steps", "loss_spikes", "gradient_spikes", "skipped_steps")
"""What `TrainingGuard` counted in the training."""


@dataclass(frozen=True)
class Heard:
    """What a tokenizer and its encoder make of the music of one folder.

    Attributes:
        root: The folder.
        corpus: Its corpus.
        corpus_note: What tables made from it must say; may be empty.
        split: The split that was heard.
        clips: Clips of it.
        mel: Mean and std of the mel as the run normalises it, best near 0 and 1; `mean_db` and `std_db` before that.
        overall: `FIGURES`, means over codebooks; None for what needs a prediction layer where there is none, or where
            nothing was masked.
        books: The same of each codebook.
        tracks: Masked accuracy and loss by track, weighted by their masked tokens, for intervals over works.
        alarms: What is wrong, and the remedy.
    """

    root: str
    corpus: str
    corpus_note: str
    split: str
    clips: int
    mel: Mapping[str, float]
    overall: Mapping[str, float | None]
    books: Sequence[Mapping[str, float | None]]
    tracks: Sequence[TrackResult] = field(default=(), repr=False)
    alarms: Sequence[str] = ()


@dataclass(frozen=True)
class CodebookReport:
    """The examination of one pretraining run on the music of some folders.

    Attributes:
        run: The run directory, below the last folder named `runs`.
        name: Of the encoder, as the leaderboard has it.
        trained_on: Corpus of the pretraining.
        tokenizer: Class of the tokenizer.
        seed: Of the run.
        examined_with: Of clips and masks: `clip_s` and `seed`.
        mel: The run's statistics in dB, `mean` and `std`.
        stability: Counts of `STABILITY`; empty if the run has no results.
        music: By folder, in the order in which they were named.
        config_digest: Of the run's configuration, as in its `results.json`; empty in reports of schema 1.
    """

    run: str
    name: str
    trained_on: str
    tokenizer: str
    seed: int
    examined_with: Mapping[str, float]
    mel: Mapping[str, float]
    stability: Mapping[str, float]
    music: Sequence[Heard]
    config_digest: str = ""


def write_report(path: Path, report: CodebookReport) -> None:
    """Writes it, whole or not at all.

    Raises:
        ResultError: It would not be readable again, such as for a figure that is not finite.
    """
    data = {"schema": SCHEMA, **asdict(report)}
    check_report(data, path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_aside(path, json.dumps(data, indent=1, ensure_ascii=False) + "\n")


def read_report(path: Path) -> CodebookReport:
    """Reads and checks a report.

    Raises:
        FileNotFoundError: There is none.
        ResultError: It is no JSON, of another schema, or a key is missing, unknown or of the wrong type.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ResultError(f"{path}: no JSON ({error})") from error
    check_report(data, path)
    del data["schema"]
    music = [
        Heard(**one | {"tracks": tuple(TrackResult(**track) for track in one["tracks"])}) for one in data.pop("music")
    ]
    return CodebookReport(**data, music=tuple(music))


def read_reports(roots: Sequence[Path]) -> list[CodebookReport]:
    """Every report under some directories, in the order of their runs; each once, should one lie in another."""
    files = {file.resolve(): file for root in roots for file in (root.rglob(FILE_NAME) if root.is_dir() else [root])}
    found = [read_report(file) for file in files.values() if file.name == FILE_NAME]
    return sorted(found, key=lambda report: (report.run, report.seed))


def check_report(data: object, path: Path) -> None:
    """Looks at what a file says, or is about to say.

    Raises:
        ResultError: See `read_report`; the message names file and key.
    """
    if not isinstance(data, dict) or data.get("schema") not in READABLE:
        schema = data.get("schema") if isinstance(data, dict) else None
        raise ResultError(
            f"{path}: schema {schema!r}, but this version reads codebook reports of schema {SCHEMA}; make it anew: "
            f"musicfm codebook --run ... --out {path}"
        )
    texts, mappings = ["run", "name", "trained_on", "tokenizer"], ("examined_with", "mel", "stability")
    texts += ["config_digest"] * (data["schema"] > 1)
    _keys(data, {"schema", *texts, *mappings, "seed", "music"}, path, "")
    _texts(data, texts, path, "", may_be_empty=("config_digest",))
    for key in mappings:
        _numbers(data[key], path, key, may_be_null=False)
    if not isinstance(data["seed"], int) or not isinstance(data["music"], list | tuple) or not data["music"]:
        raise ResultError(f"{path}: seed must be a whole number, and music a list that is not empty")
    for index, one in enumerate(data["music"]):
        _check_music(one, path, f"music[{index}]")


def _check_music(one: Any, path: Path, at: str) -> None:
    texts = ("root", "corpus", "corpus_note", "split")
    _keys(one, {*texts, "clips", "mel", "overall", "books", "tracks", "alarms"}, path, f"{at}: ")
    _texts(one, texts, path, f"{at}.", may_be_empty=("corpus_note",))
    if not isinstance(one["clips"], int) or not one["books"]:
        raise ResultError(f"{path}: {at}: needs a number of clips and at least one codebook")
    _keys(one["mel"], set(MEL_FIGURES), path, f"{at}.mel: ")
    _numbers(one["mel"], path, f"{at}.mel", may_be_null=False)
    for key, figures in [("overall", one["overall"]), *((f"books[{i}]", book) for i, book in enumerate(one["books"]))]:
        _keys(figures, set(FIGURES), path, f"{at}.{key}: ")
        _numbers(figures, path, f"{at}.{key}", may_be_null=True)
    for index, track in enumerate(one["tracks"]):
        _keys(track, {"track_id", "group", "metrics", "weights", "tags"}, path, f"{at}.tracks[{index}]: ")
        _numbers(track["metrics"], path, f"{at}.tracks[{index}].metrics", may_be_null=True)
        _numbers(track["weights"], path, f"{at}.tracks[{index}].weights", may_be_null=False)
    if not all(isinstance(alarm, str) for alarm in one["alarms"]):
        raise ResultError(f"{path}: {at}.alarms: not all of them are text")


def _keys(data: Any, keys: set[str], path: Path, at: str) -> None:
    if not isinstance(data, Mapping) or set(data) != keys:
        has = ", ".join(map(str, data)) if isinstance(data, Mapping) else repr(data)
        raise ResultError(f"{path}: {at}needs the keys {', '.join(sorted(keys))}, but has {has}")


def _texts(data: Mapping[str, Any], keys: Sequence[str], path: Path, at: str, may_be_empty: Sequence[str] = ()) -> None:
    for key in keys:
        if not isinstance(data[key], str) or not (data[key] or key in may_be_empty):
            raise ResultError(f"{path}: {at}{key}: {data[key]!r} is no text")


def _numbers(data: Any, path: Path, at: str, may_be_null: bool) -> None:
    for key, value in data.items() if isinstance(data, Mapping) else [("", data)]:
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not (is_number or (value is None and may_be_null)):
            raise ResultError(f"{path}: {at}.{key}: {value!r} is no figure")
