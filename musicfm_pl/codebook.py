"""`musicfm codebook`: the codebook doctor, which examines a run's tokens and encoder on home and new music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from data_modules.clips import GridClips
from data_modules.corpora.base import Split
from data_modules.pretrain import collate
from data_modules.shards import Prepared, corpus_in
from data_modules.waveforms import Samples
from musicfm_pl.codebook_alarms import alarms
from musicfm_pl.codebook_file import FIGURES, STABILITY, CodebookReport, Heard, write_report
from musicfm_pl.pretraining_run import PretrainingRun, read_pretraining
from musicfm_pl.provenance import config_digest
from musicfm_pl.results import ResultError, TrackResult, read_result, run_name
from musicfm_pl.systems.token_examination import TokenExamination

_AT_ONCE = 8
"""Clips heard together."""
_ROWS: Mapping[str, tuple[str, str]] = {
    "codes": ("codes K", ".0f"),
    "perplexity": ("perplexity", ".1f"),
    "perplexity_share": ("perplexity / K", ".1%"),
    "dead_codes": ("dead codes", ".0f"),
    "top1_share": ("share of the commonest code", ".1%"),
    "top10_share": ("of the 10 commonest", ".1%"),
    "top_percent_share": ("of the commonest 1 %", ".1%"),
    "masked_accuracy": ("masked accuracy", ".4f"),
    "commonest_accuracy": ("  always the commonest", ".4f"),
    "chance_accuracy": ("  chance", ".4f"),
    "loss": ("masked loss, nats", ".3f"),
    "unigram_loss": ("  frequencies alone", ".3f"),
    "chance_loss": ("  chance", ".3f"),
    "loss_above_unigram": ("loss above frequencies", "+.3f"),
    "loss_above_chance": ("loss above chance", "+.3f"),
}
"""Figures of a codebook as the console has them."""
_OF_BOOKS = (*("perplexity", "perplexity_share", "dead_codes", "top10_share"), "masked_accuracy", "loss_above_unigram")
"""Those that are shown of each of several codebooks; the file has all."""


def codebook(
    run: Path,
    roots: list[str] | None = None,
    split: Split = "val",
    max_clips: int = 256,
    seed: int = 0,
    device: str = "cpu",
    out: Path | None = None,
) -> None:
    """Examines the tokens and the encoder of a pretraining run on music of its own and on other music.

    For each folder: whether the mel is normal under the run's statistics (mean 0, standard deviation 1), how its
    tokens use the codebooks, and how well the encoder guesses masked tokens, beside chance and beside knowing only
    the frequencies of codes. Clips and masks are the same each time. What is wrong is said aloud, with a remedy; it
    is a finding, and no failure.

    Args:
        run: A pretraining run, or an `encoder.safetensors` alone, of which nothing is said of masked tokens.
        roots: Prepared folders, such as '[data/dcml-demo, data/pop909]'; by default that of the run.
        split: Which of their splits is heard.
        max_clips: Clips of each, at most, spread evenly.
        seed: Of the masks.
        device: As torch names it: cpu, cuda, cuda:1.
        out: A JSON file to write. `musicfm generalisation` and `musicfm leaderboard` find it among the results of
            runs by the name codebook.json.

    Raises:
        FileNotFoundError: There is no such run, or no such folder.
        ValueError: It is no pretraining run, or a split is empty.
    """
    if max_clips < 1:
        raise ValueError(f"--max_clips must be at least 1, got {max_clips}")
    found = read_pretraining(run)
    by_corpus: dict[str, str] = {}
    for root in roots or []:
        other = by_corpus.setdefault(corpus_in(root), root)
        if other != root:
            raise ValueError(f"--roots: {other} and {root} are of one corpus, {corpus_in(root)}; name one of them")
    found.model.to(device)
    trained_on = corpus_in(found.home)
    folder = run.parent.parent if run.is_file() and run.parent.name == "checkpoints" else run
    report = CodebookReport(
        run=run_name(folder),
        name=str(found.config.get("name") or type(found.model.encoder).__name__),
        trained_on=trained_on,
        tokenizer=type(found.model.tokenizer).__name__,
        seed=int(found.config.get("seed_everything") or 0),
        examined_with={"clip_s": float(found.config["data"]["init_args"]["clip_s"]), "seed": float(seed)},
        mel={"mean": found.mel["mean"], "std": found.mel["std"]},
        stability=_stability(folder),
        music=tuple(
            _examine(found, root, split, max_clips, seed, trained_on, device) for root in roots or [found.home]
        ),
        config_digest=config_digest(found.config),
    )
    show_report(report, Console(highlight=False))
    if out is not None:
        write_report(out, report)
        print(f"written: {out}")


def _stability(run: Path) -> dict[str, float]:
    try:
        summary = read_result(run).summary
    except (OSError, ResultError):
        return {}
    return {name: value for name in STABILITY if (value := summary.get(name)) is not None}


def _examine(
    found: PretrainingRun, root: str, split: Split, max_clips: int, seed: int, trained_on: str, device: str
) -> Heard:
    prepared = Prepared(root)
    entries = prepared.split(split)
    data = found.data(root, seed)
    data.features.to(device)
    clips = GridClips(entries, Samples(prepared), data.clip_s, seed)
    clips.thin(max_clips)
    examination = TokenExamination(found.model, found.with_prediction)
    for first in range(0, len(clips), _AT_ONCE):
        some = clips.__getitems__(range(first, min(first + _AT_ONCE, len(clips))))
        raw = collate(some)
        batch = data.on_after_batch_transfer(raw._replace(samples_BN=raw.samples_BN.to(device)), 0)
        examination.hear(batch, [clip.track_id for clip in some])
    mean, std = examination.mel()
    run_mean, run_std = found.mel["mean"], found.mel["std"]
    mel = {"mean": mean, "std": std, "mean_db": run_mean + mean * run_std, "std_db": std * run_std}
    books = examination.books()
    groups = {entry.track_id: entry.group for entry in entries}
    tracks = [
        TrackResult(track_id, groups[track_id], figures, dict.fromkeys(figures, float(sums.num_masked)))
        for track_id, sums in examination.tracks().items()
        for figures in [{name: getattr(sums, name) for name in sums._fields[1:]}]
    ]
    corpus = str(prepared.card["corpus"])
    said = alarms(root, corpus == trained_on, mel, found.mel, books)
    overall = {name: _mean([book[name] for book in books]) for name in FIGURES}
    note = str(prepared.card["note"])
    return Heard(root, corpus, note, split, len(clips), mel, overall, books, tuple(tracks), tuple(said))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def show_report(report: CodebookReport, console: Console) -> None:
    """Prints it: a column for each folder, and for several codebooks a table of each folder's; then the alarms."""
    console.print(
        f"{report.run}: {report.name}, {report.tokenizer}, pretrained on {report.trained_on} (seed {report.seed})",
        markup=False,
    )
    if report.stability:
        counts = ", ".join(f"{name.replace('_', ' ')} {count:g}" for name, count in report.stability.items())
        console.print(f"training stability: {counts}", markup=False)
    table = _table(
        "mean over codebooks" if len(report.music[0].books) > 1 else "", [one.corpus for one in report.music]
    )
    table.add_row("clips", *(f"{one.clips} of {one.split}" for one in report.music))
    table.add_row("mel mean (0)", *(f"{one.mel['mean']:+.3f}" for one in report.music))
    table.add_row("mel standard deviation (1)", *(f"{one.mel['std']:.3f}" for one in report.music))
    table.add_row("  in dB", *(f"{one.mel['mean_db']:.1f} ± {one.mel['std_db']:.1f}" for one in report.music))
    _rows(table, [one.overall for one in report.music])
    console.print(table)
    for one in report.music:
        if len(one.books) > 1:
            columns = ["perplexity", "of K", "dead", "top 10", "masked acc", "loss - freq."]
            by_book = _table(f"{one.corpus}, by codebook", columns)
            for number, book in enumerate(one.books):
                by_book.add_row(str(number), *(_text(name, book) for name in _OF_BOOKS))
            console.print(by_book)
    for one in report.music:
        for alarm in one.alarms:
            console.print(f"ALARM {alarm}", style="bold red", markup=False)
        if not one.alarms:
            console.print(f"{one.corpus}: nothing wrong with mel and codebooks", markup=False)


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left", show_edge=False, pad_edge=False)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    return table


def _rows(table: Table, columns: Sequence[Mapping[str, float | None]]) -> None:
    for name, (title, _) in _ROWS.items():
        table.add_row(title, *(_text(name, column) for column in columns))


def _text(name: str, figures: Mapping[str, float | None]) -> str:
    value = figures[name]
    return "–" if value is None else format(value, _ROWS[name][1])
