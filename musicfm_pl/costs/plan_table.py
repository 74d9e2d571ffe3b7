"""The figures of `musicfm plan` on the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def show_plan(figures: Mapping[str, Any], console: Console) -> None:
    """Prints them, and below them what should be known of how they were counted.

    Args:
        figures: Of `musicfm_pl.costs.plan.plan`.
        console: To print to.
    """
    clip, card, need = figures["clip"], figures["card"], figures["memory"]
    table = Table(title=str(figures["name"] or "plan"), show_header=False, title_style="bold")
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")

    def gib(count: float) -> str:
        return f"{count / 2**30:.2f} GiB"

    for part, count in figures["parameters"].items():
        table.add_row("parameters" if part == "total" else f"  {part}", f"{count / 1e6:.2f} M", "")
    tokens = figures["tokenizer"]
    assumed = "assumed: --model.tokenizer.file is not named" if tokens["assumed"] else f"{tokens['num_books']} book(s)"
    table.add_row("codes", f"{tokens['num_codes']}", assumed)
    table.add_section()
    table.add_row("a clip", f"{clip['seconds']:g} s", f"{clip['mel_frames']} mel frames")
    table.add_row("  tokens", f"{clip['tokens']}", f"{clip['tokens_masked']:.0f} masked, on average")
    table.add_row("  arithmetic", f"{clip['flops_training'] / 1e12:.4g} TFLOP", "forward and backward, 3 x forward")
    table.add_row("  saved for the backward pass", gib(clip["bytes_saved"]), f"eager, {figures['precision']}")
    table.add_section()
    shards = "" if figures["shards"] == 1 else f", spread over {figures['shards']} GPUs"
    table.add_row("memory of a GPU", gib(need["total"]), f"at {figures['batch']} clips a GPU{shards}")
    for part, count in need.items():
        if part != "total" and count:  # no buckets on one GPU
            table.add_row(f"  {part}", gib(count), "")
    table.add_row("largest batch", f"{figures['largest_batch']}", f"clips on one {card['name']}, {gib(card['memory'])}")
    table.add_section()
    if figures["steps"] is None:
        table.add_row("steps", "-", figures["missing"][0])
    else:
        of = f"{figures['clips']:,} clips, {figures['audio_hours']:,.0f} h of audio"
        table.add_row("steps", f"{figures['steps']:,}", of)
    if figures["clips_a_second"] is not None:
        peak = f"{card['share_of_peak']:.0%} of {card['peak_flops'] / 1e12:.0f} TFLOP/s are assumed"
        peak += ", bf16" if figures["precision"] == "bf16-mixed" else ", float32"
        rate = figures["clips_a_second"] * clip["seconds"]
        table.add_row("speed", f"{rate:,.0f} audio s/s", peak)
    if figures["gpu_hours"] is None:
        table.add_row("GPU hours", "-", "; ".join(figures["missing"]))
    else:
        days = f"{figures['days']:.1f} days on {figures['devices']} GPU"
        table.add_row("GPU hours", f"{figures['gpu_hours']:,.0f}", days)
    console.print(table)
    for remark in figures["remarks"]:
        console.print(remark, style="dim", highlight=False, soft_wrap=True)
