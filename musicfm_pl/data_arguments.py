"""What the command line says of the data takes the place of what files say, not a place beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml


def settle_data_arguments(arguments: Sequence[str], record: Path | None) -> list[str]:
    """Command-line arguments in which a corpus or a folder of data is the only one.

    - `--data.corpus` may be a name (`tiny`), as for `musicfm prepare`, in place of a class path.
    - A corpus that is named here is prepared into a folder of its own, not into the `root` that a file names; nor
      does it take arguments that a file gives to another corpus, as jsonargparse would have it.
    - A folder that is named here for a finished run is that folder, not one for the run's own corpus.

    Args:
        arguments: Of `fit`, `validate`, `test` or `predict`.
        record: The `config.yaml` of the run, where the experiment is named by that.

    Raises:
        ValueError: There is no corpus of that name, or it needs an argument that is not given.
    """
    result: list[str] = []
    named = ""
    for argument in arguments:
        # One word for option and value, so that the value can be looked at.
        if result and result[-1] in ("--data.corpus", "--data.init_args.corpus"):
            argument = f"{result.pop()}={argument}"
        if _is(argument, "corpus") and "=" in argument:
            flag, _, value = argument.partition("=")
            argument = f"{flag}={_class_path(value)}"
            if argument != f"{flag}={value}":
                named = argument.partition("=")[2]
        result.append(argument)
    has_corpus, has_root = (any(_is(argument, key) for argument in result) for key in ("corpus", "root"))
    if named:
        from musicfm_pl.corpus_arguments import require

        require(named, "--data.corpus", [argument for argument in result if argument.startswith("--data.")])
    if has_corpus:
        return ["--data.corpus=null", *([] if has_root else ["--data.root=null"]), *result]
    if has_root and record is not None and _names_corpus(record):
        return ["--data.corpus=null", *result]
    return result


def _is(argument: str, key: str) -> bool:
    return argument.partition("=")[0] in (f"--data.{key}", f"--data.init_args.{key}")


def _class_path(value: str) -> str:
    if not value.isidentifier() or value == "null":
        return value
    from musicfm_pl.commands import corpus_class

    return corpus_class(value)


def _names_corpus(record: Path) -> bool:
    config = yaml.safe_load(record.read_text()) or {}
    return bool(((config.get("data") or {}).get("init_args") or {}).get("corpus"))
