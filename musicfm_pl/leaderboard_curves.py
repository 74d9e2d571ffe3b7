"""Learning curves in the page: small multiples, in each a line for every model and a band over its seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from html import escape

from musicfm_pl.analysis.curves import Curves, ModelCurve
from musicfm_pl.analysis.factors import FACTORS, level_text

_MOST_LINES = 7
"""In a panel: of as many colours that differ to all eyes is the style sheet."""
_DASHES = ("", "6 3", "2 3", "8 3 2 3", "12 2", "4 2 1 2 1 2")
"""They tell lines apart in print, too; with the colours there are 42 pairs."""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _EDGE = 340, 190, 36, 20, 6
"""Of a drawing, of the room for its numbers, and of its other edges, in pixels."""
_MOST_STEPS = 5


def curves_section(found: Sequence[Curves]) -> str:
    """Learning curves of pretraining, a row of panels a scalar."""
    if not found:
        return ""
    # Every model has one place and one colour in all rows.
    models = list({model.runs: model for one in found for model in one.models}.values())
    panels, labels = arrange(models)
    places = {
        label: number for number, label in enumerate(dict.fromkeys(labels[model.runs] for model in _sorted(models)))
    }
    parts = [
        "<section>\n<h2>Learning curves</h2>\n<p>Of the pretrained models whose logs are there, by step: the mean over "
        "seeds, and a band from the lowest seed to the highest. Panels beside each other have one scale. "
        "The tokenizer is never trained: perplexity and unused codes change only with the clips of a validation.</p>\n"
    ]
    for one in found:
        by_panel: dict[str, list[ModelCurve]] = {}
        for model in _sorted(one.models):
            by_panel.setdefault(panels[model.runs], []).append(model)
        drawn = "".join(
            f"<figure>{f'<figcaption>{escape(panel)}</figcaption>' if panel else ''}"
            f"{_drawing(f'{one.title} {panel}'.strip(), one, of_panel, labels, places)}</figure>"
            for panel, of_panel in by_panel.items()
        )
        key = "".join(
            f'<li><svg class="{_colour(places[label])}" width="30" height="8" aria-hidden="true">'
            f'<polyline points="0,4 30,4"{_dash(places[label])}/></svg> {escape(label)}</li>'
            for label in sorted({labels[model.runs] for model in one.models}, key=places.__getitem__)
        )
        parts.append(f'<h3>{escape(one.title)}</h3>\n<ul class="key curves">{key}</ul>\n')
        parts.append(f'<div class="panels curves">{drawn}</div>\n')
    return "".join([*parts, "</section>\n"])


def arrange(models: Sequence[ModelCurve]) -> tuple[dict[tuple[str, ...], str], dict[tuple[str, ...], str]]:
    """The panel of each model and the name of its line, both by the model's runs.

    Panels differ in as few factors as give none more than seven lines, and are as few as those allow. Lines are named
    by the other factors that vary; by the models' names where that does not tell those of a panel apart.
    """
    varying = [f for f in FACTORS if all(m.factors for m in models) and len({m.factors.get(f) for m in models}) > 1]
    chosen, panels = tuple(varying), _panels(models, varying)
    for size in range(len(varying) + 1):
        tried = {of: _panels(models, of) for of in itertools.combinations(varying, size)}
        fitting = {of: names for of, names in tried.items() if _fullest(names) <= _MOST_LINES}
        if fitting:
            chosen, panels = min(fitting.items(), key=lambda item: len(set(item[1].values())))
            break
    rest = [factor for factor in varying if factor not in chosen]
    for labels in (
        {m.runs: _levels(m, rest) for m in models},
        {m.runs: m.name for m in models},
        {m.runs: f"{m.name} ({m.runs[0]})" for m in models},
    ):
        pairs = {(panels[runs], label) for runs, label in labels.items()}
        if len(pairs) == len(models) and all(labels.values()):
            break
    return panels, labels


def _panels(models: Sequence[ModelCurve], factors: Sequence[str]) -> dict[tuple[str, ...], str]:
    return {model.runs: _levels(model, factors) for model in models}


def _fullest(panels: Mapping[tuple[str, ...], str]) -> int:
    names = list(panels.values())
    return max(names.count(name) for name in names)


def _levels(model: ModelCurve, factors: Sequence[str]) -> str:
    said = [(f, level_text(f, model.factors[f])) for f in factors if f in model.factors]
    return ", ".join(f"{level} tokens" if factor == "tokens" else level for factor, level in said)


def _sorted(models: Sequence[ModelCurve]) -> list[ModelCurve]:
    # Lengths and rates by their numbers, all else by the alphabet.
    def place(model: ModelCurve) -> list[tuple[float, str]]:
        levels = [model.factors.get(factor, "") for factor in FACTORS]
        return [(level, "") if isinstance(level, float) else (0.0, str(level)) for level in levels]

    return sorted(models, key=lambda model: (place(model), model.name, model.runs))


def _colour(place: int) -> str:
    return f"c{place % _MOST_LINES}"


def _dash(place: int) -> str:
    dash = _DASHES[place % len(_DASHES)]
    return f' stroke-dasharray="{dash}"' if dash else ""


def _drawing(
    title: str,
    scalar: Curves,
    models: Sequence[ModelCurve],
    labels: Mapping[tuple[str, ...], str],
    places: Mapping[str, int],
) -> str:
    last = max(model.steps[-1] for model in scalar.models) or 1
    low = min(min(model.low) for model in scalar.models)
    high = max(max(model.high) for model in scalar.models)
    span = (high - low) or 1.0
    wide, tall = _WIDTH - _LEFT - _EDGE, _HEIGHT - _BOTTOM - _EDGE

    def at(step: int, value: float) -> str:
        return f"{_LEFT + wide * step / last:.1f},{_EDGE + tall * (high - value) / span:.1f}"

    parts = []
    for tick in ticks(low, high):
        _, y = at(0, tick).split(",")
        parts.append(f'<line class="axis" x1="{_LEFT}" x2="{_WIDTH - _EDGE}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 5}" y="{y}" text-anchor="end">{tick:.4g}</text>')
    parts.append(f'<text x="{_LEFT}" y="{_HEIGHT - 8}">0</text>')
    parts.append(f'<text x="{_WIDTH - _EDGE}" y="{_HEIGHT - 8}" text-anchor="end">{last:,} steps</text>')
    bands, lines = [], []
    for model in models:
        label = labels[model.runs]
        colour, dash = _colour(places[label]), _dash(places[label])
        said = f"<title>{escape(label)}: {model.mean[-1]:.4g} at step {model.steps[-1]:,}</title>"
        there = [at(*point) for point in zip(model.steps, model.high, strict=True)]
        back = [at(*point) for point in zip(model.steps, model.low, strict=True)][::-1]
        if model.low != model.high:
            bands.append(f'<polygon class="{colour}" points="{" ".join([*there, *back])}"/>')
        path = [at(*point) for point in zip(model.steps, model.mean, strict=True)]
        if len(path) == 1:
            x, y = path[0].split(",")
            lines.append(f'<circle class="{colour}" cx="{x}" cy="{y}" r="3">{said}</circle>')
        else:
            lines.append(f'<polyline class="{colour}" points="{" ".join(path)}"{dash}>{said}</polyline>')
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" width="100%" role="img" aria-label="{escape(title)} by step">'
        f"{''.join(parts + bands + lines)}</svg>"
    )


def ticks(low: float, high: float) -> list[float]:
    """Round numbers within a range, at most six."""
    if high <= low:
        return [low]
    least = (high - low) / _MOST_STEPS
    power = 10.0 ** math.floor(math.log10(least))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
    return [number * step for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
