"""What a measurement gives, as a table on the console and as JSON with the machine and versions that gave it."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table

from data_modules.shards import written_aside
from musicfm_pl.provenance import machine, versions


class Figure(NamedTuple):
    """One figure of one way to do something.

    Attributes:
        part: What was measured, one table each.
        case: Under what circumstances: the size of the model, the batch.
        way: What did it.
        value: The median, where it is a time; None where it could not be had.
        unit: Of the value.
        ratio: Against the baseline of the same case, how many times faster, or what share is counted; None for the
            baseline, and where there is none.
        quartiles: Of the value, where it is a time.
        rounds: Over which the median is.
        note: What else was seen.
        baseline: The way that the ratio is against, of the baseline itself its own name; None where nothing was
            compared, or what is named in the note.
    """

    part: str
    case: str
    way: str
    value: float | None
    unit: str
    ratio: float | None = None
    quartiles: tuple[float, float] | None = None
    rounds: int | None = None
    note: str = ""
    baseline: str | None = None


def tables(figures: Sequence[Figure]) -> list[Table]:
    """One table for each part, its cases in the order in which they were measured."""
    found = []
    for part in dict.fromkeys(figure.part for figure in figures):
        table = Table(title=part, title_justify="left")
        for column in ("case", "way", "value", "quartiles", "ratio", "note"):
            table.add_column(column, justify="right" if column in ("value", "quartiles", "ratio") else "left")
        case = None
        for figure in (figure for figure in figures if figure.part == part):
            if case not in (None, figure.case):
                table.add_section()
            spread = "" if figure.quartiles is None else " – ".join(f"{each:.4g}" for each in figure.quartiles)
            no_ratio = "baseline" if figure.baseline == figure.way else ""
            ratio = no_ratio if figure.ratio is None else f"{figure.ratio:.3g} ×"
            value = "–" if figure.value is None else f"{figure.value:.4g} {figure.unit}"
            table.add_row("" if figure.case == case else figure.case, figure.way, value, spread, ratio, figure.note)
            case = figure.case
        found.append(table)
    return found


def circumstances(settings: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """What figures are of, for `write`: settings, machine and versions."""
    return {
        "settings": settings,
        "machine": hardware(device),
        "versions": {**versions(), "transformers": _version("transformers"), "cuda": torch.version.cuda},
    }


def write(figures: Sequence[Figure], about: dict[str, Any], out: Path) -> None:
    """Writes everything to `out`, in the place of what was there.

    Args:
        figures: So far.
        about: What `circumstances` gives.
        out: The file.
    """
    with written_aside(out, "w") as file:
        json.dump({**about, "figures": [figure._asdict() for figure in figures]}, file, indent=1)


def report(figures: Sequence[Figure], out: Path) -> None:
    """Prints the tables, and where the figures are."""
    console = Console()
    for table in tables(figures):
        console.print(table)
    console.print(f"{out}: {len(figures)} figures", markup=False, highlight=False)


def hardware(device: torch.device) -> dict[str, str | int]:
    """What the figures depend on, beside the code."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return {
            **machine(properties.name),
            "memory_bytes": properties.total_memory,
            "compute_capability": f"{properties.major}.{properties.minor}",
        }
    return {
        **machine(device.type),
        "processor": _processor(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None
