"""Folders behind an address: the same samples as on the disk, from servers that work, limp, and stay away."""

from __future__ import annotations

import logging
import pickle
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import command
import numpy as np
import pytest
import range_server
from range_server import RangeServer

from data_modules import SAMPLE_RATE
from data_modules.block_cache import BlockCache
from data_modules.blocks import BadRecord
from data_modules.clips import Clip, RandomClips
from data_modules.remote import Remote, UnsuitableServer
from data_modules.shards import Prepared
from data_modules.waveforms import Samples

pytest.importorskip("s3fs", reason="pip install -e '.[remote]'")


@pytest.fixture
def server(prepared: Path) -> Iterator[RangeServer]:
    with range_server.serving(prepared) as server:
        yield server


def remote(folder: Path, cache_gb: float = 0.0, timeout_s: float = 1.0, give_up_s: float = 60.0) -> Remote:
    return Remote(folder / "cache", cache_gb, timeout_s, give_up_s)


def clips_of(prepared: Prepared, count: int = 16) -> list[Clip]:
    clips = RandomClips(prepared.tracks("train"), Samples(prepared), 5.0, seed=0)
    return clips.__getitems__(range(count))


def assert_same(ours: list[Clip], theirs: list[Clip]) -> None:
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
        assert one[1:] == other[1:]


def test_the_same_as_on_the_disk(server: RangeServer, prepared: Path, tmp_path: Path) -> None:
    far, near = Prepared(server.address, remote(tmp_path)), Prepared(prepared)
    assert far.card == near.card
    assert far.digest == near.digest
    assert [entry.labels for entry in far.entries] == [entry.labels for entry in near.entries]
    for ours, theirs in zip(far.entries, near.entries, strict=True):
        assert ours == theirs
        np.testing.assert_array_equal(far.read(ours, 1000, 300_000), near.read(theirs, 1000, 300_000))
    assert_same(clips_of(far), clips_of(near))
    assert_same(clips_of(pickle.loads(pickle.dumps(far))), clips_of(near))


@pytest.mark.parametrize(("how", "every"), [("fail", 10), ("stall", 10), ("half", 4), ("flip", 5)])
def test_a_server_that_limps(server: RangeServer, prepared: Path, tmp_path: Path, how: str, every: int) -> None:
    far = Prepared(server.address, remote(tmp_path))
    server.how, server.every = how, every
    made = clips_of(far)
    assert server.requests > 16
    assert_same(made, clips_of(Prepared(prepared)))


def test_a_server_that_stays_away(server: RangeServer, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    far = Prepared(server.address, remote(tmp_path, give_up_s=3.0))
    server.every = 1
    with (
        caplog.at_level(logging.WARNING),
        pytest.raises(OSError, match=r"does not answer: tried for \d+ s, data\.remote\.give_up_s is 3 "),
    ):
        clips_of(far)
    assert any("trying on for" in record.getMessage() for record in caplog.records)
    server.how = "refuse"
    before = server.requests
    with pytest.raises(OSError, match="403"):
        far.read(far.entries[0], 0, 1000)
    assert server.requests == before + 1, "what is refused is not asked for again"


def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"http://127\.0\.0\.1:9/x/index\.parquet does not answer"):
        Prepared("http://127.0.0.1:9/x", remote(tmp_path, give_up_s=0.3))


def test_what_is_no_prepared_folder(server: RangeServer, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"data\.root: http\S+/nothing is no prepared folder"):
        Prepared(f"{server.address}/nothing", remote(tmp_path))
    with pytest.raises(ValueError, match=r"data\.root: gopher://x"):
        Prepared("gopher://x", remote(tmp_path))


def test_a_server_that_does_not_serve_ranges(server: RangeServer, tmp_path: Path) -> None:
    far = Prepared(server.address, remote(tmp_path))
    server.how, server.every = "whole", 1
    with pytest.raises(UnsuitableServer, match="ignores what range"):
        far.read(far.entries[1], 0, SAMPLE_RATE)


@pytest.mark.parametrize("kept", [0.5, 0.0])
def test_a_shard_cut_short_or_gone(prepared: Path, tmp_path: Path, kept: float) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    entry = Prepared(prepared).entries[1]
    path = tmp_path / "data" / "shards" / entry.shard
    if kept:
        path.write_bytes(path.read_bytes()[: entry.first_byte + 1000])
    else:
        path.unlink()
    with range_server.serving(tmp_path / "data") as server:
        far = Prepared(server.address, remote(tmp_path))
        with pytest.raises(BadRecord if kept else FileNotFoundError, match="is cut short" if kept else entry.shard):
            far.read(entry)
        if kept:
            np.testing.assert_array_equal(far.read(far.entries[0]), Prepared(prepared).read(far.entries[0]))


def test_the_cache(server: RangeServer, prepared: Path, tmp_path: Path) -> None:
    far = Prepared(server.address, remote(tmp_path, cache_gb=1.0))
    made = clips_of(far)
    asked = server.requests
    assert asked > 0
    again = Prepared(server.address, remote(tmp_path, cache_gb=1.0))
    assert_same(clips_of(again), made)
    assert server.requests == asked
    for file in (tmp_path / "cache" / "blocks").rglob("*"):
        if file.is_file():
            file.write_bytes(b"x" + file.read_bytes()[1:])
    assert_same(clips_of(again), made)
    assert server.requests > asked, "what was damaged in the cache is fetched again"


def test_the_cache_is_bounded_and_lets_go_of_what_was_not_used(tmp_path: Path) -> None:
    cache = BlockCache(tmp_path / "blocks", 64_000)
    for number in range(300):
        cache.put(f"block {number}", bytes([number % 256]) * 1000)
        assert cache.get("block 0") == bytes(1000), "what is used stays"
        stored = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
        assert stored <= 64_000 * (1 + 2 / 32)
    assert cache.get("block 1") is None
    assert cache.get("block 299") is not None
    cache.drop("block 299")
    assert cache.get("block 299") is None
    nothing = BlockCache(tmp_path / "none", 0)
    nothing.put("a", b"b")
    assert nothing.get("a") is None and not (tmp_path / "none").exists()


def test_a_cache_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = BlockCache(tmp_path / "file" / "blocks", 64_000)
    for _ in range(3):
        cache.put("a", bytes(10_000))
    assert cache.get("a") is None
    cache.drop("a")


def seen(root: str, run: Path, *more: str) -> str:
    """Digests of the batches of a short training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEEN", f"{run}.txt")
        command.succeed("fit", *training(root, run, "--trainer.callbacks+=interruptions.Seen", *more))
    return Path(f"{run}.txt").read_text()


def training(root: str, run: Path, *more: str) -> list[str]:
    options = command.pretraining(Path("root"), run, 6, *more)
    options[options.index("root")] = root
    return options


@pytest.fixture(scope="module")
def seen_on_the_disk(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return seen(str(prepared), tmp_path_factory.mktemp("near") / "run")


@pytest.mark.parametrize("workers", ["0", "2"])
@pytest.mark.parametrize("how", ["fail", "stall", "half"])
def test_training_from_a_server_that_limps(
    server: RangeServer, seen_on_the_disk: str, tmp_path: Path, how: str, workers: str
) -> None:
    server.every, server.how = 10, how
    patience = ("--data.remote.cache_dir", str(tmp_path / "cache"), "--data.remote.timeout_s", "2")
    far = seen(server.address, tmp_path / "far", "--data.num_workers", workers, *patience)
    assert far == seen_on_the_disk
    assert server.requests > 10


@pytest.mark.parametrize("workers", ["0", "1"])
def test_training_from_a_server_that_stays_away(server: RangeServer, tmp_path: Path, workers: str) -> None:
    server.every = 1
    patience = ("--data.remote.cache_dir", str(tmp_path / "cache"), "--data.remote.give_up_s", "2")
    options = training(server.address, tmp_path / "far", "--data.num_workers", workers, *patience)
    code, said = command.fail("fit", *options)
    assert code == 2
    assert f"musicfm fit: error: {server.address} does not answer: tried for " in said
    assert "data.remote.give_up_s is 2" in said and "goes on from its checkpoint" in said
    assert "Traceback" not in said and "has died" not in said


class Limping:
    """Before the application of a web server: every so many requests for a shard go wrong, each in another way."""

    every = 0

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application
        self.requests = 0

    def __call__(self, environ: dict[str, str], start_response: Callable[..., object]) -> Iterator[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or not environ["PATH_INFO"].endswith(".pcm") or not self.every:
            yield from self.application(environ, start_response)
            return
        self.requests += 1
        turn, rest = divmod(self.requests, self.every)
        how = None if rest else ("fail", "stall", "half")[turn % 3]
        if how == "fail":
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return
        content = b"".join(self.application(environ, start_response))
        yield content[: len(content) // 2]
        if how is None:
            yield content[len(content) // 2 :]
        elif how == "stall":
            time.sleep(5)


@pytest.fixture
def bucket(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Limping]]:
    """The folder in a bucket of a local S3 server, and what is before that."""
    moto_server = pytest.importorskip("moto.server")
    boto3 = pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        server._server.app = before = Limping(server._server.app)
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        client = boto3.client("s3")
        client.create_bucket(Bucket="music")
        for file in prepared.rglob("*"):
            if file.is_file() and file.relative_to(prepared).parts[0] != "embeddings":
                client.upload_file(str(file), "music", f"some/shards/{file.relative_to(prepared).as_posix()}")
        client.close()
        yield "s3://music/some/shards", before
    finally:
        server.stop()


def test_s3(bucket: tuple[str, Limping], prepared: Path, seen_on_the_disk: str, tmp_path: Path) -> None:
    address, before = bucket
    far = Prepared(address, remote(tmp_path, timeout_s=20.0))
    assert_same(clips_of(far), clips_of(Prepared(prepared)))
    with pytest.raises(FileNotFoundError, match="is no prepared folder"):
        Prepared(address + "/other", remote(tmp_path))
    with pytest.raises(FileNotFoundError, match="is no prepared folder"):
        Prepared("s3://nothing/other", remote(tmp_path))
    patience = ("--data.remote.cache_dir", str(tmp_path / "cache"), "--data.remote.timeout_s")
    assert seen(address, tmp_path / "well", *patience, "20") == seen_on_the_disk
    before.every = 5
    assert seen(address, tmp_path / "limping", *patience, "2", "--data.remote.cache_gb", "0") == seen_on_the_disk
    assert before.requests >= 15, "each way of going wrong was met"
