"""What a leaderboard consists of: figures, cells over seeds, rows, comparisons, tables."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from musicfm_pl.analysis.intervals import Interval
from musicfm_pl.results import Role, RunResult, Stage, Task

if TYPE_CHECKING:
    from musicfm_pl.analysis.attribution import Attribution
    from musicfm_pl.analysis.curves import Curves
    from musicfm_pl.analysis.generalisation import Generalisation
    from musicfm_pl.analysis.leads import Lead
    from musicfm_pl.analysis.rate_length import RateLengthMap
    from musicfm_pl.analysis.relations import Report
    from musicfm_pl.analysis.sources import Source
    from musicfm_pl.layer_map import LayerMap


@dataclass(frozen=True)
class Figure:
    """A column: one metric of one task."""

    task: Task
    metric: str
    title: str
    digits: int = 3


def signed(difference: float, figure: Figure) -> str:
    """A difference with its sign, and with none where it rounds to nothing."""
    text = f"{difference:+.{figure.digits}f}".replace("-", "−")
    return text if any(digit in text for digit in "123456789") else f"±{text[1:]}"


FIGURES = (
    Figure("beat", "beat_f", "Beat F1"),
    Figure("beat", "downbeat_f", "Downbeat F1"),
    Figure("chord", "chord_majmin", "Chord acc"),
    Figure("structure", "frame_accuracy", "Struct acc"),
    Figure("structure", "hr05_f", "HR.5"),
    Figure("structure", "hr3_f", "HR3"),
    Figure("key", "key_weighted", "Key acc"),
    Figure("tagging", "map", "mAP"),
    Figure("tagging", "roc_auc", "ROC"),
)
"""The columns of the study's Table 1 (arXiv 2311.03318) in its order, and HR3 beside its HR.5."""

PRETRAIN_FIGURES = (
    Figure("pretrain", "val_loss", "Loss"),
    Figure("pretrain", "masked_accuracy", "Masked acc"),
    Figure("pretrain", "chance_accuracy", "Chance", 4),
    Figure("pretrain", "commonest_accuracy", "Commonest token"),
    Figure("pretrain", "perplexity", "Perplexity", 1),
    Figure("pretrain", "dead_share", "Dead codes"),
    Figure("pretrain", "steps", "Steps", 0),
    Figure("pretrain", "audio_hours", "Hours heard", 1),
)

PUBLISHED_SOURCE = (
    "Table 1 of M. Won, Y.-N. Hung and D. Le, A Foundation Model for Music Informatics, ICASSP 2024 (arXiv 2311.03318)"
)


def _by_number(item: tuple[int | None, object]) -> int:
    return -1 if item[0] is None else item[0]


@dataclass(frozen=True)
class Cell:
    """One figure of one row.

    Attributes:
        by_seed: The figure of each run, None where the run says that it is not defined; empty if not run. The
            seed is None where nothing is drawn at random.
        interval: Of the mean, over groups and seeds; None where the tracks do not give the figure again.
    """

    by_seed: Mapping[int | None, float | None]
    interval: Interval | None = None

    @property
    def values(self) -> list[float]:
        """The defined figures in the order of their seeds."""
        return [value for _, value in sorted(self.by_seed.items(), key=_by_number) if value is not None]

    @property
    def is_drawn(self) -> bool:
        """Whether there is a spread over seeds to speak of."""
        return None not in self.by_seed

    @property
    def mean(self) -> float | None:
        """Mean over seeds, None if there is nothing to average."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds (n - 1), None below two."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None


@dataclass(frozen=True)
class Row:
    """One model of a table.

    Attributes:
        name: As the runs call it.
        layer: A part of the row's identity only where one name was run on several layers, else None.
        label: What to print: the name, and the layer where it counts.
        num_parameters: Of the encoder; of the largest, should runs differ.
        cells: One for each column of the table.
        figures: Every figure of its runs, by task and metric.
    """

    name: str
    role: Role
    layer: str | None
    num_parameters: int
    cells: tuple[Cell, ...]
    figures: Mapping[tuple[Task, str], Cell]

    @property
    def label(self) -> str:
        """The name, and the layer where it counts."""
        return self.name if self.layer is None else f"{self.name}, {self.layer}"


def refuse_doubles(runs: Iterable[RunResult]) -> None:
    """Sees to it that the runs of one name, which stand beside each other, have a place each.

    Raises:
        ValueError: Two claim the same place: the same task, seed and layer.
    """
    taken: dict[tuple[Task, int | None, int | None], RunResult] = {}
    for run in runs:
        other = taken.setdefault((run.task, run.seed, run.layer), run)
        if other is not run:
            raise ValueError(
                f"{other.run} and {run.run} claim the same place of a table "
                f"({run.name!r}, {run.task}, seed {run.seed}, layer {run.layer}); "
                "give one another `name`, or leave it out of --results"
            )


@dataclass(frozen=True)
class Gain:
    """Encoder minus baseline in one figure, by the seeds that both have.

    Attributes:
        interval: Of the difference of the means over all seeds, over groups and seeds.
    """

    figure: Figure
    by_seed: Mapping[int | None, float]
    interval: Interval | None = None

    @property
    def cell(self) -> Cell:
        """The differences as a cell, for their mean and spread."""
        return Cell(self.by_seed)

    @property
    def num_ahead(self) -> int:
        """Seeds on which the encoder is ahead."""
        return sum(value > 0 for value in self.by_seed.values())

    @property
    def verdict(self) -> Literal["gain", "unclear", "no gain"]:
        """A gain is ahead on every seed, no gain is not ahead in the mean; between them it is unclear."""
        if self.num_ahead == len(self.by_seed):
            return "gain"
        return "unclear" if statistics.fmean(self.by_seed.values()) > 0 else "no gain"


@dataclass(frozen=True)
class Comparison:
    """One encoder against one baseline, figure by figure; figures that either lacks are left out."""

    encoder: str
    baseline: str
    gains: tuple[Gain, ...]

    @property
    def verdict(self) -> str:
        """The comparison in words; what does not gain is named."""
        if not self.gains:
            return f"{self.encoder} and {self.baseline} have no figure on the same seed."
        by_verdict = {
            verdict: [gain for gain in self.gains if gain.verdict == verdict]
            for verdict in ("gain", "unclear", "no gain")
        }
        first_of_task = {gain.figure.task: gain for gain in reversed(self.gains)}
        num_tasks = sum(gain.verdict == "gain" for gain in first_of_task.values())
        num_seeds = max(len(gain.by_seed) for gain in self.gains)
        seeds = "on the only seed" if num_seeds == 1 else f"on each of {num_seeds} seeds"
        text = (
            f"{self.encoder} is ahead of {self.baseline} {seeds} in {len(by_verdict['gain'])} of "
            f"{len(self.gains)} figures; by the first figure of each task, in {num_tasks} of "
            f"{len(first_of_task)} tasks."
        )
        for verdict, words in (
            ("no gain", "It does not gain in"),
            ("unclear", "Unclear (not on every seed):"),
        ):
            if by_verdict[verdict]:
                named = (
                    f"{gain.figure.title} ({signed(gain.cell.mean or 0.0, gain.figure)})"
                    for gain in by_verdict[verdict]
                )
                text += f" {words} {', '.join(named)}."
        return text


def tested_on(corpus: str, note: str, split: str, protocol: str) -> str:
    """What figures are of, as a title has it; of the test split nothing is said."""
    of_corpus = f"{corpus} ({note})" if note else corpus
    return f"{of_corpus}{'' if split == 'test' else f', split {split}'}, protocol {protocol}"


@dataclass(frozen=True)
class Table:
    """Rows that may stand beside each other: one corpus, split, stage and protocol.

    Attributes:
        columns: The figures, whether run or not.
        num_tracks: Of each task that was run; more than one number if runs differ.
        seeds: All that occur.
        not_run: What is missing, in words: a task nobody ran, or a task some row lacks.
        notes: What the runs ask to be said, each once, with its task.
        comparisons: Every encoder against the baselines that belong to it.
        other_protocols: Names of those under which the same runs were evaluated, too.
        leads: For each column its best row; None where fewer than two rows have the figure.
        sources: Where the figures of each row and task come from.
        trained_on: Corpus that the models were trained on, where that is another; else empty.
        unverified: What of the runs no digest vouches for, in words.
    """

    corpus: str
    corpus_note: str
    licence: str
    split: str
    stage: Stage
    protocol: str
    columns: tuple[Figure, ...]
    rows: tuple[Row, ...]
    num_tracks: Mapping[Task, tuple[int, ...]]
    seeds: tuple[int, ...]
    not_run: tuple[str, ...]
    notes: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    other_protocols: tuple[str, ...]
    leads: tuple[Lead | None, ...] = ()
    sources: Mapping[tuple[str, Task], Source] = field(default_factory=dict)
    trained_on: str = ""
    unverified: tuple[str, ...] = ()

    def is_bold(self, row: int, column: int) -> bool:
        """Whether a cell is the best of its column, by a difference that holds."""
        lead = self.leads[column] if self.leads else None
        return lead is not None and lead.row == row and lead.holds


@dataclass(frozen=True)
class Leaderboard:
    """Everything that the outputs show: our tables, and apart from them the published one.

    Attributes:
        tables: Fine-tuning and probing, by corpus.
        pretraining: The same for pretraining.
        layer_maps: Scores by layer, of encoders that were probed on several.
        published_columns: Titles of the published table.
        published_rows: Its cells as printed in the study.
        made_with: Versions and commits of the runs, one line each.
        num_runs: Results that went in.
        reports: Whether the study's conclusions hold, by corpus; of the published table last.
        rate_length_maps: Scores by rate and length, where the runs form such a grid.
        curves: Learning curves of pretraining.
        trainings: How each pretraining run went, see `analysis.training`.
        attributions: Shares of variance of factors.
        generalisation: Where models lose on music that they were not trained on.
    """

    tables: tuple[Table, ...]
    pretraining: tuple[Table, ...]
    layer_maps: tuple[LayerMap, ...]
    published_columns: tuple[str, ...]
    published_rows: tuple[tuple[str, ...], ...]
    made_with: tuple[str, ...]
    num_runs: int
    reports: tuple[Report, ...] = ()
    rate_length_maps: tuple[RateLengthMap, ...] = ()
    curves: tuple[Curves, ...] = ()
    attributions: tuple[Attribution, ...] = ()
    trainings: tuple[tuple[str, ...], ...] = ()
    generalisation: Generalisation | None = None
