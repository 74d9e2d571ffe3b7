"""Models that can be compared fairly: runs of one configuration, and which of them differ in one factor alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from musicfm_pl.analysis.factors import FACTORS, Level, Origin, task_settings
from musicfm_pl.analysis.intervals import Effect, Sampled, effect, sampled
from musicfm_pl.results import RunResult, Task
from musicfm_pl.standings import FIGURES, refuse_doubles

_BY_NATURE = {
    "mode": ("model.layer", "model.freeze", "model.encoder_learning_rate", "data.cache"),
    "length": ("data.clip_s",),
}
"""Settings that go with a factor: fine-tuning starts from the last layer, and a task hears clips as pretraining did."""


@dataclass(frozen=True)
class Arm:
    """One model with all its seeds, probed or fine-tuned on some tasks.

    Attributes:
        name: As the runs call it.
        factors: Levels by factor, `mode` among them.
        others: Other settings, of which fair partners differ in as few as there are.
        figures: Mean over seeds by metric.
        samples: The same with its resamples, where there are any.
        tasks: Settings of the runs of each task, by their keys; where seeds differ in one, all that it was.
    """

    name: str
    factors: Mapping[str, Level]
    others: Mapping[str, Any]
    figures: Mapping[str, float]
    samples: Mapping[str, Sampled] = field(default_factory=dict, repr=False)
    tasks: Mapping[Task, Mapping[str, Any]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Pair:
    """Two arms that differ in one factor.

    Attributes:
        also: Other settings in which they differ, by their keys.
        tasks: And settings of the task, by task.
    """

    first: Arm
    second: Arm
    also: tuple[str, ...]
    tasks: Mapping[Task, tuple[str, ...]] = field(default_factory=dict)

    def effect(self, metric: str) -> Effect | None:
        """Second minus first; None if either lacks the figure."""
        if metric not in self.first.figures or metric not in self.second.figures:
            return None
        found = effect(self.first.samples.get(metric), self.second.samples.get(metric))
        return found or Effect(self.second.figures[metric] - self.first.figures[metric])


def arms(results: Iterable[RunResult], origins: Mapping[str, Origin]) -> list[Arm]:
    """The arms among some runs of one corpus, split and protocol; baselines and pretraining are none.

    Raises:
        ValueError: Two runs are of one arm, task and seed: their mean would be of no arm.
    """
    groups: dict[tuple[Any, ...], list[RunResult]] = {}
    for run in sorted(results, key=lambda run: run.run):
        origin = origins.get(run.run)
        if run.stage != "pretrain" and run.role == "encoder" and origin and origin.factors:
            levels = tuple(sorted(origin.factors.items(), key=lambda item: item[0]))
            groups.setdefault((run.name, levels, repr(origin.others), run.layer), []).append(run)
    found = []
    for (name, levels, _, layer), runs in groups.items():
        refuse_doubles(runs)
        figures: dict[str, float] = {}
        samples: dict[str, Sampled] = {}
        for figure in FIGURES:
            of_task = [run for run in runs if run.task == figure.task]
            values = [v for run in of_task if (v := run.summary.get(figure.metric)) is not None]
            if values:
                figures[figure.metric] = sum(values) / len(values)
                if (sample := sampled(of_task, figure.metric)) is not None:
                    samples[figure.metric] = sample
        others = {**origins[runs[0].run].others, "model.layer": layer}
        found.append(Arm(name, dict(levels), others, figures, samples, _of_tasks(runs, origins)))
    return found


def _of_tasks(runs: Sequence[RunResult], origins: Mapping[str, Origin]) -> dict[Task, dict[str, Any]]:
    found: dict[Task, dict[str, Any]] = {}
    for task in {run.task for run in runs}:
        of_runs = [task_settings(origins[run.run].config) for run in runs if run.task == task]
        found[task] = {}
        for key in {key for settings in of_runs for key in settings}:
            values = {repr(settings.get(key)): settings.get(key) for settings in of_runs}
            found[task][key] = next(iter(values.values())) if len(values) == 1 else sorted(values)
    return found


def pairs(arms: Sequence[Arm], vary: str, first: Level, second: Level) -> list[Pair]:
    """Pairs of arms that have two levels of one factor, and all other factors alike.

    Where several arms would be partners, those are that differ in the fewest other settings.
    """
    found = []
    for one in arms:
        if one.factors.get(vary) != first:
            continue
        partners = [
            Pair(one, other, also, tasks)
            for other in arms
            if other.factors.get(vary) == second
            and all(one.factors.get(f) == other.factors.get(f) for f in (*FACTORS, "mode") if f != vary)
            for also in [tuple(sorted(_differing(one.others, other.others, vary)))]
            for tasks in [
                {
                    task: tuple(sorted(_differing(of, other.tasks[task], vary)))
                    for task, of in one.tasks.items()
                    if task in other.tasks
                }
            ]
        ]
        num_others = [len(pair.also) + len({key for keys in pair.tasks.values() for key in keys}) for pair in partners]
        found += [pair for pair, num in zip(partners, num_others, strict=True) if num == min(num_others)]
    return found


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], vary: str) -> Iterable[str]:
    for key in one.keys() | other.keys():
        if one.get(key) != other.get(key) and key not in _BY_NATURE.get(vary, ()):
            yield key
