"""Masked token modelling: the encoder hears masked audio and says which tokens the clean audio has there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import lightning as L
import torch
import torch.nn.functional as F
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.profiler import record_function

from data_modules.batches import PretrainBatch, masked_tokens
from data_modules.pretrain import PretrainData
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.rates import check_rate
from musicfm_pl.systems.codebooks import codebook_use, loss_beside
from musicfm_pl.systems.schedule import warmup_cosine
from musicfm_pl.systems.sharding import parallelize
from musicfm_pl.tokenizers.base import Tokenizer

CompileBackend = Literal["inductor", "aot_eager", "eager"]
"""Backends of `torch.compile`: inductor makes kernels, the others help to find what stands in its way."""
FUSED_ON = ("cuda", "cpu", "mps", "xpu")
"""Devices for which torch has one kernel for the whole of AdamW."""
QUANTIZER = "quantizer"
"""What makes the targets, by this name in a profile."""


class MaskedTokenModel(L.LightningModule):
    """Tokenizer, encoder and prediction layer, with the study's loss: cross-entropy on masked tokens only.

    The study does not say how it optimised; the defaults are those of OMAR-RQ, the nearest that is documented
    (AdamW 1e-4, weight decay .01, 30 k steps of warm-up, cosine).

    Args:
        encoder: What is trained.
        tokenizer: Makes the targets from the clean mel; the system passes it the values a token sees.
        rate_hz: Tokens a second that the configuration means to have (25, 50, 75); checked against hop and strides.
        learning_rate: Peak of the schedule.
        weight_decay: On matrices; biases, normalisation and other vectors have none.
        betas: Of AdamW.
        warmup_steps: Steps of linear rise; shortened to a tenth of the run if that is less.
        compile_backend: Train with the encoder compiled by `torch.compile`, traced as one graph of fixed shape: with
            inductor minutes at the start, and fewer and larger kernels from then on. Under DDP torch cuts the graph
            by the buckets in which gradients are exchanged, so that they travel while the backward pass goes on.
            Validation is not compiled.
    """

    def __init__(
        self,
        encoder: Encoder,
        tokenizer: Callable[[int], Tokenizer],
        rate_hz: float = 25.0,
        learning_rate: float = 1e-4,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.98),
        warmup_steps: int = 30_000,
        compile_backend: CompileBackend | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.tokenizer = tokenizer(encoder.stride * encoder.num_mels)
        num_books, num_codes = self.tokenizer.num_books, self.tokenizer.num_codes
        self.prediction = nn.Linear(encoder.dim, num_books * num_codes)
        self.rate_hz = rate_hz
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.betas = betas
        self.warmup_steps = warmup_steps
        self.compile_backend = compile_backend
        self._compiled_encode: Callable[[Tensor], Tensor] | None = None
        self.trained_steps = 0
        self.num_masked = 0  # tokens that the last validation masked, over all ranks
        self._sums: Tensor  # over masked tokens and books: of the losses, of the right answers, of both
        self.register_buffer("_sums", torch.zeros(3), persistent=False)
        self._counts_QK: Tensor
        self.register_buffer("_counts_QK", torch.zeros(num_books, num_codes), persistent=False)
        # Else DDP would put the first rank's in the place of all others' before each batch.
        self._ddp_params_and_buffers_to_ignore = ["_sums", "_counts_QK"]

    def setup(self, stage: str) -> None:
        """Refuses rates, mel bands, mask blocks and tokens that do not fit together, and what cannot be compiled.

        Raises:
            ValueError: The message names the settings.
        """
        if stage == "fit":
            self._check_compiled()
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(data, PretrainData):
            raise ValueError(f"data: masked token modelling needs PretrainData, not {type(data).__name__}")
        check_rate(self.rate_hz, data.features.hop_length, self.encoder.stride)
        data.masking.check(data.features.hop_length, self.encoder.stride)
        if data.masking.probability == 0 or data.clip_s < data.masking.block_s:
            raise ValueError(
                f"data.masking: nothing would ever be masked (probability {data.masking.probability}, blocks of "
                f"{data.masking.block_s} s in clips of {data.clip_s} s), so there is nothing to learn"
            )
        if data.features.num_mels != self.encoder.num_mels:
            raise ValueError(
                f"model.encoder.num_mels is {self.encoder.num_mels}, but data.features makes "
                f"{data.features.num_mels} mel bands; set both to the same number"
            )
        self.tokenizer.check_mel(data.mel_settings())

    def _check_compiled(self) -> None:
        strategy = self.trainer.strategy
        if self.compile_backend is None:
            return
        if isinstance(strategy, ModelParallelStrategy):
            hindrance, remedy = "trainer.strategy: weights spread over the GPUs", "take strategy ddp"
        elif self.trainer.world_size > 1 and getattr(strategy, "_layer_sync", None) is not None:
            hindrance, remedy = "trainer.sync_batchnorm on several devices", "set sync_batchnorm to false"
        else:
            return
        raise ValueError(
            f"model.compile_backend: the encoder is traced as one graph, which {hindrance} break into pieces; "
            f"{remedy}, or leave compile_backend out"
        )

    def configure_model(self) -> None:
        """Spreads the model over the ranks, if that is the strategy."""
        strategy = self.trainer.strategy
        # A validation follows the training in the same process: what is spread already stays as it is.
        if isinstance(strategy, ModelParallelStrategy) and not isinstance(self.encoder, FSDPModule):
            if strategy._layer_sync is not None:  # Lightning sees to it under DDP alone
                strategy._layer_sync.apply(self)
            assert self.device_mesh is not None
            parallelize(self.encoder, self.prediction, self.device_mesh["data_parallel"])

    def tokens(self, mel_BMF: Tensor) -> Tensor:
        """Target tokens (B, T, Q) of clean mel (B, M, F)."""
        frames_BTD = self.tokenizer.features(mel_BMF, self.encoder.stride)
        return self.tokenizer(frames_BTD.flatten(0, 1)).unflatten(0, frames_BTD.shape[:2])

    def forward(self, batch: PretrainBatch) -> tuple[Tensor, Tensor]:
        """Logits (P, Q, K) and targets (P, Q) at the P masked tokens of a batch."""
        masked_P, num_tokens, targets_PQ = self.targets(batch)
        return self.logits(batch.masked_mel_BMF, masked_P, num_tokens), targets_PQ

    def targets(self, batch: PretrainBatch) -> tuple[Tensor, int, Tensor]:
        """The places (P,) of the masked tokens in a batch, tokens T of a clip, and the targets (P, Q) there."""
        mask_BT = masked_tokens(batch.mask_BF, self.encoder.stride)
        # Found before the encoder runs: on a GPU this waits until all that was asked for is done.
        masked_P = mask_BT.flatten().nonzero().squeeze(1)
        with record_function(QUANTIZER):
            frames_BTD = self.tokenizer.features(batch.mel_BMF, self.encoder.stride)
            targets_PQ = self.tokenizer(frames_BTD.flatten(0, 1).index_select(0, masked_P))
        return masked_P, mask_BT.shape[1], targets_PQ

    def logits(self, masked_mel_BMF: Tensor, masked_P: Tensor, num_tokens: int) -> Tensor:
        """Logits (P, Q, K) at given tokens.

        Args:
            masked_mel_BMF: What the encoder hears.
            masked_P: The places of the masked tokens in the batch: clip times `num_tokens` plus token.
            num_tokens: Tokens T of a clip that count; a last one that is not whole does not.
        """
        h_BTD = self._encode(masked_mel_BMF)[:, :num_tokens]
        h_PD = h_BTD.flatten(0, 1).index_select(0, masked_P)
        return self.prediction(h_PD).unflatten(1, self._counts_QK.shape)

    @staticmethod
    def loss(logits_PQK: Tensor, targets_PQ: Tensor) -> Tensor:
        """Cross-entropy, a mean over masked tokens and books, in float32."""
        return F.cross_entropy(logits_PQK.float().flatten(0, 1), targets_PQ.flatten())

    def _encode(self, mel_BMF: Tensor) -> Tensor:
        """The last hidden state; how many tokens are masked changes from step to step and is none of its matter."""
        if self.compile_backend is None or not self.training:
            return self._last_hidden(mel_BMF)
        if self._compiled_encode is None:
            self._compiled_encode = torch.compile(
                self._last_hidden, fullgraph=True, dynamic=False, backend=self.compile_backend
            )
        return self._compiled_encode(mel_BMF)

    def _last_hidden(self, mel_BMF: Tensor) -> Tensor:
        return self.encoder(mel_BMF)[-1]

    def figures(self, batch: PretrainBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Loss and accuracy, means over masked tokens and books, and the targets (P, Q)."""
        return self.measured(*self(batch))

    def measured(self, logits_PQK: Tensor, targets_PQ: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Of logits (P, Q, K) and targets (P, Q), see `figures`."""
        if len(targets_PQ) == 0:  # chance masked nothing, which a small batch of short clips may see
            # Through the model all the same: other ranks wait for this one's gradients, though they are zero.
            return logits_PQK.float().sum(), logits_PQK.new_zeros(()), targets_PQ
        loss = self.loss(logits_PQK, targets_PQ)
        accuracy = (logits_PQK.argmax(dim=2) == targets_PQ).float().mean()
        return loss, accuracy, targets_PQ

    def training_step(self, batch: PretrainBatch, batch_idx: int) -> Tensor:
        """Loss on masked tokens."""
        loss, accuracy, targets_PQ = self.figures(batch)
        if len(targets_PQ):
            self.log("train/loss", loss, prog_bar=True)
            self.log("train/masked_accuracy", accuracy, prog_bar=True)
        return loss

    def on_train_batch_end(self, outputs: Any, batch: PretrainBatch, batch_idx: int) -> None:
        """Keeps the count that Lightning forgets when the run is over."""
        self.trained_steps = self.trainer.global_step

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """A finished run that is validated anew has its steps all the same."""
        self.trained_steps = checkpoint["global_step"]

    def on_validation_epoch_start(self) -> None:
        """Losses are summed and codes counted anew."""
        self._sums.zero_()
        self._counts_QK.zero_()

    def validation_step(self, batch: PretrainBatch, batch_idx: int) -> None:
        """Sums up loss and accuracy, and which codes the targets use.

        Nothing here waits for the other ranks: one of them may have no masked token where this one has some.
        """
        loss, accuracy, targets_PQ = self.figures(batch)
        self._sums += torch.stack([loss, accuracy, torch.ones_like(loss)]) * targets_PQ.numel()
        for counts_K, targets_P in zip(self._counts_QK, targets_PQ.T, strict=True):
            counts_K += torch.bincount(targets_P, minlength=len(counts_K))

    def on_validation_epoch_end(self) -> None:
        """Loss and accuracy, means over the masked tokens of all ranks; what chance and guessing would reach.

        Without any masked token loss and accuracy are NaN, which no checkpoint is chosen by; the use of the
        codebooks is a mean over them.
        """
        # Clones, since the sums of all ranks take the place of what is given.
        sums = self.trainer.strategy.reduce(self._sums.clone(), reduce_op="sum")
        counts_QK = self.trainer.strategy.reduce(self._counts_QK.clone(), reduce_op="sum")
        assert isinstance(sums, Tensor)
        self.num_masked = round(sums[2].item() / len(counts_QK))
        loss, accuracy = sums[:2] / sums[2]
        books = [codebook_use(counts_K) for counts_K in counts_QK]
        use = {name: sum(book[name] for book in books) / len(books) for name in books[0]}
        self.log("val/loss", loss, sync_dist=True)  # alike on all ranks; Lightning warns of what is not said to be
        self.log("val/masked_accuracy", accuracy, prog_bar=True, sync_dist=True)
        if self.num_masked:
            use |= loss_beside(loss.item(), use)
        self.log_dict({f"val/{name}": value for name, value in use.items()}, sync_dist=True)

    def optimizer(self) -> torch.optim.AdamW:
        """AdamW at the peak of the schedule; weight decay on matrices alone."""
        decayed = [p for p in self.parameters() if p.requires_grad and p.dim() > 1]
        others = [p for p in self.parameters() if p.requires_grad and p.dim() <= 1]
        optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": self.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=self.learning_rate,
            betas=self.betas,
            fused=self.device.type in FUSED_ON,
        )
        # It says that it unscales gradients itself, for which Lightning would refuse to clip them in mixed precision;
        # it also takes gradients that were unscaled before.
        optimizer._step_supports_amp_scaling = False
        return optimizer

    def configure_optimizers(self) -> Any:
        """AdamW with warm-up and cosine to zero at the last step."""
        return warmup_cosine(self.optimizer(), self.warmup_steps, self.trainer)
