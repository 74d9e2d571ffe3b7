"""A web server for tests that serves ranges of the files of a folder, and can be told to misbehave."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class RangeServer(ThreadingHTTPServer):
    """Serves a folder.

    Attributes:
        every: Every so many requests for parts of shards, counted over all of them, go wrong; 0 for none.
        how: "fail" (status 503), "stall" (headers, and nothing for a while), "half" (closes half-way),
            "flip" (one bit is another), "whole" (ignores the range), "refuse" (status 403).
        requests: For parts of shards so far.
    """

    daemon_threads = True
    every = 0
    how = "fail"

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.requests = 0
        self.lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def goes_wrong(self) -> bool:
        with self.lock:
            self.requests += 1
            return bool(self.every) and self.requests % self.every == 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients that gave up


class _Handler(BaseHTTPRequestHandler):
    server: RangeServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = self.server.folder / self.path.lstrip("/")
        how = self.server.how if "/shards/" in self.path and with_body and self.server.goes_wrong() else ""
        if how in ("fail", "refuse") or not path.is_file():
            self.send_response(404 if not path.is_file() else 503 if how == "fail" else 403)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = path.read_bytes()
        size = len(content)
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if asked and how != "whole":
            if int(asked[1]) >= size:
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{size}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            content = content[int(asked[1]) : int(asked[2]) + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {asked[1]}-{int(asked[1]) + len(content) - 1}/{size}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        if not with_body:
            return
        if how == "flip":
            content = content[:-1] + bytes([content[-1] ^ 1])
        if how in ("stall", "half"):
            self.wfile.write(content[: len(content) // 2])
            self.wfile.flush()
            time.sleep(5 if how == "stall" else 0)
            self.close_connection = True
            return
        self.wfile.write(content)


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[RangeServer]:
    """A server for as long as it is needed."""
    with RangeServer(folder) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
