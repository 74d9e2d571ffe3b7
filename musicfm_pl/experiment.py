"""LightningCLI as the experiments use it: layered YAML, one directory a run, going on by itself."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonargparse
import lightning as L
from jsonargparse import ArgumentParser
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import ParallelStrategy

# All encoders are known by their short names: `--model.encoder Pretrained`.
import musicfm_pl.encoders.bert
import musicfm_pl.encoders.chroma_frames
import musicfm_pl.encoders.conformer
import musicfm_pl.encoders.mel_frames
import musicfm_pl.encoders.pretrained  # noqa: F401
from musicfm_pl.callbacks import EncoderWriter, PredictionWriter, ProgressLines, StepSeed
from musicfm_pl.checkpoint_files import LAST, CheckpointFiles, checkpoint_of
from musicfm_pl.config import expand_extends, last_config, run_dir_of
from musicfm_pl.config_record import SaveConfig
from musicfm_pl.data_arguments import settle_data_arguments
from musicfm_pl.float32_advice import float32_advice
from musicfm_pl.freed_memory import keep_freed_memory
from musicfm_pl.guard import TrainingGuard
from musicfm_pl.last_checkpoint import LastCheckpoint
from musicfm_pl.preemption import Preemption, preemptible
from musicfm_pl.reader_errors import in_own_words, is_death, is_passed_on
from musicfm_pl.results import ResultError, Role, read_result
from musicfm_pl.results_writer import ResultsWriter
from musicfm_pl.run_lock import RunLock
from musicfm_pl.systems.cross_rank_norm import CrossRankNorm
from musicfm_pl.systems.pretrain import MaskedTokenModel
from musicfm_pl.throughput import Throughput

jsonargparse.set_parsing_settings(omegaconf_absolute_to_relative_paths=True)


class ExperimentCLI(LightningCLI):
    """`fit`, `validate`, `test` and `predict` of an experiment."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """What a run has beside trainer, model and data."""
        parser.add_argument("--extends", type=list[str], default=[], help="Files that this one builds on.")
        parser.add_argument(
            "--name", type=str | None, default=None, help="Row of the leaderboard; the encoder's name by default."
        )
        parser.add_argument(
            "--role",
            type=Role,
            default="encoder",
            help="`baseline` for what pretraining is compared with, else `encoder`.",
        )
        parser.add_argument(
            "--run_dir",
            type=Path | None,
            default=None,
            help="Directory of the run; by default the YAML's path names it: runs/tasks/beat.",
        )
        parser.add_argument(
            "--result_dir",
            type=Path | None,
            default=None,
            help="Of a test: directory for its results.json and a copy of the run's config.yaml; by default the run's "
            "own, or on-<folder> in it where --data.root names other data than the run was trained on.",
        )
        parser.add_lightning_class_args(ModelCheckpoint, "checkpoint")
        parser.add_lightning_class_args(TrainingGuard, "guard")
        parser.add_lightning_class_args(Throughput, "throughput")
        parser.link_arguments("seed_everything", "data.init_args.seed")

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The one that the process was given: parsers of the others would cost a sixth of a short run."""
        known: dict[str, set[str]] = LightningCLI.subcommands()
        return {name: known[name] for name in sys.argv[1:2] if name in known} or known

    def before_instantiate_classes(self) -> None:
        """Settles the run directory and the checkpoint to go on from.

        Raises:
            ValueError: Checkpoints are asked for that nothing would look at before they are written; or another place
                for the result of what is no test.
        """
        config = self.config[self.subcommand]
        run_dir = Path(config.run_dir)
        if self.subcommand != "test" and config.result_dir is not None:
            raise ValueError(f"--result_dir is for `musicfm test`; `{self.subcommand}` writes into --run_dir")
        if self.subcommand == "fit" and config.checkpoint.save_weights_only:
            raise ValueError(
                "--checkpoint.save_weights_only: Lightning would write the best model without asking the guard whether "
                "its weights are finite; leave it false. A pretraining run has its encoder's weights alone in "
                "checkpoints/encoder.safetensors"
            )
        config.trainer.default_root_dir = str(run_dir)
        config.checkpoint.dirpath = str(run_dir / "checkpoints")
        self.lock = RunLock(run_dir)
        if config.ckpt_path is None:
            found = checkpoint_of(run_dir, str(self.subcommand))
            self.lock = RunLock(run_dir, goes_on_from=found or "the start")
            config.ckpt_path = None if found is None else str(found)
        config.weights_only = True
        if self.subcommand == "predict":
            config.return_predictions = False  # they are written, not collected
        if self.subcommand == "test":
            config.verbose = False  # `ResultsWriter` prints all protocols, Lightning would print one
        config.extends = []  # merged by now: the record in the run directory stands alone
        self.run_dir = run_dir

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        """A trainer whose logs, results and predictions go to the run directory."""
        config = self.config[self.subcommand]
        if getattr(self.datamodule, "corpus", None) is not None:
            # The record says where the data of a corpus lie, and so which corpus the run is of.
            config.data.init_args.root = self.datamodule.root
        if config.trainer.logger in (None, True):
            kwargs["logger"] = TensorBoardLogger(self.run_dir, name="", version="")
        writers = [
            ResultsWriter(self.run_dir, config.name, config.role, config.result_dir),
            PredictionWriter(self.run_dir),
        ]
        named = self.config_init[self.subcommand].trainer.callbacks or []
        # A bar is for eyes: a log gets lines.
        if not sys.stdout.isatty():
            kwargs["enable_progress_bar"] = False
        lines = (
            []
            if kwargs.get("enable_progress_bar", config.trainer.enable_progress_bar) is not False
            else [ProgressLines()]
        )
        seed = StepSeed(int(config.seed_everything or 0))
        kwargs["callbacks"] = [*(named if isinstance(named, list) else [named]), self.lock, seed, *writers, *lines]
        trainer = super().instantiate_trainer(**kwargs)
        if type(trainer.strategy.checkpoint_io) is TorchCheckpointIO:
            trainer.strategy.checkpoint_io = CheckpointFiles()
        # Only here it is known which accelerator `auto` is.
        strategy = trainer.strategy
        if isinstance(strategy, ParallelStrategy) and isinstance(trainer.accelerator, CPUAccelerator):
            strategy._layer_sync = strategy._layer_sync and CrossRankNorm()
        # Behind the guard, which refuses weights that are no numbers, and the checkpoint of the best model, whose
        # state is part of the last one.
        last = LastCheckpoint(self.run_dir / "checkpoints" / LAST, config.checkpoint.every_n_train_steps)
        trainer.callbacks += [EncoderWriter(self.run_dir), last, Preemption(last)]  # type: ignore[attr-defined]
        return trainer

    def before_test(self) -> None:
        """A pretraining run has neither tests nor predictions."""
        if isinstance(self.model, MaskedTokenModel):
            raise ValueError(
                f"a pretraining run is judged by its tasks: musicfm fit --config experiments/tasks/beat.yaml "
                f"--model.encoder musicfm_pl.encoders.pretrained.Pretrained --model.encoder.run {self.run_dir}"
            )

    before_predict = before_test

    def before_fit(self) -> None:
        """Says what a GPU could do faster; has a CPU keep the memory of a step for the next one."""
        if self.trainer.strategy.root_device.type == "cpu":
            keep_freed_memory()
        if advice := float32_advice(self.trainer, self.model):
            self.trainer.print(advice)

    def after_fit(self) -> None:
        """A pretraining run ends with a validation, whose figures are its results."""
        if isinstance(self.model, MaskedTokenModel) and not self.trainer.interrupted and not self._is_recorded():
            self.trainer.validate(self.model, datamodule=self.datamodule, verbose=False)

    def _is_recorded(self) -> bool:
        """Whether a finished pretraining run was asked for again."""
        try:
            return read_result(self.run_dir).summary.get("steps") == self.model.trained_steps
        except (FileNotFoundError, ResultError):
            return False


def run_experiment(command: str, arguments: Sequence[str]) -> None:
    """Runs one of LightningCLI's commands.

    Args:
        command: fit, validate, test or predict.
        arguments: The options after it. Without `--config`, the run directory's own `config.yaml` is taken.

    Raises:
        SystemExit: With one of `exit_codes`: a signal ended it in order.
    """
    given = list(arguments)
    if not {"-h", "--help"} & set(given):
        with_config = _with_run_dir(given)
        given = settle_data_arguments(with_config, record=None if last_config(given) else last_config(with_config))
    _quieten()
    # Lightning warns when it is given arguments beside those of the process: these are those of the process.
    # The first of them stays if it is a script: Lightning starts the other ranks by it.
    script = sys.argv[0] if Path(sys.argv[0]).is_file() else "musicfm"
    sys.argv = [script, command, *expand_extends(given)]
    try:
        with preemptible():
            _run_cli()
    except (RuntimeError, ConnectionResetError) as error:
        if is_death(error):
            raise ChildProcessError(
                f"{error} A process that reads clips has died, most often for want of memory. The same command goes on "
                f"from the last checkpoint; --data.num_workers sets how many such processes there are"
            ) from error
        if is_passed_on(error) and isinstance(error, RuntimeError):
            # Most likely of a kind that takes more than a text, which torch cannot raise as what it was.
            raise ChildProcessError(
                f"a process that reads clips failed: {in_own_words(str(error))}; MUSICFM_TRACEBACK=1 shows where"
            ) from error
        if "loading state_dict" not in str(error):
            raise
        raise ValueError(
            f"the checkpoint is of another model than the configuration describes ({error}); "
            f"go on with the settings in the run's config.yaml, or name a new --run_dir"
        ) from error


def fit_parser() -> ArgumentParser:
    """The parser of `musicfm fit`'s options, for those who look at an experiment without running it."""
    try:
        _run_cli(_ParserOnly, run=False)
    except _ParserBuilt as built:
        return built.parser
    raise AssertionError("LightningCLI parses what it is given")


class _ParserBuilt(Exception):
    def __init__(self, parser: ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


class _ParserOnly(ExperimentCLI):
    """Stops before it parses the arguments of the process."""

    def parse_arguments(self, parser: LightningArgumentParser, args: object) -> None:
        """Hands out the parser."""
        raise _ParserBuilt(parser)


def _run_cli(cli: type[ExperimentCLI] = ExperimentCLI, run: bool = True) -> None:
    cli(
        model_class=L.LightningModule,
        datamodule_class=L.LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        seed_everything_default=0,
        save_config_callback=SaveConfig,
        save_config_kwargs={"overwrite": True},
        parser_kwargs={"parser_mode": "omegaconf+", "prog": "musicfm"},
        auto_configure_optimizers=False,
        run=run,
    )


def _quieten() -> None:
    """Drops what Lightning says on every run of this kind and what nobody can act on."""
    for message in (
        ".*does not have many workers.*",
        ".*log_every_n_steps.*",
        ".*dataloader is not resumable.*",  # ours is: `ResumableSampler`
        ".*Checkpoint directory .* exists and is not empty.*",  # so it is in a run that goes on
        ".*in eval mode at the start of training.*",  # a frozen encoder is meant to be
        ".*isinstance.treespec, LeafSpec.*",
    ):
        warnings.filterwarnings("ignore", message=message)
    logging.getLogger("lightning.pytorch.utilities.rank_zero").addFilter(
        lambda record: "litlogger" not in record.getMessage()
    )


def _with_run_dir(arguments: list[str]) -> list[str]:
    run_dir, is_named = run_dir_of(arguments)
    if last_config(arguments) is not None:
        return arguments if is_named else [*arguments, "--run_dir", str(run_dir)]
    recorded = run_dir / "config.yaml"
    if not recorded.exists():
        raise FileNotFoundError(f"--run_dir: {recorded.parent} holds no run (no config.yaml), and no --config is given")
    return ["--config", str(recorded), *arguments]
