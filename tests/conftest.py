"""What several test files need and what is worth making only once: a prepared corpus, and a pretrained encoder."""

from __future__ import annotations

import fcntl
import os
import warnings

# Before torch: the test processes and what they start share few cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable
from pathlib import Path

import command
import pytest
from hypothesis import settings

from musicfm_pl.baselines.with_librosa import librosa

# How long an example takes depends on what else runs beside it.
settings.register_profile("musicfm", deadline=None)
settings.load_profile("musicfm")


LONGEST = ("test_same_clips", "test_evaluate", "test_ranks", "test_corpus_in_a_run", "test_resumption", "test_remote",
           "test_end_to_end", "test_preemption", "test_with_librosa", "test_pretrain_computation", "test_faults",
           "test_counting", "test_kept_results", "test_all_tracks", "test_contract", "test_doctor")  # fmt: skip
"""Test files that take the longest: begun last, one of them would keep a process busy while the others have nothing."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slurm: starts a Slurm on this machine; needs root, and slurm-wlm and munge")
    config.addinivalue_line("markers", "slow: takes half a minute; `make test-slow` and CI have it")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path.stem not in LONGEST)


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Makes a folder by its name, once for all processes of a test session."""
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "once"

    def make(name: str, maker: Callable[[Path], object]) -> Path:
        root.mkdir(exist_ok=True)
        with (root / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            done = root / f"{name}.done"
            if not done.exists():
                maker(root / name)
                done.touch()
        return root / name

    return make


@pytest.fixture(scope="session")
def librosa_is_compiled() -> None:
    """For tests that import librosa, or what does: as two test processes at once they would crash for good."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what librosa imports
        librosa()


@pytest.fixture(scope="session")
def prepared(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The miniature corpus, as `musicfm prepare` leaves it. Not to be changed."""
    return once(
        "data",
        lambda out: command.succeed("prepare", "--corpus", "miniature.Miniature", "--out", out, "--jobs", "1"),
    )


@pytest.fixture(scope="session")
def prepared_flac(once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """The same, stored as FLAC. Not to be changed."""
    prepare = ("prepare", "--corpus", "miniature.Miniature", "--jobs", "1", "--format", "flac", "--out")
    return once("flac", lambda out: command.succeed(*prepare, out))


@pytest.fixture(scope="session")
def pretrained_run(once: Callable[[str, Callable[[Path], object]], Path], prepared: Path) -> Path:
    """A run of `musicfm fit` of four steps. Not to be changed."""
    return once("pretrained", lambda out: command.succeed("fit", *command.pretraining(prepared, out, 4)))


@pytest.fixture(scope="session")
def run_of_two_ranks(once: Callable[[str, Callable[[Path], object]], Path], prepared: Path) -> Path:
    """What `command.two_ranks` describes, undisturbed. Not to be changed."""

    def train(out: Path) -> None:
        done = command.torchrun("fit", *command.two_ranks(prepared, out))
        assert done.returncode == 0, done.stderr

    return once("two_ranks", train)
