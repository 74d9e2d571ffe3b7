"""A prepared folder behind an address (`s3://`, `https://`): ranged reads with retries, and a bounded cache."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar, final

from data_modules.block_cache import BlockCache
from data_modules.blocks import BadRecord
from data_modules.index import Entry
from data_modules.shards import written_aside
from data_modules.storage import Range, ShardFolder, range_of

_log = logging.getLogger(__name__)
_R = TypeVar("_R")


class UnsuitableServer(OSError):
    """A server that does not give parts of files: clips cannot be read from it."""


_PERMANENT = (FileNotFoundError, PermissionError, UnsuitableServer, ImportError, BadRecord)
_CREDENTIALS = "NoCredentialsError"  # of botocore, which need not be installed
_WORTH_RETRYING = (408, 425, 429)
"""Of the answers by which HTTP says that it is the client's fault: too slow, too early, too many."""


class _Unanswered(Exception):
    """Something went wrong that may go right next time."""


@final
class Remote:
    """How folders behind an address are read.

    Args:
        cache_dir: Folder for copies of what was fetched: indices, and blocks of audio.
        cache_gb: Size to which the blocks may grow; the least recently used go. 0 to keep none.
        timeout_s: Seconds without a byte after which a request is given up and made again.
        give_up_s: Seconds of failing after which the run ends; it can go on from its checkpoint.
    """

    def __init__(
        self,
        cache_dir: Path = Path("~/.cache/musicfm"),
        cache_gb: float = 20.0,
        timeout_s: float = 30.0,
        give_up_s: float = 300.0,
    ) -> None:
        if cache_gb < 0 or timeout_s <= 0 or give_up_s <= 0:
            raise ValueError(
                f"data.remote: cache_gb must not be negative and times must be positive, got cache_gb {cache_gb}, "
                f"timeout_s {timeout_s}, give_up_s {give_up_s}"
            )
        self.cache_dir = Path(cache_dir).expanduser()
        self.cache_gb = cache_gb
        self.timeout_s = timeout_s
        self.give_up_s = give_up_s


@final
class RemoteFolder(ShardFolder):
    """A folder that fsspec reads.

    Args:
        address: Of the folder, such as `s3://bucket/shards`.
        settings: Cache and patience.

    Raises:
        OSError: It does not answer.
        ImportError: What speaks the protocol is not installed.
    """

    def __init__(self, address: str, settings: Remote) -> None:
        self.name = address.rstrip("/")
        self.settings = settings
        self._of_process: tuple[int, Any] | None = None
        self._fetched: dict[Range, bytes] = {}
        self._cache = BlockCache(settings.cache_dir / "blocks", round(settings.cache_gb * 1e9))
        self._fs()  # so that an unknown protocol is an error at once
        self._version = self._version_of("index.parquet")

    def local_file(self, name: str) -> Path:
        """See `Storage.local_file`; fetched once for each version of the index."""
        path = self.own_file(name)
        if not path.exists():
            content = self._patiently(f"{self.name}/{name}", lambda fs, url: fs.cat_file(url))
            with written_aside(path) as file:
                file.write(content)
        return path

    def own_file(self, name: str) -> Path:
        """See `Storage.own_file`."""
        return self.settings.cache_dir / "folders" / _digest(f"{self.name} {self._version}") / name

    def read(self, wanted: Range) -> memoryview:
        """See `ShardFolder.read`."""
        if wanted not in self._fetched:
            self._obtain([wanted])
        return memoryview(self._fetched[wanted])

    def expect(self, crops: Sequence[tuple[Entry, int, int]]) -> None:
        """See `Storage.expect`; what was fetched before is let go."""
        self._fetched = {}
        self._obtain([range_of(*crop) for crop in crops])

    def _obtain(self, wanted: Sequence[Range]) -> None:
        for one in wanted:
            blocks = [self._cache.get(self._key(one, block_range)) for block_range in one.blocks]
            if all(block is not None for block in blocks):
                self._fetched[one] = b"".join(block for block in blocks if block is not None)
        missing = [one for one in dict.fromkeys(wanted) if one not in self._fetched]
        if not missing:
            return
        self._patiently(self.name, lambda fs, _: self._fetch(fs, missing))
        for one in missing:
            for block_range in one.blocks:
                first, last = block_range
                self._cache.put(self._key(one, block_range), self._fetched[one][first - one.first : last - one.first])

    def forget(self, wanted: Range) -> bool:
        """See `ShardFolder.forget`: it may be the cache or the way that is bad."""
        self._fetched.pop(wanted, None)
        for block_range in wanted.blocks:
            self._cache.drop(self._key(wanted, block_range))
        return True

    def _fetch(self, fs: Any, wanted: Sequence[Range]) -> None:
        """All ranges at once; those that came stay, even if others did not."""
        missing = [one for one in wanted if one not in self._fetched]
        urls = [f"{self.name}/shards/{one.shard}" for one in missing]
        firsts, lasts = [one.first for one in missing], [one.last for one in missing]
        problem: object = None
        for one, url, got in zip(missing, urls, fs.cat_ranges(urls, firsts, lasts, on_error="return"), strict=True):
            if isinstance(got, bytes) and len(got) == one.last - one.first:
                self._fetched[one] = got
            elif isinstance(got, bytes) and len(got) > one.last - one.first:
                raise UnsuitableServer(
                    f"{url}: the server ignores what range of bytes it is asked for; serve the folder by one that "
                    f"answers range requests, or copy it to a local disk"
                )
            elif (isinstance(got, bytes) or _status(got) == 416) and fs.info(url)["size"] < one.last:
                raise BadRecord(
                    f"{url} is cut short: there should be something up to byte {one.last}; copy the file anew"
                )
            elif isinstance(got, BaseException) and _is_permanent(got):
                raise got
            else:
                problem = got if isinstance(got, BaseException) else f"{len(got)} of {one.last - one.first} bytes came"
        if problem is not None:
            raise _Unanswered(_words(problem))

    def _version_of(self, name: str) -> str:
        told = self._patiently(f"{self.name}/{name}", lambda fs, url: fs.info(url))
        return " ".join(str(told.get(key)) for key in ("size", "ETag", "LastModified", "mtime"))

    def _patiently(self, url: str, request: Callable[[Any, str], _R]) -> _R:
        """Makes a request until it succeeds, or for `give_up_s`."""
        import tenacity

        began_s = time.monotonic()

        def say(state: tenacity.RetryCallState) -> None:
            if state.attempt_number in (2, 5) or state.attempt_number % 10 == 0:
                error = state.outcome.exception() if state.outcome else None
                _log.warning(
                    "%s: %s; trying on for %.0f s at most",
                    *(url, error, max(0.0, self.settings.give_up_s - (time.monotonic() - began_s))),
                )

        def attempt() -> _R:
            try:
                return request(self._fs(), url)
            except _Unanswered:
                raise
            except Exception as error:  # of whatever library speaks the protocol
                if not _is_permanent(error):
                    raise _Unanswered(_words(error)) from error
                if isinstance(error, _PERMANENT):
                    raise
                raise OSError(f"{url}: {_words(error)}; it was refused, so it is not asked for again") from error

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_Unanswered),
            stop=tenacity.stop_after_delay(self.settings.give_up_s),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=10),
            before_sleep=say,
            reraise=True,
        )
        try:
            return retrying(attempt)
        except _Unanswered as error:
            raise OSError(
                f"{url} does not answer: tried for {time.monotonic() - began_s:.0f} s, "
                f"data.remote.give_up_s is {self.settings.give_up_s:g} (the last: {error}); "
                f"see that it can be reached, and give the same command again: the run goes on from its checkpoint"
            ) from error

    def _fs(self) -> Any:
        """The file system of this process: what a forked one inherits has threads that are not there."""
        if self._of_process is None or self._of_process[0] != os.getpid():
            self._of_process = (os.getpid(), _file_system(self.name, self.settings.timeout_s))
        return self._of_process[1]

    def _key(self, wanted: Range, block_range: tuple[int, int]) -> str:
        return f"{self.name} {self._version} {wanted.shard} {block_range[0]}-{block_range[1]}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_of_process": None, "_fetched": {}}


def _file_system(address: str, timeout_s: float) -> Any:
    import fsspec  # type: ignore[import-untyped]

    protocol = address.partition("://")[0]
    options: dict[str, Any] = {}
    if protocol in ("http", "https"):
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout_s, sock_read=timeout_s)
        options = {"client_kwargs": {"timeout": timeout}}
    elif protocol in ("s3", "s3a"):
        # One try a request: the tries are counted and timed here.
        options = {
            "config_kwargs": {
                "connect_timeout": timeout_s,
                "read_timeout": timeout_s,
                "retries": {"max_attempts": 1},
            },
        }
    try:
        return fsspec.filesystem(protocol, skip_instance_cache=True, **options)
    except ImportError as error:
        raise ImportError(f"{address}: {error}; pip install -e '.[remote]'") from error
    except ValueError as error:
        raise ValueError(f"data.root: {address}: {error}") from error


def _is_permanent(error: BaseException) -> bool:
    cause = error.__cause__
    if isinstance(error, FileNotFoundError) and type(cause).__module__.startswith("aiohttp"):
        error = cause or error  # fsspec says "not found" of web servers that are away, too
    status = _status(error)
    is_refused = status is not None and 400 <= status < 500 and status not in _WORTH_RETRYING
    return isinstance(error, _PERMANENT) or is_refused or type(error).__name__ == _CREDENTIALS


def _status(error: object) -> int | None:
    """Of an answer by HTTP."""
    status = getattr(error, "status", None)
    return status if isinstance(status, int) else None


def _words(error: object) -> str:
    return f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else str(error)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
