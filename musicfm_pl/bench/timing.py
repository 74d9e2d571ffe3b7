"""Functions timed in turn within one run, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

from musicfm_pl.bench.figures import Figure

Value = TypeVar("Value")


class Timed(NamedTuple):
    """How long a comparison may take: so many rounds, and none begun after so many seconds, but for three."""

    rounds: int = 7
    budget_s: float = 120.0


class Timing(NamedTuple):
    """Seconds of a call: the median, and the quartiles around it."""

    median_s: float
    quartiles_s: tuple[float, float]
    rounds: int

    def figure(self, part: str, case: str, way: str, scale: float, unit: str, note: str = "") -> Figure:
        """As a figure: seconds times `scale`."""
        quartiles = (scale * self.quartiles_s[0], scale * self.quartiles_s[1])
        return Figure(part, case, way, scale * self.median_s, unit, None, quartiles, self.rounds, note)


def alternate(functions: Mapping[str, Callable[[], Any]], device: torch.device, timed: Timed) -> dict[str, Timing]:
    """Calls every function once to warm up, and then all in turn, round after round.

    Args:
        functions: By name.
        device: Where they work: its queue is empty before and after each call.
        timed: How long.

    Returns:
        By name; what does not fit in the memory of a GPU, at once or in a later round beside what others have made by
        then, is left out.
    """
    functions = {name: function for name, function in functions.items() if attempt(function)}
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    began = time.perf_counter()
    try:
        for number in range(timed.rounds):
            if number >= 3 and time.perf_counter() - began > timed.budget_s:
                break
            for name in list(functions):
                _wait(device)
                before = time.perf_counter()
                if attempt(functions[name]) is None:
                    del functions[name], seconds[name]
                    continue
                _wait(device)
                seconds[name].append(time.perf_counter() - before)
    finally:
        if collecting:
            gc.enable()
    return {name: _timing(each) for name, each in seconds.items()}


def _timing(seconds: Sequence[float]) -> Timing:
    if len(seconds) < 2:
        return Timing(seconds[0], (seconds[0], seconds[0]), 1)
    low, median, high = statistics.quantiles(seconds, n=4, method="inclusive")
    return Timing(median, (low, high), len(seconds))


def attempt(function: Callable[[], Value]) -> tuple[Value] | None:
    """What a function gives; None if it does not fit in the memory of a GPU, where nothing of it then stays."""
    try:
        return (function(),)
    except torch.OutOfMemoryError:
        pass  # what it had is free only when the error is gone
    gc.collect()
    torch.cuda.empty_cache()
    return None


def outcomes(
    part: str,
    case: str,
    ways: Iterable[str],
    timings: Mapping[str, Timing],
    scale: float,
    unit: str,
    notes: Mapping[str, str],
) -> Iterator[Figure]:
    """A figure for each way; one without a value if it did not fit.

    The first public way that fits is the baseline: ratios say how many times faster than it another one is.
    """
    ways = list(ways)
    baseline = next((way for way in ways if way.startswith("public") and way in timings), None)
    for way in ways:
        if way not in timings:
            yield Figure(part, case, way, None, unit, note="does not fit in memory")
            continue
        figure = timings[way].figure(part, case, way, scale, unit, notes.get(way, ""))
        if baseline is not None:
            ratio = None if way == baseline else timings[baseline].median_s / timings[way].median_s
            figure = figure._replace(ratio=ratio, baseline=baseline)
        yield figure


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
