"""The record of a run's configuration: `config.yaml`, and the refusal to go on with another one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import ArgumentError
from lightning.pytorch.cli import SaveConfigCallback

from musicfm_pl.provenance import COMPUTED_KEYS, IGNORED_KEYS


class SaveConfig(SaveConfigCallback):
    """Writes `config.yaml` into the run directory, when a run is trained and at no other time."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """See `Callback.setup`.

        Raises:
            ValueError: The directory holds a run with another model, other data or another seed.
        """
        if stage != "fit":
            return
        path = Path(trainer.default_root_dir) / "config.yaml"
        if path.exists() and any((path.parent / "checkpoints").glob("*.ckpt")):
            before = self._completed(yaml.safe_load(path.read_text()))
            now = yaml.safe_load(self.parser.dump(self.config, skip_none=False))
            if differing := sorted(_differing(before, now)):
                raise ValueError(
                    f"--run_dir: {path.parent} holds a run with other settings ({', '.join(differing)}); go on with "
                    f"those in its config.yaml, or name a new directory"
                )
        super().setup(trainer, pl_module, stage)

    def _completed(self, before: dict[str, Any]) -> dict[str, Any]:
        """A record with the defaults of settings that have come into the code since it was written."""
        try:
            return dict(yaml.safe_load(self.parser.dump(self.parser.parse_object(before), skip_none=False)))
        except ArgumentError:  # it has settings that there are no longer: those differ
            return before


def _differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> set[str]:
    """Keys of model, data and seed by which two configurations train differently; a run may be made longer."""

    def leaves(value: Any, key: str) -> dict[str, Any]:
        if isinstance(value, Mapping):
            below = [(f"{key}.{name}".removesuffix(".init_args"), item) for name, item in value.items()]
            return {
                k: v
                for name, item in below
                if name.split(".")[-1] not in IGNORED_KEYS
                for k, v in leaves(item, name).items()
            }
        return {key: value}

    old, new = (
        {k: v for part in ("model", "data", "seed_everything") for k, v in leaves(c.get(part), part).items()}
        for c in (before, now)
    )
    # Data and files of tokens may move: mel statistics and digests in the checkpoint tell whether they are still the
    # same. The batch of a device follows from their number; the checkpoint has that of all. Protocols are of tests.
    movable = {"data.root", "data.corpus.root", "data.batch_size", "data.max_damaged", "model.protocols"}
    movable |= {"model.tokenizer.file", "model.tokenizer.teacher.run"}
    movable |= COMPUTED_KEYS
    return {
        key
        for key in (old.keys() | new.keys()) - movable
        if old.get(key) != new.get(key) and not f"{key}.".startswith("data.remote.")
    }
