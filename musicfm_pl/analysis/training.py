"""How each pretraining run went: its tokens, what it learnt of them, and what disturbed its training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from musicfm_pl.analysis.factors import Origin, level_text
from musicfm_pl.results import RunResult
from musicfm_pl.tokenizers.centroids_about import about_centroids

TRAINING_TITLES = (
    *("Run", "Tokens", "k", "Features", "Rate", "Steps", "Masked acc", "Loss − ln\u00a0k", "Loss −\u00a0entropy"),
    *("Perplexity", "Dead codes", "Loss spikes", "Gradient spikes", "Not finite", "Skipped"),
)
TRAINING_TITLE = "How pretraining went"
TRAINING_NOTE = (
    "A row a run, from its last validation. k: codes of a book, and how many books there are. Loss − ln k: against "
    "guessing blindly; loss − entropy: against knowing only how often each code occurs; below 0 something was learnt. "
    "Perplexity and dead codes (never a target of the validation split): means over the books. Spikes, steps whose "
    "loss or gradient was not finite, and steps that were skipped for either: counts over the whole training."
)
_UNKNOWN = "–"


def training_rows(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> tuple[tuple[str, ...], ...]:
    """The cells of every pretraining run as text, below `TRAINING_TITLES`; in the order of the runs."""
    return tuple(
        _row(result, origins.get(result.run))
        for result in sorted(results, key=lambda result: result.run)
        if result.stage == "pretrain"
    )


def _row(result: RunResult, origin: Origin | None) -> tuple[str, ...]:
    factors = origin.factors if origin else {}
    tokens, k, features = _tokens(result, origin)

    def said(name: str, form: str) -> str:
        value = result.summary.get(name)
        return _UNKNOWN if value is None else format(value, form)

    return (
        result.run,
        tokens,
        k,
        features,
        level_text("rate", factors["rate"]) if "rate" in factors else _UNKNOWN,
        said("steps", ",.0f"),
        said("masked_accuracy", ".3f"),
        said("loss_above_chance", "+.3f").replace("-", "−"),
        said("loss_above_unigram", "+.3f").replace("-", "−"),
        said("perplexity", ",.1f"),
        said("dead_codes", ",.4g"),
        *(said(name, ",.0f") for name in ("loss_spikes", "gradient_spikes", "nonfinite_steps", "skipped_steps")),
    )


def _tokens(result: RunResult, origin: Origin | None) -> tuple[str, str, str]:
    """Kind of tokens, codes and books, and what they are made of."""
    # Of one book, since k of k-means stands in the file alone.
    chance = result.summary.get("chance_accuracy")
    codes = _UNKNOWN if not chance else f"{round(1 / chance):,}"
    if origin is None or "tokens" not in origin.factors:
        return _UNKNOWN, codes, _UNKNOWN
    settings = _settings(origin.config)
    books = settings.get("num_books") or 1
    if books > 1:
        codes += f" × {books}"
    kind = str(origin.factors["tokens"])
    if "file" not in settings:
        return kind, codes, "log-mel" if kind == "random" else _UNKNOWN
    about = about_centroids(Path(str(settings["file"])), origin.folder)
    names = {"logmel": "log-mel", "mfcc": "MFCC", "hidden": f"layer {about.get('layer')} of {about.get('teacher')}"}
    return kind, codes, names.get(str(about.get("features")), "not known: its file is not there")


def _settings(config: Mapping[str, Any]) -> Mapping[str, Any]:
    tokenizer = config["model"]["init_args"]["tokenizer"]
    return dict(tokenizer.get("init_args") or {})
