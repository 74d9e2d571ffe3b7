"""A validation by two processes of which one masks nothing; as a script it prints its figures as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import lightning as L
import torch

from data_modules.batches import PretrainBatch
from data_modules.pretrain import PretrainData
from musicfm_pl.encoders.conformer import Conformer
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.tokenizers.random_projection import RandomProjection


class Lopsided(PretrainData):
    """The second of two ranks finds no masked token."""

    def on_after_batch_transfer(self, batch: tuple[torch.Tensor, int], dataloader_idx: int) -> PretrainBatch:
        clips = super().on_after_batch_transfer(batch, dataloader_idx)
        masks_nothing = self.trainer is not None and self.trainer.global_rank == 1
        return clips._replace(mask_BF=torch.zeros_like(clips.mask_BF)) if masks_nothing else clips


def main(prepared: Path) -> None:
    """Figures of the two, and beside them the loss over every second clip, which is the first rank's share."""
    encoder = Conformer(dim=16, num_layers=1, num_heads=2, ffn_dim=8, conv_channels=2)
    system = MaskedTokenModel(encoder, lambda frame_dim: RandomProjection(frame_dim, 16, code_dim=4))
    data = Lopsided(prepared, clip_s=5.0, batch_size=1, num_workers=0)
    trainer = L.Trainer(
        accelerator="cpu", devices=2, strategy="ddp_spawn", max_steps=1, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.validate(system, datamodule=data, verbose=False)
    figures = {name: value.item() for name, value in trainer.callback_metrics.items()}
    alone = Lopsided(prepared, clip_s=5.0, batch_size=1, num_workers=0)
    alone.setup("validate")
    with torch.no_grad():
        parts = [system.eval()(alone.on_after_batch_transfer(raw, 0)) for raw in [*alone.val_dataloader()][::2]]
    logits_PQK, targets_PQ = (torch.cat(values) for values in zip(*parts, strict=True))
    figures["expected"] = torch.nn.functional.cross_entropy(logits_PQK.flatten(0, 1), targets_PQ.flatten()).item()
    print(json.dumps(figures))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
