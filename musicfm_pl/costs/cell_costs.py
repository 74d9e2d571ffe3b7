"""What the cells of a grid take, told before they are run: what is alike in all but its seed is looked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import Namespace

from data_modules import SAMPLE_RATE
from data_modules.shards import Prepared
from musicfm_pl.asked_settings import option_pairs
from musicfm_pl.cells import Cell
from musicfm_pl.config import expand_extends
from musicfm_pl.costs.cards import Card
from musicfm_pl.costs.flops import TRAINING_FACTOR, convolution_share, forward_flops
from musicfm_pl.costs.memory import Activations, memory, saved_activations
from musicfm_pl.costs.plan import SHARE_OF_PEAK, autocast_of, built_encoder, devices_of, has_buckets, plan
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.experiment import fit_parser

_RUN, _ROOT = "model.encoder.run", "data.root"
_NO_DIFFERENCE = {"seed_everything", "run_dir", "name", "role", "model.layer", _RUN, _ROOT}
"""Options in which commands may differ and yet take the same."""
_HOP = 240
"""Samples between mel frames where nothing else is said: the default of `LogMel`."""


@dataclass(frozen=True)
class Costs:
    """Of one cell; None is what does not apply or cannot be told.

    Attributes:
        parameters: Of the encoder.
        audio_hours: What the clips of training last in sum.
        tokens: Of the encoder, in those.
        gpu_hours: On the named card, in the precision of the run. Where a probe's hidden states are cached, those of
            all tracks are computed by the first cell that wants them, and the others take next to nothing.
        memory: Bytes on one GPU while the encoder is trained; of a frozen one it is not told.
        remark: What must be done before more can be told.
    """

    parameters: int | None = None
    steps: int | None = None
    audio_hours: float | None = None
    tokens: float | None = None
    gpu_hours: float | None = None
    memory: float | None = None
    remark: str = ""


class _Shape(NamedTuple):
    """An encoder without weights, and the hop of the mel that it reads."""

    settings: Namespace
    hop: int


class Estimator:
    """Costs of the cells of a grid.

    Args:
        cells: All: an encoder of a run that is not made yet is that of its cell.
        card: The GPU that hours are told of.
    """

    def __init__(self, cells: Sequence[Cell], card: Card) -> None:
        self._by_dir = {cell.run_dir: cell for cell in cells}
        self._card = card
        self._parser = fit_parser()
        self._configs: dict[tuple[Any, ...], Namespace] = {}
        self._plans: dict[tuple[Any, ...], Costs] = {}
        self._encoders: dict[str, Encoder] = {}
        self._flops: dict[tuple[str, int], tuple[int, float]] = {}
        self._kept: dict[tuple[str, int, bool], Activations] = {}
        self._cached: set[str] = set()
        self._hours: dict[str, float | None] = {}

    def costs(self, cell: Cell) -> Costs:
        """What a cell takes; of one that trains nothing, nothing is told."""
        for command, *arguments in cell.commands:
            if command == "fit":
                try:
                    return self._of_fit(arguments)
                except (ValueError, OSError) as error:
                    return Costs(remark=str(error))
        return Costs()

    def _of_fit(self, arguments: Sequence[str]) -> Costs:
        same, config = self._config(arguments)
        options = {key.replace(".init_args", ""): value for key, value in option_pairs(arguments)}
        if "tokenizer" in config.model.init_args:
            if same not in self._plans:
                self._plans[same] = _of_plan(plan(config, self._card, SHARE_OF_PEAK))
            return self._plans[same]
        if "encoder" not in config.model.init_args:
            raise ValueError(f"nothing is known of {config.model.class_path}")
        encoder = config.model.init_args.encoder
        run = options.get(_RUN, encoder.get("init_args", {}).get("run"))
        root = options.get(_ROOT, config.data.init_args.root)
        shape = self._shape(config, run)
        if shape is None:
            cell = self._by_dir.get(Path(str(run)))
            return replace(self._of_clips(config), remark=f"after {cell.run if cell else run}")
        drawn = options.get("seed_everything") if "seed" in encoder.get("init_args", {}) else None
        return self._of_task(config, shape, str(root), f"{encoder.class_path} {run or shape} {drawn}")

    def _config(self, arguments: Sequence[str]) -> tuple[tuple[Any, ...], Namespace]:
        """What tells a command from others that take something else, and a configuration for all of them."""
        same = tuple(p for p in option_pairs(arguments) if p[0].replace(".init_args", "") not in _NO_DIFFERENCE)
        if same not in self._configs:
            expanded = expand_extends(settle_data_arguments(arguments, record=None))
            try:
                config = self._parser.parse_args(expanded)
            except SystemExit as error:
                raise ValueError("musicfm fit refuses this configuration") from error
            tokenizer = config.model.init_args.get("tokenizer", Namespace()).get("init_args", Namespace())
            if tokenizer.get("file") and not Path(tokenizer.file).exists():
                # To be fitted yet; a number of codes is assumed.
                tokenizer.file = None
                if "teacher" in tokenizer:
                    tokenizer.teacher = None
            self._configs[same] = config
        return same, self._configs[same]

    def _shape(self, config: Namespace, run: str | None) -> _Shape | None:
        """Of an encoder, through the run that it is from; None if nothing is known of that."""
        if run is None:
            return _Shape(config.model.init_args.encoder, _hop(config.data.init_args))
        cell = self._by_dir.get(Path(run))
        for command, *arguments in reversed(cell.commands if cell else ()):
            if command == "fit":
                made = self._config(arguments)[1]
                return _Shape(made.model.init_args.encoder, _hop(made.data.init_args))
        record = Path(run) / "config.yaml"
        if not record.exists():
            return None
        found = yaml.safe_load(record.read_text())
        of_encoder, of_data = found["model"]["init_args"]["encoder"], found["data"]["init_args"]
        settings = Namespace(
            class_path=of_encoder["class_path"], init_args=Namespace(of_encoder.get("init_args") or {})
        )
        return _Shape(settings, _hop(Namespace(features=of_data.get("features"))))

    def _of_clips(self, config: Namespace) -> Costs:
        data, trainer = config.data.init_args, config.trainer
        if trainer.max_steps < 0:
            return Costs(remark="the run has no end: give --trainer.max_steps")
        clips = trainer.max_steps * data.batch_size * devices_of(trainer) * (trainer.accumulate_grad_batches or 1)
        return Costs(steps=trainer.max_steps, audio_hours=clips * data.clip_s / 3600)

    def _of_task(self, config: Namespace, shape: _Shape, root: str, states: str) -> Costs:
        model, data = config.model.init_args, config.data.init_args
        known = self._of_clips(config)
        name = str(shape.settings)
        if name not in self._encoders:
            self._encoders[name] = built_encoder(shape.settings)
        encoder = self._encoders[name]
        count = sum(parameter.numel() for parameter in encoder.parameters())
        num_frames = round(data.clip_s * SAMPLE_RATE) // shape.hop
        if known.audio_hours is not None:
            tokens = known.audio_hours * 3600 / data.clip_s * (num_frames // encoder.stride)
            known = replace(known, tokens=tokens)
        known = replace(known, parameters=count)
        if data.cache:
            hours = self._hours_of(root)
            if hours is None:
                return replace(known, remark=f"hours once {root} is prepared")
            first = f"{states} {root} {data.cache_window_s}" not in self._cached
            self._cached.add(f"{states} {root} {data.cache_window_s}")
            # They are computed at set-up, outside of the trainer's autocast.
            hours = self._gpu_hours(name, shape, data.cache_window_s, hours if first else 0.0, autocast=False)
            return replace(known, gpu_hours=hours)
        autocast = autocast_of(config.trainer)
        factor = 1 if model.freeze else TRAINING_FACTOR
        heard = None if known.audio_hours is None else factor * known.audio_hours
        needed = None
        if not model.freeze:
            if (name, num_frames, autocast) not in self._kept:
                self._kept[name, num_frames, autocast] = saved_activations(encoder, num_frames, autocast)
            kept, buckets = self._kept[name, num_frames, autocast], has_buckets(config.trainer)
            needed = memory(count, kept, 0.0, data.batch_size, buckets=buckets).total
        hours = self._gpu_hours(name, shape, data.clip_s, heard, autocast)
        return replace(known, gpu_hours=hours, memory=needed)

    def _gpu_hours(
        self, name: str, shape: _Shape, clip_s: float, audio_hours: float | None, autocast: bool
    ) -> float | None:
        """Of forward passes over so much audio, in clips of one length."""
        if audio_hours is None:
            return None
        num_frames = round(clip_s * SAMPLE_RATE) // shape.hop
        if (name, num_frames) not in self._flops:
            encoder = self._encoders[name]
            self._flops[name, num_frames] = forward_flops(encoder, num_frames), convolution_share(encoder, num_frames)
        flops, convolutions = self._flops[name, num_frames]
        peak = self._card.peak_flops(autocast, convolutions)
        return None if peak is None else audio_hours / clip_s * flops / (peak * SHARE_OF_PEAK)

    def _hours_of(self, root: str) -> float | None:
        """Of audio in a prepared folder on this machine; None if there is none."""
        if root not in self._hours:
            here = (Path(root) / "index.parquet").exists()
            self._hours[root] = float(Prepared(root).index.num_samples_E.sum()) / SAMPLE_RATE / 3600 if here else None
        return self._hours[root]


def _of_plan(figures: Mapping[str, Any]) -> Costs:
    clips, parameters = figures["clips"], figures["parameters"]
    return Costs(
        parameters=parameters["total"] - parameters["prediction"],
        steps=figures["steps"],
        audio_hours=figures["audio_hours"],
        tokens=None if clips is None else clips * figures["clip"]["tokens"],
        gpu_hours=figures["gpu_hours"],
        memory=figures["memory"]["total"],
        remark="; ".join(figures["missing"]),
    )


def _hop(data: Namespace) -> int:
    features = data.get("features") or {}
    return int((features.get("init_args") or features).get("hop_length", _HOP))
