"""Where a model loses on music that it was not trained on: in its tokens, in its encoder, in its head."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from musicfm_pl.analysis.factors import Origin
from musicfm_pl.analysis.intervals import Interval, Sampled, apart, effect, sampled, sampled_tracks
from musicfm_pl.codebook_file import CodebookReport, Heard
from musicfm_pl.results import ResultError, RunResult
from musicfm_pl.standings import FIGURES, Cell, Figure, refuse_doubles

_BySeed = Mapping[int | None, float | None]
_BY_TRACK = ("masked_accuracy", "loss_above_unigram")
"""Figures of music with an interval over works."""


@dataclass(frozen=True)
class OnMusic:
    """Tokens and encoder of one pretraining on one corpus, over seeds.

    Attributes:
        encoder: Its name.
        trained_on: Corpus of the pretraining.
        tokenizer: Class of the tokenizer.
        corpus: The music.
        split: Of it.
        figures: By the names of `codebook_file.FIGURES`, and `mel_mean` and `mel_std`.
        lost: Masked accuracy here minus at home, and likewise the loss above that of frequencies, with intervals; empty
            at home, and where home was not heard.
        num_alarms: Of all seeds.
    """

    encoder: str
    trained_on: str
    tokenizer: str
    corpus: str
    split: str
    figures: Mapping[str, Cell]
    lost: Mapping[str, Cell]
    num_alarms: int


@dataclass(frozen=True)
class Moved:
    """One figure of one model whose head was moved from a corpus to another, over seeds.

    Attributes:
        model: Row of the leaderboard.
        pretrained_on: Folder of the encoder's pretraining; empty for what was not pretrained.
        stage: Probe or finetune.
        protocol: Of the figure.
        split: Whose tracks were tested, of A and of B.
        figure: Which.
        trained_on: Corpus A, of the head.
        corpus: Corpus B.
        home: Trained on A, tested on A; empty if not run.
        transferred: Trained on A, tested on B.
        retrained: Trained on B, tested on B; empty if not run.
        lost: Transferred minus home; the works are others.
        regained: Retrained minus transferred, on the same works: what the head alone cost.
        remaining: Retrained minus home: what encoder and tokens cost, and how much harder B is.
    """

    model: str
    pretrained_on: str
    stage: str
    protocol: str
    split: str
    figure: Figure
    trained_on: str
    corpus: str
    home: Cell
    transferred: Cell
    retrained: Cell
    lost: Cell
    regained: Cell
    remaining: Cell


@dataclass(frozen=True)
class Generalisation:
    """All that is known of it: tokens and encoders by music, and figures of moved models."""

    music: tuple[OnMusic, ...]
    moved: tuple[Moved, ...]


def generalisation(
    results: Iterable[RunResult], origins: Mapping[str, Origin], codebooks: Sequence[CodebookReport]
) -> Generalisation | None:
    """Tables of it: a pure function of results; None if no model was moved and no music but home was heard.

    A test is a transferred one if its result says that the model was trained on another corpus.

    Args:
        results: Of runs at home, of transferred tests and of heads that were trained anew.
        origins: By run where it comes from: on what its encoder was pretrained.
        codebooks: What `musicfm codebook` wrote.

    Raises:
        ResultError: A report, or a transferred test, is of a run as it was before that was made anew with other
            settings.
        ValueError: Two runs, or two reports, claim the same place.
    """
    runs = list(results)
    _refuse_reports_of_before(codebooks, {run.run: run for run in runs if run.stage == "pretrain"})
    heard = tuple(_music(codebooks))
    moved = tuple(_moved(runs, origins))
    if not moved and all(one.corpus == one.trained_on for one in heard):
        return None
    return Generalisation(heard, moved)


def _refuse_reports_of_before(codebooks: Sequence[CodebookReport], pretraining: Mapping[str, RunResult]) -> None:
    for report in codebooks:
        run = pretraining.get(report.run)
        if run is not None and report.config_digest not in ("", run.config_digest):
            raise ResultError(
                f"codebook.json of {report.run}: config_digest: the run was made anew with other settings since; "
                f"examine it again with `musicfm codebook`, or leave it out of --results"
            )


def _refuse_tests_of_before(home: Sequence[RunResult], transferred: Sequence[RunResult]) -> None:
    of_seed = {run.seed: run for run in home}
    for run in transferred:
        own = of_seed.get(run.seed, run)
        for key in ("config_digest", "encoder_digest"):
            was, now = getattr(run, key), getattr(own, key)
            if was and now and was != now:
                raise ResultError(
                    f"{run.run}: {key}: it is a test of another model than {own.run} is now, which has its name and "
                    "seed; make it anew, or leave it out of --results"
                )


def _music(codebooks: Sequence[CodebookReport]) -> Iterable[OnMusic]:
    groups: dict[tuple[str, str, str], dict[tuple[str, str], dict[int, tuple[str, Heard]]]] = {}
    for report in sorted(codebooks, key=lambda report: (report.name, report.trained_on, report.run)):
        by_music = groups.setdefault((report.name, report.trained_on, report.tokenizer), {})
        for one in report.music:
            by_seed = by_music.setdefault((one.corpus, one.split), {})
            other, _ = by_seed.setdefault(report.seed, (report.run, one))
            if by_seed[report.seed][1] is not one:
                raise ValueError(
                    f"{other} and {report.run} were both examined on {one.corpus} ({report.name!r}, seed "
                    f"{report.seed}); give one another `name`, or leave it out of --results"
                )
    for (name, trained_on, tokenizer), by_music in groups.items():
        # Home first, then by name.
        for corpus, split in sorted(by_music, key=lambda of: (of[0] != trained_on, of)):
            here = {seed: one for seed, (_, one) in by_music[corpus, split].items()}
            home = {seed: one for seed, (_, one) in by_music.get((trained_on, split), {}).items()}
            is_moved = corpus != trained_on and bool(home)
            lost = {figure: _lost(home, here, figure) for figure in _BY_TRACK if is_moved}
            alarms = sum(len(one.alarms) for one in here.values())
            yield OnMusic(name, trained_on, tokenizer, corpus, split, _figures(here), lost, alarms)


def _figures(by_seed: Mapping[int, Heard]) -> dict[str, Cell]:
    names = next(iter(by_seed.values())).overall
    found = {}
    for name in names:
        drawn = _sampled(by_seed, name) if name in _BY_TRACK else None
        interval = drawn.interval if drawn else None
        found[name] = Cell({seed: one.overall[name] for seed, one in by_seed.items()}, interval)
    for name in ("mean", "std"):
        found[f"mel_{name}"] = Cell({seed: one.mel[name] for seed, one in by_seed.items()})
    return found


def _sampled(by_seed: Mapping[int, Heard], name: str) -> Sampled | None:
    return sampled_tracks({seed: (one.tracks, one.overall[name]) for seed, one in by_seed.items()}, name)


def _lost(home: Mapping[int, Heard], here: Mapping[int, Heard], name: str) -> Cell:
    first: _BySeed = {seed: one.overall[name] for seed, one in home.items()}
    second: _BySeed = {seed: one.overall[name] for seed, one in here.items()}
    # The interval is of the seeds that the difference is of.
    both = home.keys() & here.keys()
    drawn = [_sampled({seed: of[seed] for seed in sorted(both)}, name) if both else None for of in (home, here)]
    return Cell(_differences(first, second), apart(drawn[0], drawn[1]))


def _moved(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> Iterable[Moved]:
    groups: dict[tuple[str, ...], list[RunResult]] = {}
    for run in sorted(results, key=lambda run: run.run):
        if run.stage != "pretrain":
            origin = origins.get(run.run)
            pretrained_on = str(origin.factors.get("data", "")) if origin else ""
            of = (run.name, pretrained_on, run.stage, run.protocol, run.split, run.task, str(run.layer))
            groups.setdefault(of, []).append(run)
    for (name, pretrained_on, stage, protocol, split, task, _), runs in sorted(groups.items()):
        pairs = sorted({(run.trained_on, run.corpus) for run in runs if run.trained_on})
        for trained_on, corpus in pairs:
            home = [r for r in runs if not r.trained_on and r.corpus == trained_on]
            transferred = [r for r in runs if r.trained_on == trained_on and r.corpus == corpus]
            retrained = [r for r in runs if not r.trained_on and r.corpus == corpus]
            for some in (home, transferred, retrained):
                refuse_doubles(some)
            _refuse_tests_of_before(home, transferred)
            for figure in FIGURES:
                if figure.task == task and any(r.summary.get(figure.metric) is not None for r in transferred):
                    of_figure = _cells(figure.metric, home, transferred, retrained)
                    yield Moved(name, pretrained_on, stage, protocol, split, figure, trained_on, corpus, *of_figure)


def _cells(
    metric: str, home: Sequence[RunResult], transferred: Sequence[RunResult], retrained: Sequence[RunResult]
) -> tuple[Cell, Cell, Cell, Cell, Cell, Cell]:
    drawn = [_drawn(runs, metric) for runs in (home, transferred, retrained)]
    values = [{run.seed: run.summary.get(metric) for run in runs} for runs in (home, transferred, retrained)]
    first, second, third = (
        Cell(by_seed, one.interval if one else None) for by_seed, one in zip(values, drawn, strict=True)
    )
    return (
        *(first, second, third),
        Cell(_differences(values[0], values[1]), apart(*_of_common_seeds(home, transferred, metric))),
        Cell(_differences(values[1], values[2]), _same_works(*_of_common_seeds(transferred, retrained, metric))),
        Cell(_differences(values[0], values[2]), apart(*_of_common_seeds(home, retrained, metric))),
    )


def _drawn(runs: Sequence[RunResult], metric: str) -> Sampled | None:
    return sampled(runs, metric) if runs else None


def _of_common_seeds(
    first: Sequence[RunResult], second: Sequence[RunResult], metric: str
) -> tuple[Sampled | None, Sampled | None]:
    """Both, of the seeds that both have: an interval is of the seeds that its difference is of."""
    both = {run.seed for run in first} & {run.seed for run in second}
    return _drawn([r for r in first if r.seed in both], metric), _drawn([r for r in second if r.seed in both], metric)


def _same_works(first: Sampled | None, second: Sampled | None) -> Interval | None:
    found = effect(first, second)
    return found.interval if found else None


def _differences(first: _BySeed, second: _BySeed) -> dict[int | None, float | None]:
    """Second minus first, by the seeds that both have."""
    return {
        seed: value - before
        for seed, value in second.items()
        if value is not None and (before := first.get(seed)) is not None
    }
