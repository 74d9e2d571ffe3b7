"""The command `musicfm`. Lightning is imported only by the commands that need a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence

from musicfm_pl.reader_errors import in_own_words

MODEL_COMMANDS = {
    "fit": "train an experiment; goes on where an interrupted run stopped",
    "validate": "one pass over the validation split",
    "test": "decode and score whole tracks of the test split; writes results.json",
    "predict": "take a trained task model to audio files",
}
OTHER_COMMANDS = {
    "doctor": "say what is missing, duplicated, mis-timed or unreadable in a corpus",
    "prepare": "turn a corpus into shards that training reads",
    "merge": "make one folder of the parts that `prepare --part` wrote",
    "export": "write a prepared folder as one tar of FLAC files, for exchange",
    "to_litdata": "copy a prepared folder into the chunks of litdata, which runs can read as well",
    "bench_data": "how fast clips come from a source, and how many cores feed a GPU (`bench data`, too)",
    "kmeans": "fit the centroids of k-means tokens to a prepared folder",
    "baseline": "judge a published method that learns nothing, beside trained heads",
    "embed": "write a pretrained encoder's hidden states of audio files",
    "plan": "say what a pretraining run will take: parameters, memory, GPU hours",
    "bench": "measure our encoder against the public way of building the same model",
    "grid": "list or run the cells of a grid of experiments",
    "codebook": "examine tokens and encoder of a pretraining run on some music; alarms with remedies",
    "curves": "show how pretraining runs went: loss beside chance, use of the codebook",
    "relations": "say whether the study's conclusions hold among the results of runs",
    "generalisation": "say where a model loses on music that it was not trained on: tokens, encoder, head",
    "attribution": "split the variance of the results of a grid by factors",
    "collect": "copy results, configurations and curves of runs, without their checkpoints",
    "leaderboard": "regenerate the tables from the results of runs",
}


def overview() -> str:
    """What `musicfm --help` prints."""
    lines = ["usage: musicfm COMMAND [options]", "", "Pretrain, probe and rank music foundation models.", ""]
    for title, commands in (
        ("experiments, each `--config experiments/....yaml`:", MODEL_COMMANDS),
        ("around them:", OTHER_COMMANDS),
    ):
        lines += [title, *(f"  {name:<14} {text}" for name, text in commands.items()), ""]
    lines += [
        "`musicfm COMMAND --help` describes its options; any setting of a YAML can be given on the command line,",
        "as in `musicfm fit --config experiments/pretrain/fm7.yaml --data.root data/mine --trainer.max_steps 1000`.",
        "On a cluster, `--launch slurm --slurm.partition NAME` submits the command instead of running it.",
        "With MUSICFM_TRACEBACK=1 in the environment, errors come with a full traceback.",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
        arguments: Of the command line; those of the process if None.

    Raises:
        SystemExit: With 2 for bad input, whose message has been printed to stderr.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return
    if given[:2] == ["bench", "data"]:
        given = ["bench_data", *given[2:]]
    command, rest = given[0], given[1:]
    if command not in MODEL_COMMANDS and command not in OTHER_COMMANDS:
        print(overview(), file=sys.stderr)
        print(f"\nmusicfm: error: there is no command {command!r}", file=sys.stderr)
        raise SystemExit(2)
    try:
        _runner(command)(rest)
    except (ValueError, OSError, ImportError) as error:
        if os.environ.get("MUSICFM_TRACEBACK"):
            raise
        text = in_own_words(str(error))
        if isinstance(error, OSError) and error.filename:
            text = f"{error.strerror}: {error.filename}"
        print(f"musicfm {command}: error: {text}", file=sys.stderr)
        raise SystemExit(2) from error


def _runner(command: str) -> Callable[[Sequence[str]], None]:
    if command in MODEL_COMMANDS:
        return lambda rest: _run_or_launch(command, rest)
    if command == "plan":
        from musicfm_pl.costs.plan import run_plan

        return run_plan
    from musicfm_pl.commands import run_command

    return lambda rest: run_command(command, rest)


def _run_or_launch(command: str, arguments: Sequence[str]) -> None:
    from musicfm_pl.launch_options import launch_run, without_launch

    left, launch, parameters = without_launch(arguments)
    if launch:
        launch_run(command, left, parameters)
        return
    from musicfm_pl.experiment import run_experiment

    run_experiment(command, left)


if __name__ == "__main__":  # what torchrun and `python -m` start
    main()
