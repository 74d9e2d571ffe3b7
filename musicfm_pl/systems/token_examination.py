"""How the tokens of some clips use their codebooks, how normal their mel is, and how well masked tokens are guessed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from data_modules.batches import PretrainBatch, masked_tokens
from musicfm_pl.systems.codebooks import codebook_use, loss_beside
from musicfm_pl.systems.pretrain import MaskedTokenModel


class TrackSums(NamedTuple):
    """Of one track, over its masked tokens and all books: how many, and means of what was found there."""

    num_masked: int
    masked_accuracy: float
    loss: float
    loss_above_unigram: float


class TokenExamination:
    """Hears batches, then tells the figures of all.

    Args:
        model: In evaluation mode.
        with_prediction: Whether its prediction layer was trained; else nothing is said of masked tokens.
    """

    def __init__(self, model: MaskedTokenModel, with_prediction: bool) -> None:
        self.model = model
        self.with_prediction = with_prediction
        books, codes = model.tokenizer.num_books, model.tokenizer.num_codes
        self._counts_QK = torch.zeros(books, codes, dtype=torch.float64)
        self._mel_sums = torch.zeros(3, dtype=torch.float64)  # values, their sum, the sum of their squares
        self._tracks: list[str] = []
        self._track_P: list[Tensor] = []
        self._targets_PQ: list[Tensor] = []
        self._losses_PQ: list[Tensor] = []
        self._right_PQ: list[Tensor] = []

    @torch.no_grad()
    def hear(self, batch: PretrainBatch, track_ids: Sequence[str]) -> None:
        """Takes in some clips, each of a track."""
        mel = batch.mel_BMF.double()
        self._mel_sums += torch.stack([torch.tensor(mel.numel()), mel.sum().cpu(), mel.square().sum().cpu()])
        tokens_BTQ = self.model.tokens(batch.mel_BMF).cpu()
        for counts_K, of_book in zip(self._counts_QK, tokens_BTQ.flatten(0, 1).T, strict=True):
            counts_K += torch.bincount(of_book, minlength=len(counts_K))
        mask_BT = masked_tokens(batch.mask_BF, self.model.encoder.stride)
        if not self.with_prediction or not mask_BT.any():
            return
        logits_PQK, targets_PQ = self.model(batch)
        losses_PQ = F.cross_entropy(logits_PQK.float().transpose(1, 2), targets_PQ, reduction="none")
        at_P = mask_BT.nonzero()[:, 0].cpu()
        self._track_P.append(at_P + len(self._tracks))
        self._tracks += track_ids
        self._targets_PQ.append(targets_PQ.cpu())
        self._losses_PQ.append(losses_PQ.cpu())
        self._right_PQ.append((logits_PQK.argmax(dim=2) == targets_PQ).float().cpu())

    def mel(self) -> tuple[float, float]:
        """Mean and standard deviation of all values of the normalised mel."""
        count, total, squares = self._mel_sums.tolist()
        mean = total / count
        return mean, math.sqrt(max(squares / count - mean**2, 0.0))

    def books(self) -> list[dict[str, float | None]]:
        """`codebook_file.FIGURES` of each codebook."""
        found: list[dict[str, float | None]] = []
        masked = self._masked()
        for number, counts_K in enumerate(self._counts_QK):
            use = codebook_use(counts_K)
            share_K = counts_K.sort(descending=True).values / counts_K.sum()
            num_codes = len(counts_K)
            found.append(
                {
                    "tokens": counts_K.sum().item(),
                    "codes": float(num_codes),
                    "perplexity": use["perplexity"],
                    "perplexity_share": use["perplexity"] / num_codes,
                    "dead_codes": use["dead_codes"],
                    "dead_share": use["dead_share"],
                    "top1_share": share_K[0].item(),
                    "top10_share": share_K[:10].sum().item(),
                    "top_percent_share": share_K[: math.ceil(num_codes / 100)].sum().item(),
                    **self._of_masked(number, masked),
                }
            )
        return found

    def _masked(self) -> tuple[Tensor, Tensor, Tensor] | None:
        """Targets, losses and right answers (P, Q) of all batches; None if nothing was masked."""
        if not self._targets_PQ:
            return None
        return torch.cat(self._targets_PQ), torch.cat(self._losses_PQ), torch.cat(self._right_PQ)

    def _of_masked(self, number: int, masked: tuple[Tensor, Tensor, Tensor] | None) -> dict[str, float | None]:
        num_codes = self.model.tokenizer.num_codes
        chance: dict[str, float | None] = {"chance_accuracy": 1 / num_codes, "chance_loss": math.log(num_codes)}
        if masked is None:
            unknown = ("masked_accuracy", "commonest_accuracy", "loss", "unigram_loss")
            return (
                chance | {"masked_tokens": 0.0} | dict.fromkeys((*unknown, "loss_above_unigram", "loss_above_chance"))
            )
        targets_P, losses_P, right_P = (one[:, number] for one in masked)
        # Of the masked tokens, as the loss is: what knowing their frequencies would give.
        use = codebook_use(torch.bincount(targets_P, minlength=num_codes).double())
        loss = losses_P.double().mean().item()
        return chance | {
            "masked_tokens": float(len(targets_P)),
            "masked_accuracy": right_P.double().mean().item(),
            "commonest_accuracy": use["commonest_accuracy"],
            "loss": loss,
            "unigram_loss": use["unigram_loss"],
            **loss_beside(loss, use),
        }

    def tracks(self) -> dict[str, TrackSums]:
        """Of each track that had masked tokens; means over them, weighted by their tokens, are those of the whole.

        Of the loss the cross-entropy is taken that the frequencies of all masked tokens give on those of the track.
        """
        masked = self._masked()
        if masked is None:
            return {}
        targets_PQ, losses_PQ, right_PQ = masked
        unigram_PQ = torch.stack([_unigram_losses(targets_P) for targets_P in targets_PQ.T], dim=1)
        track_P = torch.cat(self._track_P)
        found = {}
        for track_id in dict.fromkeys(self._tracks):
            own = torch.tensor([index for index, other in enumerate(self._tracks) if other == track_id])
            here_P = torch.isin(track_P, own)
            if here_P.any():
                accuracy, loss, unigram = (
                    one[here_P].double().mean().item() for one in (right_PQ, losses_PQ, unigram_PQ)
                )
                found[track_id] = TrackSums(int(here_P.sum()), accuracy, loss, loss - unigram)
        return found


def _unigram_losses(targets_P: Tensor) -> Tensor:
    """The loss at each token of one who knows how often each code occurs among these."""
    shares_K = torch.bincount(targets_P).double() / len(targets_P)
    return -shares_K[targets_P].log()
