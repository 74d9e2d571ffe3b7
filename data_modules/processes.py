"""Work on the tracks of a corpus in parallel processes, with its progress."""

from __future__ import annotations

import faulthandler
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from datetime import timedelta
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_S = 5.0
"""Seconds between two lines of progress, where there is no terminal."""

_R = TypeVar("_R")


def over_tracks(
    work: Callable[..., _R],
    parts: Sequence[tuple[int, tuple[Any, ...]]],
    seconds_of: Callable[[_R], float],
    jobs: int,
    title: str,
    console: Console,
    begun: tuple[int, float] = (0, 0.0),
) -> Iterator[_R]:
    """Runs `work` on every part and gives the results as they come, in no order.

    Args:
        work: A function at the top of a module, with arguments and a result that can be pickled.
        parts: For each call the number of tracks it is about, and its arguments.
        seconds_of: Seconds of audio that a result stands for.
        jobs: Processes.
        title: Of the progress: "prepare tiny".
        console: Takes a progress bar, or a line now and then where it is no terminal.
        begun: Tracks, and seconds of audio, that were done before; they count, but not for the time that is left.

    Raises:
        OSError: A process was killed; the message says what to do.
        Exception: What `work` raises; what has not begun by then is not begun.
    """
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("tracks, {task.fields[hours]:.2f} h of audio"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    total = begun[0] + sum(num_tracks for num_tracks, _ in parts)
    with (
        Progress(*columns, console=console, disable=not console.is_terminal) as progress,
        # A process that crashes in compiled code says where, on stderr.
        ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=faulthandler.enable
        ) as pool,
    ):
        done, hours = begun[0], begun[1] / 3600
        bar = progress.add_task(title, total=total, completed=done, hours=hours)
        futures = {pool.submit(work, *arguments): num_tracks for num_tracks, arguments in parts}
        began_s = said_s = time.monotonic()
        try:
            for future in as_completed(futures):
                result = future.result()
                done += futures[future]
                hours += seconds_of(result) / 3600
                progress.update(bar, completed=done, hours=hours)
                if not console.is_terminal and (done == total or time.monotonic() - said_s > _LINE_S):
                    said_s = time.monotonic()
                    left = timedelta(seconds=round((said_s - began_s) * (total - done) / (done - begun[0])))
                    estimate = f", about {left} left" if done < total else ""
                    console.print(f"{title}: {done} of {total} tracks, {hours:.2f} h{estimate}", highlight=False)
                yield result
        except BrokenProcessPool as error:
            raise OSError(
                f"{title}: a process was killed, most often for want of memory (one that crashed says above where); "
                "what is finished is kept where it is written: give the same command again with fewer processes "
                f"(--jobs) than {jobs}"
            ) from error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
