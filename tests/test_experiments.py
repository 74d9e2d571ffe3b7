"""Every YAML under `experiments/` is one that the command line accepts."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import jsonargparse
import pytest
import torch
import yaml

from data_modules.pretrain import PretrainData
from musicfm_pl.asked_settings import Asker
from musicfm_pl.baselines.evaluate import baseline
from musicfm_pl.cells import read_grid
from musicfm_pl.commands import arguments_of
from musicfm_pl.config import expand_extends, layers
from musicfm_pl.encoders.base import Encoder
from musicfm_pl.encoders.rates import check_rate
from musicfm_pl.experiment import fit_parser
from musicfm_pl.systems.pretrain import MaskedTokenModel

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
ALL = sorted(set(EXPERIMENTS.rglob("*.yaml")) - set((EXPERIMENTS / "results").rglob("*.yaml")))  # records are no layers
GRIDS = sorted((EXPERIMENTS / "grids").rglob("*.yaml"))
PRETRAIN = sorted((EXPERIMENTS / "pretrain").glob("*.yaml"))
TASKS = sorted((EXPERIMENTS / "tasks").glob("*.yaml"))
SMALL_PRETRAIN = [
    EXPERIMENTS / f"{name}.yaml"
    for name in ("demo/pretrain", "study_small/pretrain", "study_small/fine_pretrain", "study_small/deep")
]
STUDY = {f"pretrain/fm{number}": 330e6 for number in range(1, 10)} | {"pretrain/fm8": 660e6}
"""Parameters as published, of encoder and prediction layer."""
SIZES = {"tiny": 0.03e6, "2m": 2e6, "10m": 10e6, "30m": 30e6, "90m": 90e6}
"""Parameters of the encoder that the axes of sizes promise, whichever it is."""
CORPUS = {"pretrain/fm9": ("--data.corpus.root", "unused")}
"""What must be said of an experiment that names its corpus."""


def name_of(file: Path | str | None) -> str | None:
    return file.relative_to(EXPERIMENTS).with_suffix("").as_posix() if isinstance(file, Path) else file


SCALED = [
    (file, scale) for file in GRIDS for scale in yaml.safe_load(file.read_text(encoding="utf-8")).get("scales", [None])
]
"""Every grid at every scale that it has."""


@pytest.fixture(scope="module")
def parser() -> jsonargparse.ArgumentParser:
    """Of `musicfm fit`, as the real command builds it."""
    return fit_parser()


def parsed(parser: jsonargparse.ArgumentParser, *files: Path, more: tuple[str, ...] = ()) -> jsonargparse.Namespace:
    arguments = [argument for file in files for argument in ("--config", str(file))]
    return parser.parse_args(expand_extends([*arguments, *more]))


def built(settings: jsonargparse.Namespace) -> Encoder:
    encoders = jsonargparse.ArgumentParser()
    encoders.add_subclass_arguments(Encoder, "encoder")
    with torch.device("meta"):
        encoder = encoders.instantiate(jsonargparse.Namespace(encoder=settings)).encoder
    assert isinstance(encoder, Encoder)
    return encoder


def size_of(encoder: Encoder) -> int:
    return sum(parameter.numel() for parameter in encoder.parameters())


@pytest.mark.parametrize("file", ALL, ids=name_of)
def test_opens_with_a_comment(file: Path) -> None:
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ") and len(first) > 10, "what it is, in the first line"


@pytest.mark.parametrize("file", [*PRETRAIN, *TASKS], ids=name_of)
def test_says_its_command(file: Path) -> None:
    comment = "".join(line for line in file.read_text().splitlines() if line.startswith("#"))
    assert f"--config experiments/{name_of(file)}.yaml" in comment


@pytest.mark.parametrize("file", [file for file in ALL if file not in GRIDS], ids=name_of)
def test_what_it_extends_is_there_and_it_is_no_copy(file: Path) -> None:
    assert layers(file)[-1] == file
    if file.parent.name in ("pretrain", "tasks"):
        assert len(layers(file)) > 1, "states only what differs from what it extends"


@pytest.mark.parametrize("file", [*PRETRAIN, *SMALL_PRETRAIN], ids=name_of)
def test_pretraining_parses_and_fits_together(file: Path, parser: jsonargparse.ArgumentParser) -> None:
    """The encoder is built on the meta device: its shapes are real, its weights take no memory."""
    config = parsed(parser, file, more=CORPUS.get(name_of(file), ("--data.root", "unused")))
    assert config.name
    assert config.model.class_path == f"{MaskedTokenModel.__module__}.MaskedTokenModel"
    assert config.data.class_path == f"{PretrainData.__module__}.PretrainData"
    model, data = config.model.init_args, config.data.init_args
    encoder = built(model.encoder)
    check_rate(model.rate_hz, data.features.get("init_args", data.features).hop_length, encoder.stride)
    if published := STUDY.get(name_of(file)):
        num_codes = model.tokenizer.init_args.get("num_codes") or 500  # k-means: HuBERT's, its own file says
        assert size_of(encoder) + (encoder.dim + 1) * num_codes == pytest.approx(published, rel=0.05)
    assert config.trainer.max_steps > 0 and config.trainer.max_epochs == -1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("encoder", ["conformer", "bert"])
def test_small_sizes_of_both_encoders_lie_on_one_axis(
    size: str, encoder: str, parser: jsonargparse.ArgumentParser
) -> None:
    axes = EXPERIMENTS / "axes"
    layers = (
        EXPERIMENTS / "base" / "pretrain.yaml",
        axes / "encoder" / f"{encoder}.yaml",
        axes / "size" / f"{size}.yaml",
    )
    small = built(parsed(parser, *layers, more=("--data.root", "unused")).model.init_args.encoder)
    assert size_of(small) == pytest.approx(SIZES[size], rel=0.5 if size == "tiny" else 0.1)
    if size != "tiny":
        assert small.num_layers == {"conformer": 12, "bert": 24}[encoder]


@pytest.mark.parametrize("file", TASKS, ids=name_of)
@pytest.mark.parametrize("mode", sorted((EXPERIMENTS / "modes").glob("*.yaml")), ids=name_of)
def test_tasks_parse_in_every_mode(file: Path, mode: Path, parser: jsonargparse.ArgumentParser) -> None:
    more = ("--data.root", "unused", "--model.encoder", "musicfm_pl.encoders.mel_frames.MelFrames")
    config = parsed(parser, file, mode, more=more)
    assert config.model.init_args.head.class_path.startswith(f"musicfm_pl.heads.{file.stem}.")
    assert config.model.init_args.freeze == (mode.stem == "probe")
    assert config.data.init_args.cache == (mode.stem == "probe")
    assert config.checkpoint.monitor == "val/loss"


@pytest.mark.parametrize("file", sorted((EXPERIMENTS / "axes").rglob("*.yaml")), ids=name_of)
def test_every_axis_is_taken_by_a_pretraining_run(file: Path, parser: jsonargparse.ArgumentParser) -> None:
    """Laid over the headline model: a key that nobody knows would be refused."""
    parsed(parser, EXPERIMENTS / "pretrain" / "fm7.yaml", file, more=("--data.root", "unused"))


def test_one_gpu_trains_in_bfloat16_and_compiled(parser: jsonargparse.ArgumentParser) -> None:
    """Every model of the study names this layer; without it one is trained in float32."""
    hardware = EXPERIMENTS / "axes" / "hardware"
    for name in STUDY:
        file = EXPERIMENTS / f"{name}.yaml"
        assert "experiments/axes/hardware/one_gpu.yaml" in file.read_text()
    headline = EXPERIMENTS / "pretrain" / "fm7.yaml"
    config = parsed(parser, headline, hardware / "one_gpu.yaml", more=("--data.root", "unused"))
    assert (config.trainer.precision, config.model.init_args.compile_backend) == ("bf16-mixed", "inductor")
    several = parsed(parser, headline, hardware / "ddp.yaml", more=("--data.root", "unused"))
    assert config.trainer.benchmark and several.trainer.benchmark, "shapes are fixed"
    assert several.trainer.sync_batchnorm and several.model.init_args.compile_backend is None, "one excludes the other"


@pytest.mark.parametrize(
    "file",
    [file for file in sorted((EXPERIMENTS / "demo").glob("*.yaml")) if file not in SMALL_PRETRAIN],
    ids=name_of,
)
def test_layers_of_the_demo_are_taken_by_a_task(file: Path, parser: jsonargparse.ArgumentParser) -> None:
    names_encoder = "encoder" in yaml.safe_load(file.read_text()).get("model", {}).get("init_args", {})
    more = () if names_encoder else ("--model.encoder", "musicfm_pl.encoders.mel_frames.MelFrames")
    run = ("--model.encoder.run", "runs/x") if file.stem in ("pretrained", "random") else ()
    parsed(parser, EXPERIMENTS / "tasks" / "chord.yaml", file, more=(*more, *run, "--data.root", "unused"))


BASELINES = [EXPERIMENTS / "study_small" / name for name in ("chroma.yaml", "fine_mel.yaml")]


@pytest.mark.parametrize(
    "file",
    [
        file
        for file in sorted((EXPERIMENTS / "study_small").glob("*.yaml"))
        if file not in (*SMALL_PRETRAIN, *BASELINES)
    ],
    ids=name_of,
)
@pytest.mark.parametrize(
    "encoder", ["demo/mel", "demo/pretrained", "demo/random", "study_small/chroma", "study_small/fine_mel"]
)
def test_probes_of_the_small_study_parse_with_every_encoder(
    file: Path, encoder: str, parser: jsonargparse.ArgumentParser
) -> None:
    shared = [EXPERIMENTS / "tasks" / "key.yaml"] if file.stem == "probe" else []
    run = ("--model.encoder.run", "runs/x") if encoder in ("demo/pretrained", "demo/random") else ()
    layer = EXPERIMENTS / f"{encoder}.yaml"
    config = parsed(parser, *shared, file, layer, more=(*run, "--data.root", "unused"))
    assert config.model.init_args.freeze and config.data.init_args.cache
    if not shared:
        assert config.model.init_args.head.class_path.startswith(f"musicfm_pl.heads.{file.stem}.")


def test_baselines_of_grids_parse() -> None:
    lines = {words for file in GRIDS for cell in read_grid(file) for words in cell.commands if words[0] == "baseline"}
    assert lines
    options = jsonargparse.auto_parser(baseline, as_positional=False)
    for _, *words in lines:
        config = options.parse_args(arguments_of("baseline", words))
        assert config.method.class_path.startswith("musicfm_pl.baselines.")
        assert config.name and "," not in config.name


def configs(options: Sequence[str]) -> list[str]:
    """The files that a command of a grid names, in whichever way the command line takes them."""
    pairs = itertools.pairwise([*options, ""])
    return [
        following if word in ("--config", "-c") else word.removeprefix("--config=")
        for word, following in pairs
        if word in ("--config", "-c") or word.startswith("--config=")
    ]


def test_every_way_to_name_a_file_is_seen() -> None:
    assert configs(["--config", "a", "--run_dir", "r", "-c", "b", "--config=c", "--config"]) == ["a", "b", "c", ""]


@pytest.mark.parametrize(("file", "scale"), SCALED, ids=name_of)
def test_grids_can_be_read_and_name_files_that_are_there(file: Path, scale: str | None) -> None:
    cells = read_grid(file, scale)
    assert cells
    for cell in cells:
        for command, *options in cell.commands:
            named = configs(options)
            assert named or command != "fit", f"{cell.run}: nothing says what is trained"
            for name in named:
                assert (EXPERIMENTS.parent / name).is_file(), f"{cell.run}: {name}"


@pytest.mark.parametrize(("file", "scale"), SCALED, ids=name_of)
def test_cells_of_grids_are_taken_by_the_command_line(
    file: Path, scale: str | None, parser: jsonargparse.ArgumentParser
) -> None:
    """Every seventh: seven is prime to the lengths of the axes, so that each value of each axis comes."""
    for cell in read_grid(file, scale)[::7]:
        for command, *options in cell.commands:
            if command == "fit":
                config = parser.parse_args(expand_extends(options))
                assert Path(config.run_dir) == cell.run_dir


def test_every_folder_is_looked_at_here() -> None:
    known = {"base", "axes", "pretrain", "tasks", "modes", "demo", "study_small", "scales", "grids", "slurm"}
    known |= {"results", "bench"}  # of `test_kept_results` and `test_kept_bench`
    assert {folder.name for folder in EXPERIMENTS.iterdir() if folder.is_dir()} <= known, "add a test of what it holds"


def test_grids_that_share_a_cell_ask_for_the_same() -> None:
    """Else it would be stale in one of them."""
    asked: dict[Path, dict[str, object]] = {}
    shared = 0
    for file, scale in SCALED:
        for cell in read_grid(file, scale):
            fits = [options for command, *options in cell.commands if command == "fit"]
            if not fits:
                continue
            settings = Asker().of_fit(fits[-1]).resolved()
            for transparent in ("trainer.enable_progress_bar", "extends"):
                settings.pop(transparent, None)
            before = asked.setdefault(cell.run_dir, settings)
            shared += before is not settings
            assert _explicit(before) == _explicit(settings), f"{file.name}: {cell.run_dir}"
    assert shared > 100


def _explicit(settings: dict[str, object]) -> dict[str, object]:
    """Without what is named only to be as it is anyway."""
    same = {"model.tokenizer.num_books": 1}
    return {key: value for key, value in settings.items() if same.get(key) != value}
