"""What of tokens and mel is wrong enough to be said aloud, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

MEAN_OFF = 0.25
"""Standard deviations by which the mean of the normalised mel may differ from 0. Ours: random codes are drawn around 0,
and from here on frames gather on one side of them."""
STD_OFF = 1.25
"""The factor by which its standard deviation may be larger or smaller than 1. Ours."""
COLLAPSED_SHARE = 0.02
"""Of the codes that could be used: a perplexity below that leaves the encoder next to nothing to tell apart. Ours: a
healthy codebook uses a tenth or more, one whose mel was not normalised a few codes."""


def alarms(
    root: str,
    is_home: bool,
    mel: Mapping[str, float],
    run_mel: Mapping[str, float],
    books: Sequence[Mapping[str, float | None]],
) -> list[str]:
    """Alarms, each with its remedy.

    Args:
        root: The folder that was heard.
        is_home: Whether the run was pretrained on its corpus.
        mel: See `codebook_file.Heard`.
        run_mel: The run's statistics in dB.
        books: See `codebook_file.Heard`.
    """
    found = []
    off = [f"its mean is {mel['mean']:+.2f} (0 expected, {MEAN_OFF} allowed)"] * (abs(mel["mean"]) > MEAN_OFF)
    if not 1 / STD_OFF <= mel["std"] <= STD_OFF:
        off.append(f"its standard deviation is {mel['std']:.2f} (1 expected, a factor of {STD_OFF} allowed)")
    if off:
        figures = f"{mel['mean_db']:.1f} ± {mel['std_db']:.1f} dB, the run has {run_mel['mean']:.1f} ± "
        figures += f"{run_mel['std']:.1f} dB"
        remedy = (
            f"the statistics were not measured on this music: delete {root}/mel, so that they are, and pretrain again "
            f"with --data.root {root} in a new --run_dir"
            if is_home
            else f"the encoder was normalised by other music: pretrain with --data.root {root}, whose own statistics "
            "are then taken, or bring recordings to the level of the training music before `musicfm prepare`"
        )
        found.append(f"normalisation: the mel of {root} is off, {' and '.join(off)}: {figures}; {remedy}")
    low = [(number, book) for number, book in enumerate(books) if _is_collapsed(book)]
    if low:
        worst = min(low, key=lambda one: one[1]["perplexity"] or 0.0)
        also = ", for want of which normalisation comes first" if off else ""
        found.append(
            f"codebook: {len(low)} of {len(books)} collapsed on {root}, the worst is number {worst[0]} with a "
            f"perplexity of {worst[1]['perplexity']:.1f} of {worst[1]['codes']:g} codes (below {COLLAPSED_SHARE:.0%})"
            f"{also}; take other codes in a new pretraining: of a random projection another --model.tokenizer.seed, "
            "fewer --model.tokenizer.num_codes or several --model.tokenizer.num_books, of k-means another --seed or "
            "smaller --k of `musicfm kmeans`"
        )
    return found


def _is_collapsed(book: Mapping[str, float | None]) -> bool:
    codes, tokens, perplexity = book["codes"], book["tokens"], book["perplexity"]
    assert codes is not None and tokens is not None and perplexity is not None
    # Few tokens cannot use many codes.
    return perplexity < COLLAPSED_SHARE * min(codes, tokens)
